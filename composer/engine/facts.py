"""What a backend tells of a container's inside, and of what containers use: files, processes, counters, disk space.

Values that cross the border of `backend`, beside those that make and observe objects. Raw numbers; percentages and
texts are the command's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class PathStat(NamedTuple):
    """A path in a container. ``mode`` is POSIX's st_mode, of a symlink itself.

    ``link_target`` is the absolute path, within the container, that a symlink leads to in the end.
    """

    name: str
    size_bytes: int
    mode: int
    link_target: str = ""


class Processes(NamedTuple):
    """The processes of a container, as ``ps -ef`` on the host shows them: ``titles``, and a row of texts for each."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Usage(NamedTuple):
    """What a running container has used up to ``time_ns``, and what it holds now.

    ``cpu_ns`` and the bytes moved only grow while it runs. ``memory_bytes`` is without cache that can be dropped
    (Docker's: usage less ``inactive_file``); ``memory_limit_bytes`` is the machine's memory where it has no limit.
    """

    time_ns: int
    cpu_ns: int = 0
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    processes: int = 0


class CommitSpec(NamedTuple):
    """How a container becomes an image. ``reference`` may be empty: then it has an id only.

    ``changes`` are in the OCI image configuration's words (Cmd, Env, Labels, …) and come on top of the container's own.
    A container that runs stands still meanwhile with ``pause``.
    """

    reference: str
    author: str = ""
    message: str = ""
    pause: bool = True
    changes: Mapping[str, Any] = {}
