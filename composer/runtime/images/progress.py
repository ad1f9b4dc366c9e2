"""How far a pull is, in one line: a cell for each layer that fills up, and the bytes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.runtime.images.download import Download

_CELLS = "⠀⡀⣀⣄⣤⣦⣶⣷⣿"
_MAX_CELLS = 24
_EVERY_S = 0.1


class Progress:
    """Tells at most ten times a second. ``clock`` counts seconds."""

    def __init__(
        self,
        downloads: Sequence[Download],
        tell: Callable[[str], None],
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
                self._tell(self.text())
        finally:
            self._lock.release()

    def text(self) -> str:
        done = sum(download.done_bytes for download in self._downloads)
        bytes_text = f"{_megabytes(done)} / {_megabytes(self._total_bytes)}"
        if done >= self._total_bytes:
            return f"extracting {_megabytes(self._total_bytes)}"
        if len(self._downloads) > _MAX_CELLS:
            finished = sum(download.done_bytes >= download.size_bytes for download in self._downloads)
            return f"{finished}/{len(self._downloads)} layers {bytes_text}"
        return f"[{''.join(_cell(download) for download in self._downloads)}] {bytes_text}"


def _cell(download: Download) -> str:
    if not download.size_bytes:
        return _CELLS[-1]
    return _CELLS[min(len(_CELLS) - 1, download.done_bytes * (len(_CELLS) - 1) // download.size_bytes)]


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f}MB"
