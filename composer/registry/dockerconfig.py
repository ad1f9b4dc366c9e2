"""Changes of Docker's config.json: whole or not at all, what we do not know is kept, and nobody else may read it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from typing import TYPE_CHECKING, Any

from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_BYTES = 16 << 20


def read(path: str) -> dict[str, Any]:
    """Return what the file holds; nothing where there is none. Raises ProjectError."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _failed("read", path, error) from error
    if not data.strip():
        return {}
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProjectError(f"cannot read '{path}': {error}", hint="correct it, or remove it") from None
    if not isinstance(found, dict) or not isinstance(found.get("auths") or {}, dict):
        raise ProjectError(
            f"cannot read '{path}': it must be a JSON object, and auths another",
            hint="correct it, or remove it",
        )
    return found


def change_auths(path: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change ``auths`` of the file, which is made where there is none. Raises ProjectError.

    A link to the file stays one: what it leads to is replaced.
    """
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        target = os.path.realpath(path)
        directory = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _failed("write", path, error) from error
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)  # two logins at once: both are kept
        found = read(target)
        auths = dict(found.get("auths") or {})
        change(auths)
        if auths != found.get("auths"):
            _write(directory, os.path.basename(target), {**found, "auths": auths})
    except OSError as error:
        raise _failed("write", path, error) from error
    finally:
        os.close(directory)


def _write(directory: int, name: str, value: dict[str, Any]) -> None:
    data = json.dumps(value, indent="\t", ensure_ascii=False).encode(errors="surrogatepass") + b"\n"
    temporary = f".{name}.{os.getpid()}.{os.urandom(6).hex()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        try:
            with contextlib.suppress(FileNotFoundError, PermissionError):
                old = os.stat(name, dir_fd=directory)
                os.fchown(fd, old.st_uid, old.st_gid)  # of whom root works for
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
    os.fsync(directory)


def _failed(verb: str, path: str, error: OSError) -> ProjectError:
    hint = (
        "set DOCKER_CONFIG to a directory that can be written"
        if error.errno in (errno.EACCES, errno.EROFS)
        else None
    )
    return ProjectError(f"cannot {verb} '{path}': {(error.strerror or str(error)).lower()}", hint=hint)
