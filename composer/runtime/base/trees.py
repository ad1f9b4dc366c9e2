"""Taking an object's directory away: at once for whoever looks, then bit by bit, and nothing beyond a mount point.

A mount of the host may lie in there (a bind of ``/`` would take the machine along): each directory is entered by
descriptor, and one on another device or another mount is refused.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_DEPTH = 200


def temporary(path: str) -> str:
    """Return a name beside ``path`` that no object has, and that tells who made it."""
    return f"{os.path.dirname(path)}/.{os.urandom(6).hex()}.{os.getpid()}.tmp"


def set_aside(path: str) -> str | None:
    """Take an object's directory away from whoever looks; return where it is now, None when it had gone."""
    doomed = temporary(path)
    try:
        os.rename(path, doomed)
    except FileNotFoundError:
        return None
    return doomed


def put_away(path: str) -> None:
    """Remove an object's directory. Idempotent; what a kill interrupts is swept by its name."""
    doomed = set_aside(path)
    if doomed is not None:
        remove_tree(doomed)


def remove_tree(path: str) -> None:
    """Remove a directory and all below it. Raises OSError (EBUSY) where something is mounted in there."""
    try:
        parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _Removal(parent).run(os.path.basename(path))
    finally:
        os.close(parent)


def is_at(fd: int, path: str) -> bool:
    """Tell whether what was opened is what is at a path now: while a lock was waited for, another may have taken it."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def is_mount_point(path: str) -> bool:
    """Tell whether something is mounted on a directory, bind mounts of the same device included."""
    above = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = os.open(os.path.basename(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=above)
        try:
            return mount_id(fd) != mount_id(above)
        finally:
            os.close(fd)
    finally:
        os.close(above)


class _Removal:
    """One tree on its way out. What lies too deep for our stack and descriptors is moved up, and goes from there."""

    def __init__(self, parent: int) -> None:
        self._parent, self._top = parent, -1
        self._mount, self._device = mount_id(parent), os.fstat(parent).st_dev

    def run(self, name: str) -> None:
        self._directory(self._parent, name, 0)

    def _entry(self, parent: int, name: str, depth: int, *, is_directory: bool) -> None:
        if not is_directory:
            try:
                os.unlink(name, dir_fd=parent)
                return
            except FileNotFoundError:
                return  # another command sweeps the same leftovers
            except OSError:
                pass  # it is a directory by now
        self._directory(parent, name, depth)

    def _directory(self, parent: int, name: str, depth: int) -> None:
        try:
            os.rmdir(name, dir_fd=parent)  # most directories are empty; a mount point is not removed
            return
        except FileNotFoundError:
            return
        except NotADirectoryError:
            _gone_is_fine(os.unlink, name, parent)
            return
        except OSError:
            pass  # it is not empty, or something is mounted on it
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(name, flags, dir_fd=parent)
        except FileNotFoundError:
            return
        except OSError:
            _gone_is_fine(os.unlink, name, parent)  # it is a file or a symlink now
            return
        try:
            if os.fstat(fd).st_dev != self._device or mount_id(fd) != self._mount:
                raise OSError(16, "a file system is still mounted here", os.readlink(f"/proc/self/fd/{fd}"))
            if depth > _MAX_DEPTH:
                os.rename(name, f".{os.urandom(6).hex()}", src_dir_fd=parent, dst_dir_fd=self._top)
                return
            self._children(fd, depth)
        finally:
            os.close(fd)
        _gone_is_fine(os.rmdir, name, parent)

    def _children(self, fd: int, depth: int) -> None:
        if depth:
            for entry, is_directory in _entries(fd):
                self._entry(fd, entry, depth + 1, is_directory=is_directory)
            return
        self._top = fd
        while entries := _entries(fd):
            for entry, is_directory in entries:
                self._entry(fd, entry, 1, is_directory=is_directory)


def _entries(fd: int) -> list[tuple[str, bool]]:
    with os.scandir(fd) as found:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]


def _gone_is_fine(remove: Callable[..., None], name: str, parent: int) -> None:
    try:
        remove(name, dir_fd=parent)
    except FileNotFoundError:
        pass  # another command sweeps the same leftovers


def mount_id(fd: int) -> int:
    """Return which mount an open file is on."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="utf-8") as file:
        for line in file:
            if line.startswith("mnt_id:"):
                return int(line.split()[1])
    raise OSError(0, "this kernel does not report mount IDs")
