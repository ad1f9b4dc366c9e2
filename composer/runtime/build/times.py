"""Times of files, for builds that are to be equal bit by bit (SOURCE_DATE_EPOCH)."""

from __future__ import annotations

import os


def clamp(directory: str, latest_ns: int) -> None:
    """Give everything in a layer that is younger this time; the top itself too."""
    for top, _, names, fd in os.fwalk(directory, topdown=False, follow_symlinks=False):
        for name in names:
            _clamp(name, fd, latest_ns)
        _clamp(".", fd, latest_ns)
        del top


def _clamp(name: str, parent: int, latest_ns: int) -> None:
    found = os.lstat(name, dir_fd=parent)
    if found.st_mtime_ns > latest_ns:
        os.utime(name, ns=(latest_ns, latest_ns), dir_fd=parent, follow_symlinks=False)
