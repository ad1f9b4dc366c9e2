"""When a container is healthy: the state machine of a health check, without clocks or processes.

Docker's rules (interval counted from the end of the last probe, `retries` failures in a row, failures within
`start_period` do not count while starting) with one divergence: Docker makes its first probe after a whole
interval; we probe at once, and again after growing pauses until that moment. These early probes can only say
"healthy": their failures do not count, so nothing becomes unhealthy earlier than it would with Docker.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
_KEPT_PROBES = 5
MAX_OUTPUT_BYTES = 4096
LEAST_INTERVAL_NS = 100_000_000
"""More often would keep the machine busy with nothing but probes; `composer.values` has it for who warns of that."""
_SECOND = 1_000_000_000
_DEFAULTS_NS = {
    "interval": 30 * _SECOND,
    "timeout": 30 * _SECOND,
    "start_period": 0,
    "start_interval": 5 * _SECOND,
}
_EARLY_PAUSES_NS = (50_000_000, 100_000_000, 200_000_000, 400_000_000, 800_000_000, 1_600_000_000)


class Check:
    """One container's health check. ``config``: test, retries, and in ns interval, timeout, start_period, …."""

    __slots__ = ("attempts", "config", "failures", "probes", "retries", "started_ns", "status")

    def __init__(self, config: Mapping[str, Any], started_ns: int) -> None:
        self.config = {**_DEFAULTS_NS, **{key: value for key, value in config.items() if value}}
        for key in ("interval", "start_interval"):
            self.config[key] = max(self.config[key], LEAST_INTERVAL_NS)
        self.retries = config.get("retries") or 3
        self.started_ns = started_ns
        self.status = STARTING
        self.failures = 0
        self.attempts = 0
        self.probes: list[dict[str, Any]] = []

    def timeout_s(self) -> float:
        return float(self.config["timeout"]) / _SECOND

    def add(self, started_ns: int, ended_ns: int, exit_code: int, output: str) -> bool:
        """Take in one probe's outcome; True when the status changed."""
        before = self.status
        self.attempts += 1
        self.probes = [
            *self.probes[-(_KEPT_PROBES - 1) :],
            {"started_ns": started_ns, "ended_ns": ended_ns, "exit_code": exit_code, "output": output},
        ]
        if exit_code == 0:
            self.status, self.failures = HEALTHY, 0
        elif not (self.status == STARTING and self._early_ends_ns() > ended_ns):
            self.failures += 1
            if self.failures >= self.retries:
                self.status = UNHEALTHY
        return self.status != before

    def _early_ends_ns(self) -> int:
        """Return the end of the time in which a failure says nothing."""
        return self.started_ns + int(self.config["start_period"] or self.config["interval"])

    def delay_s(self, now_ns: int) -> float:
        """Return how long to wait, from the end of the last probe, before the next."""
        if self.attempts == 0:
            return 0.0
        remaining_ns = self._early_ends_ns() - now_ns
        if self.status == STARTING and remaining_ns > 0:
            pause_ns = _EARLY_PAUSES_NS[min(self.attempts, len(_EARLY_PAUSES_NS)) - 1]
            if self.config["start_period"]:
                pause_ns = min(pause_ns, int(self.config["start_interval"]))
            return min(pause_ns, remaining_ns) / _SECOND
        return int(self.config["interval"]) / _SECOND

    def record(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "failures": self.failures,
            "attempts": self.attempts,
            "probes": self.probes,
        }

    def restore(self, record: Mapping[str, Any]) -> None:
        """Go on where a supervisor before this one stopped."""
        self.status = record["status"]
        self.failures = record["failures"]
        self.attempts = record["attempts"]
        self.probes = list(record["probes"])
