"""Snapshots of data: seen, taken, placed, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.engine.observed import ObservedSnapshot
    from composer.engine.wanted import SnapshotSpec


class Snapshots(Protocol):
    """Keeps snapshots. A backend that has `Capability.SNAPSHOTS` does; for others `Copies` does it with volumes."""

    def snapshots(self) -> Sequence[ObservedSnapshot]: ...

    def restores_by(self) -> str:
        """Return the way that data comes back: ``reflink``, ``overlay`` or ``copy``."""
        ...

    def save_snapshot(self, spec: SnapshotSpec) -> ObservedSnapshot:
        """Take a snapshot: whole, or none. Raises Conflict where somebody may write meanwhile, Unsupported."""
        ...

    def place_snapshot(self, id: str, project: str, targets: Sequence[tuple[int, str]]) -> str:
        """Replace the data of targets, pairs of a part's index and a volume's name or a container's id.

        All are replaced, or none. Returns the way: ``reflink``, ``overlay`` or ``copy``. Raises Conflict while one is
        in use.
        """
        ...

    def remove_snapshot(self, id: str) -> Sequence[str]:
        """Remove a snapshot; return the volumes that lie over its files, which are kept until these are removed."""
        ...

    def finish_snapshots(self) -> None:
        """Finish or undo what commands began that were killed."""
        ...
