"""What a backend tells of a container's inside, and of what containers use: files, processes, counters, disk space.

Values that cross the border of `backend` beside those that make and observe objects, and the part of its two
protocols that is about them. Raw numbers; percentages and texts are the command's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from composer.engine.observed import ObservedContainer, ObservedImage


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


class LabelFilter(NamedTuple):
    """``label=KEY``, ``label=KEY=VALUE``, and with ``excludes`` the objects that do not have it (``label!=…``)."""

    key: str
    value: str | None = None
    excludes: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        has = self.key in labels and self.value in (None, labels[self.key])
        return has is not self.excludes


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
    """A volume on the disk; ``size_bytes`` is None where its driver does not tell."""

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
    """What a backend keeps on the disk. ``layers_bytes`` counts each layer of the images once."""

    images: tuple[ImageUse, ...] = ()
    containers: tuple[ContainerUse, ...] = ()
    volumes: tuple[VolumeUse, ...] = ()
    cache: tuple[CacheUse, ...] = ()
    layers_bytes: int = 0


# ------------------------------------------------------------------ the protocols


class Inspection(Protocol):
    """The part of `Observer` that looks into containers, and at the disk."""

    def stat_path(self, id: str, path: str) -> PathStat:
        """Look at a path in a container, running or not, following no link at its end. Raises NotFound.

        ``path`` starts at the container's root; ``/`` or ``/.`` at its end asks for a directory, and follows.
        """
        ...

    def read_path(self, id: str, path: str) -> tuple[PathStat, Iterator[bytes]]:
        """Return a tar of a path, as `stat_path` finds it; its names begin with the path's last part. Close it."""
        ...

    def export_container(self, id: str) -> Iterator[bytes]:
        """Return a tar of a container's own files over its image's, nothing that is mounted in it. Close it."""
        ...

    def processes(self, id: str) -> Processes:
        """Return the processes of a running container. Raises Conflict where it does not run."""
        ...

    def usage(self, id: str) -> Usage | None:
        """Return what a container uses now; None where it does not run. Does not wait for a second sample."""
        ...

    def disk_use(self) -> DiskUse:
        """Return what is kept on the disk, by image, container and volume. Walks trees: not for fast commands."""
        ...


class Handling(Protocol):
    """The part of `Backend` that changes what is in containers, and clears away."""

    def write_path(self, id: str, path: str, archive: Iterable[bytes], *, to_user: bool = False) -> None:
        """Unpack a tar into a directory of a container, running or not. Nothing becomes a directory that is none.

        Files keep the archive's owners; with ``to_user`` they belong to the user that the container runs as.
        """
        ...

    def commit_container(self, id: str, spec: CommitSpec) -> ObservedImage:
        """Make an image of a container's own files over its image's, configured as the container is."""
        ...

    def prune_networks(self, labels: Sequence[LabelFilter]) -> Sequence[str]:
        """Remove the networks that no container is in, and that all filters match; return their names."""
        ...

    def prune_volumes(
        self, labels: Sequence[LabelFilter], *, everything: bool = False
    ) -> tuple[Sequence[str], int]:
        """Remove anonymous volumes, or all, that no container has; return their names and the bytes freed."""
        ...
