"""How far a pull is: what is there of each layer, in bytes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.runtime.images.download import Download

_EVERY_S = 0.1


class Advance(NamedTuple):
    """``done`` of ``total`` are in ``unit``; ``parts`` are the same of each layer. ``what`` comes after the last."""

    what: str
    done: int
    total: int
    unit: str
    parts: tuple[tuple[int, int], ...]


class Progress:
    """Tells at most ten times a second. ``clock`` counts seconds."""

    def __init__(
        self,
        downloads: Sequence[Download],
        tell: Callable[[Advance], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._downloads, self._tell, self._clock = downloads, tell, clock
        self._total_bytes = sum(download.size_bytes for download in downloads)
        self._lock = threading.Lock()
        self._told_s = -_EVERY_S
        for download in downloads:
            download.watch(self.moved)

    def moved(self) -> None:
        """Some bytes came."""
        if not self._lock.acquire(blocking=False):
            return  # another thread is telling
        try:
            now = self._clock()
            if now - self._told_s >= _EVERY_S:
                self._told_s = now
                self._tell(self.advance())
        finally:
            self._lock.release()

    def advance(self) -> Advance:
        """Return how far it is now."""
        parts = tuple((download.done_bytes, download.size_bytes) for download in self._downloads)
        return Advance("extracting", sum(done for done, _ in parts), self._total_bytes, "bytes", parts)
