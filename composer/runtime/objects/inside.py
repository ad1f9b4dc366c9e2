"""Files inside a container: looked at, read and written from outside, by descriptor from its root.

The container may run meanwhile, and may mean harm: it exchanges directories for links while a path is looked up
(CVE-2018-15664), and has libraries that nobody else should load (CVE-2019-14271). So every path is resolved by the
kernel inside the root (openat2, RESOLVE_IN_ROOT), each entry is made or opened below an open directory, and nothing
of the container is ever executed or loaded here.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import archives
from composer.errors import CopyFailed, NotFound
from composer.runtime.base import syscalls
from composer.runtime.container import process
from composer.runtime.objects import roots

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MAX_LINKS = 40
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class PathStat(NamedTuple):
    """A path in a container. ``mode`` is POSIX's st_mode, of a symlink itself; ``link_target`` is where that leads."""

    name: str
    size_bytes: int
    mode: int
    link_target: str = ""
    modified_ns: int = 0


def stat_path(bundle: str, path: str) -> PathStat:
    """Look at a path, following no link at its end unless that asks for a directory. Raises NotFound."""
    with roots.open_root(bundle) as root:
        return _stat(root.fd, path)


class Pieces:
    """The archive of a path as it is read; the container's root stays open until `close`, or the end."""

    def __init__(self, root: roots.Opened, directory: int, chunks: Iterator[bytes]) -> None:
        self._root, self._directory, self._chunks = root, directory, chunks

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1
            self._root.close()


def read_path(bundle: str, path: str) -> tuple[PathStat, Pieces]:
    """Return what a path is, and a tar of it."""
    root = roots.open_root(bundle)
    try:
        found = _stat(root.fd, path)
        is_directory = stat.S_ISDIR(found.mode)
        directory = _open(root.fd, path if is_directory else posixpath.dirname(path), os.O_RDONLY)
        base = "." if is_directory else found.name
        return found, Pieces(root, directory, archives.pack(directory, base, found.name))
    except BaseException:
        root.close()
        raise


def write_path(
    bundle: str, config: Mapping[str, Any], path: str, archive: Iterable[bytes], *, to_user: bool
) -> None:
    """Unpack a tar into a directory. Raises NotFound or CopyFailed."""
    with roots.open_root(bundle, writable=True) as root:
        os.close(_open(root.fd, path, os.O_RDONLY))
        ownership = archives.Ownership(keep=True)
        if to_user:
            try:
                identity = process.resolve_identity(root.fd, *process.user_of(config["process"]["user"]))
            except process.ProcessFailed as error:
                raise CopyFailed(str(error)) from error
            ownership = archives.Ownership(fixed=(identity.uid, identity.gid))

        def open_directory(parts: tuple[str, ...]) -> int:
            return syscalls.openat2(root.fd, "/".join((path, *parts)), os.O_RDONLY | os.O_DIRECTORY)

        archives.unpack(archive, open_directory, ownership)


def _open(root: int, path: str, flags: int) -> int:
    try:
        return syscalls.openat2(root, path or "/", flags | os.O_DIRECTORY)
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            raise CopyFailed(f"'{path}' in the container is not a directory") from error
        raise _failure(path, error) from error


def _stat(root: int, path: str) -> PathStat:
    asks_directory = path.endswith("/") or posixpath.basename(path) == "."
    flags = os.O_PATH | (os.O_DIRECTORY if asks_directory else os.O_NOFOLLOW)
    try:
        fd = syscalls.openat2(root, path, flags)
    except OSError as error:
        raise _failure(path, error) from error
    try:
        state = os.fstat(fd)
    finally:
        os.close(fd)
    name = posixpath.basename(path.rstrip("/")) or "."
    target = _evaluate(root, path) if stat.S_ISLNK(state.st_mode) else ""
    return PathStat(name, state.st_size, state.st_mode, target, state.st_mtime_ns)


def _failure(path: str, error: OSError) -> NotFound | CopyFailed:
    if error.errno in _NOT_THERE:
        return NotFound(f"no such file or directory in the container: {path}")
    return CopyFailed(f"cannot open '{path}' in the container: {(os.strerror(error.errno or 0)).lower()}")


def _evaluate(root: int, path: str) -> str:
    """Return a path with all of its links followed, as far as they lead to something. Raises CopyFailed."""
    done: list[str] = []
    todo = path.split("/")[::-1]
    links = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del done[-1:]
            continue
        text = _link_text(root, "/" + "/".join((*done, part)))
        if text is None:
            done.append(part)
            continue
        links += 1
        if links > _MAX_LINKS:
            raise CopyFailed(f"cannot follow '{path}' in the container: too many levels of symbolic links")
        if text.startswith("/"):
            done.clear()
        todo += text.split("/")[::-1]
    return "/" + "/".join(done)


def _link_text(root: int, path: str) -> str | None:
    """Return what a link says; None for what is no link, or is not there."""
    try:
        fd = syscalls.openat2(root, path, os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return os.readlink("", dir_fd=fd)
    except OSError:
        return None
    finally:
        os.close(fd)
