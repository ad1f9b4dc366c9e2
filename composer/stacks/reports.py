"""What a stack was when something went wrong: states, health, and the last of the logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer import errors
from composer.engine import labels
from composer.engine.observed import Health, lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.engine.backend import Backend
    from composer.engine.observed import ObservedContainer
    from composer.engine.plan import Plan

LAST_LINES = 20


class ServiceReport(NamedTuple):
    """One container: its state in Docker's words, what its last health check said, its last lines of output."""

    service: str
    container: str
    state: str
    health: str = ""
    health_output: str = ""
    log: tuple[str, ...] = ()

    def __str__(self) -> str:
        found = [f"{self.container}: {self.state}{f' ({self.health})' if self.health else ''}"]
        found += [f"  health check: {self.health_output}"] if self.health_output else []
        found += [f"  | {line}" for line in self.log]
        return "\n".join(found)


class StackFailed(errors.EngineError):
    """A stack could not be started, or did not become ready in time.

    ``causes`` are the errors, ``plan`` what was to be done, ``services`` a report of each container that is not well.
    """

    def __init__(
        self, causes: Sequence[BaseException], plan: Plan | None, services: Sequence[ServiceReport]
    ) -> None:
        first = causes[0]
        text = "; ".join(str(cause) for cause in causes)
        super().__init__(text, hint=getattr(first, "hint", None))
        self.causes, self.plan, self.services = tuple(causes), plan, tuple(services)
        for report in services:
            self.add_note(str(report))


def report(backend: Backend, containers: Sequence[ObservedContainer]) -> list[ServiceReport]:
    """Return a report of each container."""
    return [_report(backend, container) for container in containers]


def unwell(containers: Sequence[ObservedContainer]) -> list[ObservedContainer]:
    """Return the containers that do not run well: not running, failed, or not healthy."""
    return [
        one
        for one in containers
        if one.health in (Health.STARTING, Health.UNHEALTHY)
        or (one.state.value != "running" and (one.exit_code != 0 or one.error))
    ]


def _report(backend: Backend, container: ObservedContainer) -> ServiceReport:
    output = ""
    try:
        probes = backend.probes(container.id) if container.health is not Health.NONE else ()
        output = probes[-1].output.strip() if probes else ""
        log = last_lines(backend, container.id)
    except errors.NotFound:
        log = ()  # it has removed itself meanwhile
    state = container.state.value
    if state == "exited":
        state = f"exited with code {'unknown' if container.exit_code is None else container.exit_code}"
    return ServiceReport(
        labels.service_of(container),
        container.name,
        f"{state}: {container.error}" if container.error else state,
        "" if container.health is Health.NONE else container.health.value,
        output,
        log,
    )


def last_lines(backend: Backend, id: str) -> tuple[str, ...]:
    stream = backend.logs([id], tail=LAST_LINES)
    try:
        return tuple(line.decode(errors="replace").rstrip("\r\n") for line in lines(stream))
    finally:
        stream.close()
