"""Results of inspecting containers: files, processes, resource usage, disk usage.

Raw numbers; percentages and texts are the command's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.engine.observed import ObservedContainer


class Settings(NamedTuple):
    """How a container was made, in the words of a Compose service; what it has from its image is in it, too.

    ``network_mode`` is ``bridge``, ``host``, ``none`` or ``container:ID``; empty where it has networks of its own.
    Durations of ``healthcheck`` are texts such as ``1m30s``.
    """

    environment: Mapping[str, str] = {}
    healthcheck: Mapping[str, Any] = {}
    user: str = ""
    working_dir: str = ""
    restart: str = ""
    network_mode: str = ""
    privileged: bool = False
    read_only: bool = False
    tty: bool = False
    stdin_open: bool = False


class PathStat(NamedTuple):
    """A path in a container. ``mode`` is POSIX's st_mode, of a symlink itself.

    ``link_target`` is the absolute path, within the container, that a symlink leads to in the end.
    """

    name: str
    size_bytes: int
    mode: int
    link_target: str = ""
    modified_ns: int = 0


class Change(NamedTuple):
    """A path of a container that is not as in its image. ``kind`` is Docker's: 0 changed, 1 added, 2 deleted."""

    kind: int
    path: str


class Processes(NamedTuple):
    """The processes of a container, as ``ps -ef`` on the host shows them: ``titles``, and a row of texts for each."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Usage(NamedTuple):
    """The resource usage of a running container: counters up to ``time_ns``, and current values.

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


class ImageUse(NamedTuple):
    """An image on the disk. ``shared_bytes`` are of layers that other images have too."""

    id: str
    references: tuple[str, ...]
    created: str
    size_bytes: int
    shared_bytes: int
    containers: int


class ContainerUse(NamedTuple):
    """A container on the disk: ``size_bytes`` are of its own layer; ``volumes`` counts those that it mounts."""

    container: ObservedContainer
    size_bytes: int
    volumes: int


class VolumeUse(NamedTuple):
    """A volume on the disk; ``size_bytes`` is None if its driver does not report it."""

    name: str
    size_bytes: int | None
    links: int


class CacheUse(NamedTuple):
    """An entry of a build cache. Times are Unix nanoseconds, 0 when unknown."""

    id: str
    kind: str
    size_bytes: int
    created_ns: int
    used_ns: int
    uses: int
    in_use: bool
    shared: bool


class DiskUse(NamedTuple):
    """The disk usage of a backend. ``layers_bytes`` counts each layer of the images once."""

    images: tuple[ImageUse, ...] = ()
    containers: tuple[ContainerUse, ...] = ()
    volumes: tuple[VolumeUse, ...] = ()
    cache: tuple[CacheUse, ...] = ()
    layers_bytes: int = 0
