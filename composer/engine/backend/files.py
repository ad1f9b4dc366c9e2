"""Protocols for files and processes in containers, and for disk usage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from composer.engine.inspected import Change, DiskUse, PathStat, Processes, Usage


class FileObserver(Protocol):
    """Reads files, processes and resource usage of containers, and disk usage."""

    def stat_path(self, id: str, path: str) -> PathStat:
        """Return the state of a path in a container, running or not; follows no symbolic link. Raises NotFound.

        ``path`` is relative to the container's root. With a trailing ``/`` or ``/.`` a link is followed and must lead
        to a directory.
        """
        ...

    def read_path(self, id: str, path: str) -> tuple[PathStat, Iterator[bytes]]:
        """Return a tar archive of a path, as `stat_path` finds it; its names start with the path's last component.

        The caller must close the iterator.
        """
        ...

    def export_container(self, id: str) -> Iterator[bytes]:
        """Return a tar archive of a container's root file system, without mounts. The caller must close it."""
        ...

    def changes(self, id: str) -> Sequence[Change]:
        """Return what of a container's files is not as in its image, sorted by path."""
        ...

    def processes(self, id: str) -> Processes:
        """Return the processes of a running container. Raises Conflict if it is not running."""
        ...

    def usage(self, id: str) -> Usage | None:
        """Return the current resource usage of a container; None if it is not running. Takes a single sample."""
        ...

    def system_info(self) -> Mapping[str, Any]:
        """Return facts of the backend and of its machine, under the names of Docker's API (``GET /info``)."""
        ...

    def disk_use(self) -> DiskUse:
        """Return the disk usage of images, containers and volumes. Walks directory trees: not for fast commands."""
        ...


class Files(FileObserver, Protocol):
    """Changes files in containers."""

    def write_path(self, id: str, path: str, archive: Iterable[bytes], *, to_user: bool = False) -> None:
        """Unpack a tar archive into an existing directory of a container, running or not.

        Files keep the owners of the archive; with ``to_user`` they belong to the user that the container runs as.
        """
        ...

    def empty_path(self, id: str, path: str) -> None:
        """Remove all that is in a directory of a container that does not run; where a volume is mounted, it stays.

        Only where the backend lacks `Capability.SNAPSHOTS`.
        """
        ...
