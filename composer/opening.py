"""Opening a user's file for reading, where a container that shares the directory may have put another thing.

A device or a FIFO is looked at and not opened: opening alone may wait for ever, or arm a watchdog.
"""

from __future__ import annotations

import os
import stat


class NotRegular(OSError):
    """There is something, and it is no regular file. ``is_directory`` tells which kind of mistake that is."""

    def __init__(self, path: str, mode: int) -> None:
        super().__init__(0, "not a regular file", path)
        self.is_directory = stat.S_ISDIR(mode)


def open_regular(path: str) -> int:
    """Open a regular file for reading, links followed. Raises NotRegular, or OSError."""
    if not hasattr(os, "O_PATH"):
        # O_NONBLOCK: opening a FIFO that nobody writes to would hang
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        mode = os.fstat(fd).st_mode
        if stat.S_ISREG(mode):
            return fd
        os.close(fd)
        raise NotRegular(path, mode)
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        mode = os.fstat(place).st_mode
        if not stat.S_ISREG(mode):
            raise NotRegular(path, mode)
        return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(place)
