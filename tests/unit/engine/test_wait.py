"""What a container's state means for who waits for it."""

from __future__ import annotations

import pytest

from composer.engine.observed import ContainerState as S
from composer.engine.observed import Health as H
from composer.engine.observed import ObservedContainer, Probe
from composer.engine.operations.row import ContainerRef
from composer.engine.operations.waiting import WaitService
from composer.engine.running.wait import FAILED, MET, PENDING, SETTLING, describe, judge, look
from composer.graph import COMPLETED, HEALTHY
from tests.unit.engine.stage import Stage

READY = "ready"


@pytest.mark.parametrize(
    ("state", "health", "code", "healthy", "completed", "ready"),
    [
        (S.CREATED, H.NONE, None, FAILED, FAILED, FAILED),
        (S.RUNNING, H.NONE, None, FAILED, PENDING, SETTLING),
        (S.RUNNING, H.STARTING, None, PENDING, PENDING, PENDING),
        (S.RUNNING, H.HEALTHY, None, MET, PENDING, MET),
        (S.RUNNING, H.UNHEALTHY, None, FAILED, PENDING, FAILED),
        (S.RESTARTING, H.UNHEALTHY, 1, PENDING, PENDING, PENDING),
        (S.PAUSED, H.HEALTHY, None, FAILED, FAILED, FAILED),
        (S.EXITED, H.HEALTHY, 0, FAILED, MET, MET),
        (S.EXITED, H.NONE, 3, FAILED, FAILED, FAILED),
        (S.EXITED, H.NONE, None, FAILED, FAILED, FAILED),
        (S.DEAD, H.NONE, 0, FAILED, MET, MET),
        (S.REMOVING, H.NONE, 0, FAILED, FAILED, FAILED),
    ],
)
def test_every_state_has_a_verdict(
    state: S, health: H, code: int | None, healthy: str, completed: str, ready: str
) -> None:
    container = ObservedContainer("id", "n", {}, state, health=health, exit_code=code)
    assert [judge(c, container).state for c in (HEALTHY, COMPLETED, READY)] == [healthy, completed, ready]


@pytest.mark.parametrize(
    ("container", "text"),
    [
        ({"state": S.RUNNING}, "running"),
        ({"state": S.RUNNING, "health": H.UNHEALTHY}, "running (unhealthy)"),
        ({"state": S.EXITED, "exit_code": 137, "oom_killed": True}, "exited (137, out of memory)"),
        ({"state": S.EXITED}, "exited (unknown exit code)"),
        ({"state": S.PAUSED}, "paused"),
    ],
)
def test_describe(container: dict[str, object], text: str) -> None:
    assert describe(ObservedContainer("id", "n", {}, **container)) == text  # type: ignore[arg-type]


def gate(stage: Stage, condition: str = HEALTHY) -> tuple[WaitService, list[str]]:
    (container,) = stage.backend.observe("app").containers
    ref = ContainerRef(container.name, "db", 1, container.id)
    return WaitService("db", (ref,), condition, "test", waiting=("web",)), [container.id]


def test_a_probe_from_before_the_last_start_is_stale(stage: Stage) -> None:
    stage.up("services: {db: {image: db, healthcheck: {test: [CMD, x]}}}")
    operation, ids = gate(stage)
    stage.backend.set_health("app-db-1", H.UNHEALTHY)
    assert look(stage.backend, operation, ids).state == FAILED
    container = stage.backend.by_id[ids[0]]
    container.probes = [Probe(1, 2, 1, "from another life")]
    assert look(stage.backend, operation, ids).state == PENDING


def test_a_container_that_is_gone_cannot_be_waited_for(stage: Stage) -> None:
    stage.up("services: {db: {image: db, healthcheck: {test: [CMD, x]}}}")
    operation, ids = gate(stage)
    stage.backend.remove_container(ids[0], force=True)
    found = look(stage.backend, operation, ids)
    assert found.state == FAILED
    assert "was removed" in str(found.error)
