"""When changes are handled: once nothing has changed for a moment. What an editor or git writes is one batch."""

from __future__ import annotations

QUIET_S = 0.5
"""As in Docker Compose."""
LONGEST_S = 5.0
"""A file that is written without end must not keep the others waiting."""


class Batch:
    """The paths of one batch. Times are seconds of any clock that only goes forward."""

    def __init__(self, quiet_s: float = QUIET_S, longest_s: float = LONGEST_S) -> None:
        self._quiet_s, self._longest_s = quiet_s, longest_s
        self._paths: set[str] = set()
        self._first_s = self._last_s = 0.0

    def add(self, path: str, now_s: float) -> None:
        if not self._paths:
            self._first_s = now_s
        self._last_s = now_s
        self._paths.add(path)

    def due_in_s(self, now_s: float) -> float | None:
        """Return how long to wait for more; 0 when the batch is to be handled, None while there is none."""
        if not self._paths:
            return None
        due_s = min(self._last_s + self._quiet_s, self._first_s + self._longest_s)
        return max(0.0, due_s - now_s)

    def take(self) -> frozenset[str]:
        """Return the paths, and begin anew."""
        taken, self._paths = frozenset(self._paths), set()
        return taken
