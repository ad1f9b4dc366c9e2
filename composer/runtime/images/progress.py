"""How far a pull or a push is: what is there of each layer, in bytes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_EVERY_S = 0.1


class Advance(NamedTuple):
    """``done`` of ``total`` are in ``unit``; ``parts`` are the same of each layer. ``what`` comes after the last."""

    what: str
    done: int
    total: int
    unit: str
    parts: tuple[tuple[int, int], ...]


class Part(NamedTuple):
    """A layer that is pulled or pushed. ``digest`` is of its blob in a pull, of its plain form in a push."""

    digest: str
    size_bytes: int
    is_there: bool = False


class Watcher:
    """Told of each layer of a pull or a push, by several threads. What one of its methods raises, ends the transfer."""

    def begun(self, parts: Sequence[Part]) -> None:
        """The manifest is known, and these are its layers, lowest first."""

    def moved(self, digest: str, done_bytes: int, total_bytes: int) -> None:
        """Bytes came or went. Called with each piece."""

    def ended(self, digest: str, how: str) -> None:
        """A layer is where it is to be: ``pulled``, ``pushed``, ``there``, or ``mounted from NAME``."""

    def described(self, digest: str, size_bytes: int) -> None:
        """The registry has this manifest or index under the name now."""


class Moving(Protocol):
    """A blob on its way: how much of it has come or gone, and who is told when that changes."""

    done_bytes: int
    size_bytes: int

    def watch(self, watcher: Callable[[], None]) -> None: ...


class Progress:
    """Tells at most ten times a second. ``clock`` counts seconds; ``what`` comes after the last byte."""

    def __init__(
        self,
        blobs: Sequence[Moving],
        tell: Callable[[Advance], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        what: str = "extracting",
    ) -> None:
        self._blobs, self._tell, self._clock, self._what = blobs, tell, clock, what
        self._lock = threading.Lock()
        self._told_s = -_EVERY_S
        for blob in blobs:
            blob.watch(self.moved)

    def moved(self) -> None:
        """Some bytes came or went."""
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
        parts = tuple((blob.done_bytes, blob.size_bytes) for blob in self._blobs)
        done, total = (sum(sizes[side] for sizes in parts) for side in (0, 1))
        return Advance(self._what, done, total, "bytes", parts)
