"""Whether a container that ended starts again, and when. Docker's rules; no clocks, no processes.

And a container that is renewed (`supervision.renewal`) starts again whatever its policy is.

The pause doubles from 100 ms to a minute, and begins anew after a run of ten seconds.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from composer.runtime.tasks.record import Record

_NEVER_EXECUTED = (126, 127)
"""What a program's start ends with when there is no such program: the next start would find no other."""
OWED = "started"
"""What a container that was started again owes to others: to begin anew (`supervision.renewal`)."""
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


class Restarts:
    """The restarts of one container, as its record and its configuration want them."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._policy = Policy()
        self.take_policy()

    def take_policy(self) -> None:
        """Read the policy from the configuration, which may be another now; what was counted stays."""
        wanted = self._record.extras.get("restart", {})
        self._policy.name, self._policy.maximum = wanted.get("policy", "no"), wanted.get("maximum", 0)

    def begin_anew(self) -> None:
        """Somebody asked for a start: what failed before does not count."""
        self._policy.retries = 0

    def pause_s(self, *, exit_code: int | None, ran_s: float) -> float | None:
        """Return how long to wait before the next start, now that the program has ended; None: there is none."""
        if self._record.state.get("renewing") and not self._record.is_stopped():
            return 0.0
        return self._policy.pause_s(exit_code=exit_code, ran_s=ran_s, stopped=self._record.is_stopped())

    def pause_after_failure_s(self, exit_code: int) -> float | None:
        """Return how long to wait before a restart that came to nothing is tried again; None when it is not.

        A full disk, a network that is not there yet, a supervisor that was killed: the container is to run, so its
        policy decides, as after an end of the program. Who asked for a start is told, and decides alone.
        """
        if not self._record.state.get("again") or exit_code in _NEVER_EXECUTED:
            return None
        return self._policy.pause_s(exit_code=exit_code, ran_s=0.0, stopped=self._record.is_stopped())
