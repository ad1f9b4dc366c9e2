"""Who holds duplicates of descriptors, for a supervisor that comes after this one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class Holder(Protocol):
        def hold(self, descriptors: Mapping[str, int], pid: int = 0) -> None: ...
        def drop(self, *keys: str) -> None: ...
