"""The runtime's streams in the engine's values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine.observed import Event, LogPiece

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.runtime.objects import journal, log_reader


class Logs:
    """The lines of containers, merged by time."""

    def __init__(self, lines: log_reader.Logs) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[LogPiece]:
        return (LogPiece(*line) for line in self._lines)

    def close(self) -> None:
        self._lines.close()


class Events:
    """What happens, from the moment on at which it was made."""

    def __init__(self, events: journal.ProjectEvents) -> None:
        self._events = events

    def next(self, timeout_s: float | None) -> Event | None:
        found = self._events.next(timeout_s)
        return None if found is None else Event(*found)

    def close(self) -> None:
        self._events.close()
