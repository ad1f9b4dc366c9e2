"""Filling an empty volume with what the image has at its mount point (copy-up).

Runs in a container's first process, where blocking hurts nobody. Another container may have the volume too, and
change it meanwhile: every look-up is of one name below an open directory, or refuses links all the way; what is
linked is the very file that was made here, held open, and never a name that was looked up.
"""

from __future__ import annotations

import fcntl
import os
import stat

from composer.runtime.base import opening

_CHUNK_BYTES = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_up(source: int, volume: int) -> None:
    """Copy the directory ``source`` into the directory ``volume``, both open in any way, where that is empty.

    Two containers that start on one new volume take turns: the second finds it filled.
    """
    target = _readable(volume)
    try:
        fcntl.flock(target, fcntl.LOCK_EX)
        with os.scandir(target) as entries:
            if next(entries, None) is not None:
                return
        copy_tree(source, target)
    finally:
        os.close(target)


def copy_tree(source: int, target: int) -> None:
    """Copy all below one directory into another: owner, mode, times, xattrs, links, devices."""
    readable = _readable(source)
    try:
        _Copying(target).children(readable, target, "")
        _copy_attributes(os.fstat(readable), readable, target)
    finally:
        os.close(readable)


def _readable(directory: int) -> int:
    return os.open(f"/proc/self/fd/{directory}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


class _Copying:
    """One tree on its way into another, whose top is ``top``."""

    def __init__(self, top: int) -> None:
        self._top = top
        # of files with several names: where the first was put, and as which file it was made there
        self._made: dict[tuple[int, int], tuple[str, tuple[int, int]]] = {}

    def children(self, source: int, target: int, prefix: str) -> None:
        for name in sorted(os.listdir(source)):
            state = os.stat(name, dir_fd=source, follow_symlinks=False)
            if stat.S_ISDIR(state.st_mode):
                self._directory(source, target, name, f"{prefix}{name}/", state)
            elif state.st_nlink > 1 and self._link(state, target, name):
                continue
            else:
                made = self._one(source, target, name, state)
                if state.st_nlink > 1 and made is not None:
                    self._made[(state.st_dev, state.st_ino)] = (f"{prefix}{name}", made)

    def _directory(self, source: int, target: int, name: str, prefix: str, state: os.stat_result) -> None:
        os.mkdir(name, 0o700, dir_fd=target)
        try:
            child = os.open(name, _DIRECTORY, dir_fd=source)
        except PermissionError:
            return  # of the host's programs, and closed to others: it is empty, and its owner's
        try:
            copy = os.open(name, _DIRECTORY, dir_fd=target)
            try:
                self.children(child, copy, prefix)
                _copy_attributes(state, child, copy)
            finally:
                os.close(copy)
        finally:
            os.close(child)

    def _link(self, state: os.stat_result, target: int, name: str) -> bool:
        """Give a file that was copied before one more name. False where it is not what was made there any more."""
        path, made = self._made.get((state.st_dev, state.st_ino), ("", (0, 0)))
        if not path:
            return False
        try:
            earlier = opening.place_below(self._top, path)
        except OSError:
            return False  # somebody has moved it, or put a link on the way to it
        try:
            if _identity(os.fstat(earlier)) != made:
                return False
            # by the open file, not by its name (AT_SYMLINK_FOLLOW of the kernel's own link)
            os.link(f"/proc/self/fd/{earlier}", name, dst_dir_fd=target, follow_symlinks=True)
            return True
        finally:
            os.close(earlier)

    def _one(self, source: int, target: int, name: str, state: os.stat_result) -> tuple[int, int] | None:
        """Copy a file that is not a directory. Return the identity of the copy if it is certain."""
        if stat.S_ISREG(state.st_mode):
            try:
                return _copy_file(source, target, name, state)
            except PermissionError:
                return None  # of the host's programs, and closed to others
        if stat.S_ISLNK(state.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        else:
            # The exact mode at once: chmod would follow a symlink put in its place by another who has the volume.
            umask = os.umask(0)
            try:
                os.mknod(name, state.st_mode, state.st_rdev, dir_fd=target)
            finally:
                os.umask(umask)
        os.chown(name, state.st_uid, state.st_gid, dir_fd=target, follow_symlinks=False)
        return None


def _identity(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def _copy_file(source: int, target: int, name: str, state: os.stat_result) -> tuple[int, int]:
    reader = opening.regular(source, name)
    try:
        writer = os.open(name, _NEW_FILE, 0o600, dir_fd=target)
        try:
            offset = 0
            while sent := os.sendfile(writer, reader, offset, _CHUNK_BYTES):
                offset += sent
            _copy_attributes(state, reader, writer)
            return _identity(os.fstat(writer))
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_attributes(state: os.stat_result, source: int, target: int) -> None:
    os.fchown(target, state.st_uid, state.st_gid)
    for name in os.listxattr(source):
        if not name.startswith("trusted.overlay."):
            try:
                os.setxattr(target, name, os.getxattr(source, name))
            except OSError:
                pass  # a file system without this attribute: the content is what matters
    os.fchmod(target, stat.S_IMODE(state.st_mode))
    os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))
