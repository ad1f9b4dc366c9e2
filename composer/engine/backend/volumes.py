"""Volumes: seen, made, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.engine.observed import ObservedVolume
    from composer.engine.wanted import LabelFilter, VolumeSpec


class VolumeObserver(Protocol):
    """What can be seen of volumes."""

    def find_volume(self, name: str) -> ObservedVolume | None: ...
    def volumes(self) -> Sequence[ObservedVolume]: ...


class Volumes(VolumeObserver, Protocol):
    """What can be done to volumes."""

    def create_volume(self, spec: VolumeSpec) -> str: ...
    def remove_volume(self, name: str) -> None: ...
    def prune_volumes(
        self, labels: Sequence[LabelFilter], *, everything: bool = False
    ) -> tuple[Sequence[str], int]:
        """Remove anonymous volumes, or all, that no container has; return their names and the bytes freed."""
        ...
