"""What is inside containers, and at the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from composer.engine.inspected import DiskUse, PathStat, Processes, Usage


class FileObserver(Protocol):
    """What can be seen inside of containers, and of the disk."""

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


class Files(FileObserver, Protocol):
    """What can be changed inside of containers."""

    def write_path(self, id: str, path: str, archive: Iterable[bytes], *, to_user: bool = False) -> None:
        """Unpack a tar into a directory of a container, running or not. Nothing becomes a directory that is none.

        Files keep the archive's owners; with ``to_user`` they belong to the user that the container runs as.
        """
        ...
