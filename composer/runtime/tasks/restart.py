"""Whether a container that ended starts again, and when. Docker's rules; no clocks, no processes.

The pause doubles from 100 ms to a minute, and begins anew after a run of ten seconds.
"""

from __future__ import annotations

_FIRST_S, _LONGEST_S, _GOOD_RUN_S = 0.1, 60.0, 10.0


class Policy:
    """``name``: no, always, unless-stopped, on-failure; ``maximum`` retries for on-failure, 0 for any number."""

    __slots__ = ("_pause_s", "maximum", "name", "retries")

    def __init__(self, name: str = "no", maximum: int = 0) -> None:
        self.name = name
        self.maximum = maximum
        self.retries = 0
        self._pause_s = 0.0

    def pause_s(self, *, exit_code: int | None, ran_s: float, stopped: bool) -> float | None:
        """Return how long to wait before the next start; None when there is to be none.

        ``stopped``: the user stopped it. An unknown exit code counts as a failure.
        """
        if stopped or self.name in ("", "no"):
            return None
        if self.name == "on-failure":
            if exit_code == 0 or (self.maximum and self.retries >= self.maximum):
                return None
            self.retries += 1
        if ran_s >= _GOOD_RUN_S:
            self._pause_s = 0.0
            self.retries = min(self.retries, 1)
        self._pause_s = min(_LONGEST_S, self._pause_s * 2 or _FIRST_S)
        return self._pause_s
