"""The health check of one running container: when to probe, and what to do with the answer."""

from __future__ import annotations

import time

from composer.runtime.base import files, records
from composer.runtime.tasks import executions, health

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from composer.runtime.base.loop import Timer
    from composer.runtime.base.record_types import HealthRecord
    from composer.runtime.tasks.first_process import FirstProcess
    from composer.runtime.tasks.record import Record
    from composer.runtime.tasks.services import Services

_WHILE_PAUSED_S = 1.0


class Probing:
    """Probes one run of a container, until `stop`. The outcome is in health.json and in events."""

    def __init__(
        self,
        services: Services,
        record: Record,
        process: FirstProcess,
        config: dict[str, Any],
        found: HealthRecord | None,
        on_change: Callable[[], None],
    ) -> None:
        """``found`` is what an earlier supervisor's checks of this run have found.

        ``on_change`` is called when the health has changed.
        """
        self._on_change = on_change
        self._services, self._record, self._process = services, record, process
        self._check = health.Check(config, int(record.state["started_ns"]))
        self._timer: Timer | None = None
        self._stopped = False
        if found is not None:
            self._check.restore(found)
        self._save()
        self._schedule(self._check.delay_s(time.time_ns()))

    @property
    def is_healthy(self) -> bool:
        return self._check.status == health.HEALTHY

    def stop(self) -> None:
        """Forget it: a probe that is still on its way says nothing any more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        files.remove_file(f"{self._record.bundle}/health.json")

    def _schedule(self, delay_s: float) -> None:
        self._timer = self._services.loop.after(delay_s, self._probe)

    def _probe(self) -> None:
        if self._record.status != "running":
            self._schedule(_WHILE_PAUSED_S)
            return
        started_ns = time.time_ns()
        place = executions.Place(self._process, self._record.config)
        executions.probe(
            self._services,
            place,
            self._check.config["test"],
            self._check.timeout_s(),
            lambda exit_code, output: self._done(started_ns, exit_code, output),
        )

    def _done(self, started_ns: int, exit_code: int, output: bytes) -> None:
        if self._stopped:
            return
        text = output[: health.MAX_OUTPUT_BYTES].decode("utf-8", "replace")
        changed = self._check.add(started_ns, time.time_ns(), exit_code, text)
        self._save()
        self._schedule(self._check.delay_s(time.time_ns()))
        if changed:
            self._record.emit("health_status", health_status=self._check.status)
            self._on_change()

    def _save(self) -> None:
        try:
            records.write_health(self._record.bundle, self._check.record())
        except OSError as error:
            self._services.on_error(error)  # the disk is full: it is probed all the same
