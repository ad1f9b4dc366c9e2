"""Finding and reading the files of a project: bounded, and never a surprise.

Anything but a regular file (a directory, a FIFO, a device) is refused before it is opened, a file that is too
large before it is read, and text that is not UTF-8 with the place of the first wrong byte.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from composer.errors import ConfigError, Mark
from composer.opening import NotRegular, open_regular
from composer.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.errors import Mark as _Mark
    from composer.schema.options import Fetched

MAX_BYTES = 16 << 20
"""The largest compose or env file that is read; the largest in the wild are far below one megabyte."""

COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDE_NAMES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)


_REMOTE = pattern(r"(?:https?|git|ssh|oci)://|github\.com/|[A-Za-z0-9_-]+@[A-Za-z0-9.-]+:", re.I)


def is_remote(path: str) -> bool:
    """Tell whether a compose file is elsewhere: in a git repository or in a registry."""
    return _REMOTE.match(path) is not None


def read_text(path: str, label: str, at: _Mark | None = None, *, what: str = "file") -> str:
    """Return the text of a regular file. Raises ConfigError, placed at ``at`` or at the file itself."""
    place = at or Mark(label)
    try:
        handle = open_regular(path)
    except NotRegular as error:
        kind = "a directory" if error.is_directory else "not a regular file"
        raise ConfigError(f"cannot read {what} '{label}': it is {kind}", at=at) from None
    except FileNotFoundError:
        raise ConfigError(missing(path, label, what) if at is None else _unread(label, what), at=at) from None
    except OSError as error:
        raise ConfigError(f"cannot read {what} '{label}': {_reason(error)}", at=at) from None
    except ValueError:
        raise ConfigError(
            f"cannot read {what} '{label!r}': paths must not contain a null byte", at=at
        ) from None
    try:
        status = os.fstat(handle)
        if status.st_size > MAX_BYTES:
            raise ConfigError(
                f"{what} '{label}' is too large: {status.st_size >> 20} MiB (limit: {MAX_BYTES >> 20} MiB)",
                at=at,
            )
        with open(handle, "rb", closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
    finally:
        os.close(handle)
    return decode(data, label, place)


def missing(path: str, label: str, what: str = "file") -> str:
    """Return Docker Compose's sentence for a file of the command line that is not there."""
    if what == "env file":
        return f"couldn't find env file: {os.path.abspath(path)}"
    return (
        f"open {os.path.abspath(path)}: no such file or directory" if what == "file" else _unread(label, what)
    )


def _unread(label: str, what: str) -> str:
    return f"cannot read {what} '{label}': no such file or directory"


def decode(data: bytes, label: str, place: _Mark) -> str:
    """Return bytes as text: UTF-8, or UTF-16 with a byte order mark. Raises ConfigError."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig" if data[:3] == b"\xef\xbb\xbf" else "utf-8"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise ConfigError(
            f"'{label}' is not UTF-8 text: byte 0x{data[error.start]:02x}", at=Mark(label, line, column)
        ) from None


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown error").lower()


def is_file(path: str) -> bool:
    """Tell whether there is something at ``path`` that is not a directory."""
    try:
        return not stat.S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def is_named(path: str) -> bool:
    """Tell whether a directory has this name: one that cannot be read is found all the same, and then said."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        pass  # the directory cannot be searched: neither can its files be read
    return True


def discover(directory: str) -> tuple[str, ...]:
    """Return the compose file of a directory or of its nearest parent that has one, and its override; or ()."""
    while True:
        names = [name for name in COMPOSE_NAMES if is_named(os.path.join(directory, name))]
        if names:
            override = next(
                (name for name in OVERRIDE_NAMES if is_named(os.path.join(directory, name))), None
            )
            chosen = (names[0], override) if override else (names[0],)
            return tuple(os.path.join(directory, name) for name in chosen)
        parent = os.path.dirname(directory)
        if parent == directory:
            return ()
        directory = parent


def several_compose_files(directory: str) -> list[str]:
    """Return the names of compose files in a directory, in order of precedence: all but the first are ignored."""
    return [name for name in COMPOSE_NAMES if is_named(os.path.join(directory, name))]


def label(path: str, working_dir: str) -> str:
    """Return a path as people know it: relative when it is below the working directory."""
    prefix = working_dir.rstrip("/") + "/"
    return path.removeprefix(prefix) if path.startswith(prefix) else path


class Labels:
    """Names of files in messages: relative ones, and the references of files from elsewhere."""

    def __init__(self, working_dir: str) -> None:
        self._working_dir = working_dir
        self._fetched: list[Fetched] = []

    def add(self, fetched: Fetched) -> None:
        """Show a fetched file, and the files beside it, by its reference."""
        if fetched not in self._fetched:
            self._fetched.append(fetched)

    def __call__(self, path: str) -> str:
        for one in self._fetched:
            if path == one.file:
                return one.shown
            if path.startswith(f"{one.root}/"):
                return one.prefix + path[len(one.root) + 1 :]
        return "stdin" if path == "-" else label(path, self._working_dir)


def is_truthy(text: str | None) -> bool:
    """Tell whether a COMPOSE_… switch is on."""
    return (text or "").lower() in ("1", "t", "true", "y", "yes", "on")


def environment_list(environment: Mapping[str, str], name: str, separator: str) -> tuple[str, ...]:
    """Return the parts of a list variable; () when it is unset or empty."""
    return tuple(part for part in environment.get(name, "").split(separator) if part)
