"""What a backend tells of a container's inside, and of what containers use: files, processes, counters, disk space.

Values that cross the border of `backend`, beside those that make and observe objects. Raw numbers; percentages and
texts are the command's.
"""

from __future__ import annotations

from typing import NamedTuple


class PathStat(NamedTuple):
    """A path in a container. ``mode`` is POSIX's st_mode, of a symlink itself.

    ``link_target`` is the absolute path, within the container, that a symlink leads to in the end.
    """

    name: str
    size_bytes: int
    mode: int
    link_target: str = ""
