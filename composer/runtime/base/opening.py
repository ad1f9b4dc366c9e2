"""Opening what somebody else has put there: looked at first (O_PATH, fstat), opened only when it is what it must be.

Opening alone does things: a watchdog is armed, a tape rewinds, a FIFO waits for its other end. Names come from
images, archives and containers, any of which may have a device or a FIFO in the place of a file.
"""

from __future__ import annotations

import errno
import os
import stat

from composer.runtime.base import syscalls

_HERE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS


def regular(directory: int, path: str, flags: int = os.O_RDONLY, *, resolve: int = _HERE) -> int:
    """Open a regular file below an open directory. Raises OSError (EINVAL) for everything else."""
    place = syscalls.openat2(directory, path, os.O_PATH | os.O_NOFOLLOW, resolve=resolve)
    try:
        return _reopened(place, path, flags)
    finally:
        os.close(place)


def _reopened(place: int, path: str, flags: int) -> int:
    if not stat.S_ISREG(os.fstat(place).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", path)
    return os.open(f"/proc/self/fd/{place}", flags | os.O_CLOEXEC)


def followed(root: int, path: str) -> int:
    """Open a regular file for reading as somebody in ``root`` would find it: links are followed, inside."""
    place = syscalls.openat2(root, path, os.O_PATH)
    try:
        return _reopened(place, path, os.O_RDONLY)
    finally:
        os.close(place)


def directory_below(directory: int, path: str, flags: int = os.O_RDONLY) -> int:
    """Open a directory below another, where no part of the way may be a link."""
    return syscalls.openat2(directory, path, flags | os.O_DIRECTORY, resolve=_HERE)


def place_below(directory: int, path: str) -> int:
    """Open the place of anything below a directory (O_PATH), where no part of the way may be a link."""
    return syscalls.openat2(directory, path, os.O_PATH | os.O_NOFOLLOW, resolve=_HERE)


def character_device(root: int, path: str, number: int, flags: int, *, on: int = 0) -> int | None:
    """Open a device if the path leads to it. Return None, without opening, if it leads to another file.

    ``on`` is the magic number of the file system that it has to be on.
    """
    place = syscalls.openat2(root, path, os.O_PATH | os.O_NOFOLLOW)
    try:
        state = os.fstat(place)
        if not stat.S_ISCHR(state.st_mode) or state.st_rdev != number:
            return None
        if on and syscalls.filesystem_type(place) != on:
            return None
        return os.open(f"/proc/self/fd/{place}", flags | os.O_CLOEXEC)
    finally:
        os.close(place)
