"""The health check of one running container: when to probe, and what to do with the answer."""

from __future__ import annotations

import time

from composer.runtime.base import files
from composer.runtime.supervision import health

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from composer.runtime.base.loop import Timer
    from composer.runtime.supervision.task import Task

_WHILE_PAUSED_S = 1.0


class Probing:
    """Probes one run of a container, until `stop`. The outcome is in health.json and in events."""

    def __init__(self, task: Task, config: dict[str, Any], record: dict[str, Any] | None) -> None:
        self._task = task
        self._check = health.Check(config, int(task.state["started_ns"]))
        self._timer: Timer | None = None
        if record is not None:
            self._check.restore(record)
        self._save()
        self._schedule(self._check.delay_s(time.time_ns()))

    def stop(self) -> None:
        """Forget it: a probe that is still on its way says nothing any more."""
        self._task.probing = None
        if self._timer is not None:
            self._timer.cancel()
        files.remove_file(f"{self._task.bundle}/health.json")

    def _schedule(self, delay_s: float) -> None:
        self._timer = self._task.supervisor.loop.after(delay_s, self._probe)

    def _probe(self) -> None:
        if self._task.status != "running":
            self._schedule(_WHILE_PAUSED_S)
            return
        started_ns = time.time_ns()
        self._task.supervisor.executions.probe(
            self._task,
            self._check.config["test"],
            self._check.timeout_s(),
            lambda exit_code, output: self._done(started_ns, exit_code, output),
        )

    def _done(self, started_ns: int, exit_code: int, output: bytes) -> None:
        if self._task.probing is not self:
            return
        text = output[: health.MAX_OUTPUT_BYTES].decode("utf-8", "replace")
        changed = self._check.add(started_ns, time.time_ns(), exit_code, text)
        self._save()
        if changed:
            self._task.emit("health_status", health_status=self._check.status)
        self._schedule(self._check.delay_s(time.time_ns()))

    def _save(self) -> None:
        try:
            files.write_json(f"{self._task.bundle}/health.json", self._check.record())
        except OSError as error:
            self._task.supervisor.on_error(error)  # the disk is full: it is probed all the same
