"""The operation that waits. The coordinator of `execute` carries it out by itself: it goes by events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.engine.operations.row import WAITS, Resource, Row, text

if TYPE_CHECKING:
    from composer.engine.operations.row import ContainerRef


READY, STEADY = "ready", "steady"
"""Conditions besides those of depends_on."""


class WaitService(NamedTuple):
    """Wait until every container of a service meets ``condition``.

    A depends_on condition; or ``ready``: running, healthy where there is a health check, or finished with 0; or
    ``steady``: nothing has gone wrong with more than ``tolerated`` of them for ``timeout_s``. ``waiting`` names who
    needs it; empty where no service does. ``restarts``: so many of one of them, and it is hopeless.
    """

    service: str
    containers: tuple[ContainerRef, ...]
    condition: str
    cause: str
    waiting: tuple[str, ...] = ()
    required: bool = True
    timeout_s: float | None = None
    tolerated: int = 0
    restarts: int | None = None


_MET = {"service_healthy": "healthy", "service_completed_successfully": "completed"}


def met(condition: str) -> str:
    """Return a condition as a state, in a word."""
    return _MET.get(condition, condition)


def _waited_for(wait: WaitService) -> Resource:
    return wait.containers[0].resource if len(wait.containers) == 1 else Resource("service", wait.service)


def _progress(wait: WaitService) -> tuple[str, str]:
    return "waiting", "exited" if wait.condition == "service_completed_successfully" else "healthy"


def _brief(wait: WaitService) -> str:
    if wait.waiting:
        return f"wait until {wait.service} is {met(wait.condition)}"
    limit = f" for {wait.timeout_s:g} s" if wait.timeout_s else ""
    return f"wait until {met(wait.condition)}{limit}: {wait.cause}"


def _facts(wait: WaitService) -> dict[str, Any]:
    return {"service": wait.service, "condition": wait.condition}


ROWS: dict[type, Row] = {
    WaitService: Row(
        "wait for service",
        "waiting",
        "ready",
        WAITS,
        _waited_for,
        text("{o.service}: {o.condition}"),
        None,
        progress=_progress,
        brief=_brief,
        facts=_facts,
    )
}
