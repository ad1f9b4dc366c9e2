"""What is said of containers for which there is nothing to do, as Docker Compose says it."""

from __future__ import annotations

import pytest

from composer.backends.memory import Behaviour
from composer.engine import actions
from composer.engine.observed import Health
from composer.engine.options import Options
from composer.engine.planning.lifecycle import Teardown
from composer.errors import DependencyFailed
from tests.unit.engine.stage import Stage

GATED = """
services:
  db: {image: i, healthcheck: {test: [CMD, a]}}
  web: {image: i, depends_on: {db: {condition: service_healthy}}}
"""


def _said(stage: Stage) -> list[str]:
    said = [f"{event.resource.name.removeprefix('app-')} {event.text}" for event in stage.recorder.events]
    stage.recorder.events.clear()
    return said


def test_an_up_that_does_nothing_says_what_runs_and_what_is_healthy(stage: Stage) -> None:
    stage.up(GATED)
    _said(stage)
    plan = stage.up(GATED)
    assert plan.steps == ()
    assert _said(stage) == ["db-1 running", "web-1 running", "db-1 waiting", "db-1 healthy"]


def test_an_up_that_starts_nothing_waits_for_the_health_that_others_need(stage: Stage) -> None:
    stage.up(GATED)
    stage.backend.set_health("app-db-1", Health.UNHEALTHY)
    plan = stage.plan(GATED)
    assert (plan.has_changes, len(plan.steps)) == (False, 1)
    with pytest.raises(DependencyFailed, match="unhealthy"):
        stage.up(GATED)
    stage.backend.set_health("app-db-1", Health.STARTING)
    stage.when_running(["app-web-1"], lambda: stage.backend.set_health("app-db-1", Health.HEALTHY))
    stage.up(GATED)


def test_without_a_start_nothing_is_waited_for(stage: Stage) -> None:
    stage.up(GATED)
    stage.backend.set_health("app-db-1", Health.UNHEALTHY)
    assert stage.plan(GATED, Options(start=False)).steps == ()
    assert stage.plan(GATED, Options(services=("web",), dependencies=False)).steps == ()


def test_what_does_not_run_is_stopped_in_words(stage: Stage) -> None:
    stage.backend.behave("job", Behaviour(exits=(0,)))
    stage.up("services: {job: {image: i}, web: {image: i}}")
    _said(stage)
    actions.stop(stage.engine, "app", ("job",))
    assert _said(stage) == ["job-1 stopping", "job-1 stopped"]
    actions.down(stage.engine, "app", Teardown())
    said = _said(stage)
    assert [one for one in said if one.startswith("job-1")] == [
        *("job-1 stopping", "job-1 stopped"),
        *("job-1 removing", "job-1 removed"),
    ]


def test_rm_says_of_a_stopped_container_that_it_is_removed(stage: Stage) -> None:
    stage.backend.behave("job", Behaviour(exits=(0,)))
    stage.up("services: {job: {image: i}}")
    _said(stage)
    actions.remove(stage.engine, "app")
    assert _said(stage) == ["job-1 removing", "job-1 removed"]


def test_a_restart_has_phases_of_its_own_also_of_what_does_not_run(stage: Stage) -> None:
    stage.up("services: {web: {image: i}}")
    _said(stage)
    actions.restart(stage.engine, "app")
    assert _said(stage) == ["web-1 restarting", "web-1 restarting", "web-1 restarting", "web-1 started"]
    stage.backend.stop_container("app-web-1")
    actions.restart(stage.engine, "app")
    assert _said(stage) == ["web-1 restarting", "web-1 started"]


JOBS = """
services:
  job: {image: i}
  db: {image: i, healthcheck: {test: [CMD, a]}}
  web:
    image: i
    depends_on: {db: {condition: service_healthy}, job: {condition: service_completed_successfully}}
"""


def test_a_job_that_runs_again_and_fails_is_a_failure_of_an_up_that_leaves_its_dependents(
    stage: Stage,
) -> None:
    stage.backend.behave("job", Behaviour(exits=(0, 3)))
    stage.up(JOBS)
    assert [str(step).split(":")[0] for step in stage.plan(JOBS).steps] == [
        "#1 start container app-job-1",
        "#2 wait for service job",
    ]
    with pytest.raises(DependencyFailed, match="exit 3"):
        stage.up(JOBS)
    assert stage.states()["app-web-1"] == "running"


def test_a_dependency_that_is_started_is_waited_for_although_its_dependents_run(stage: Stage) -> None:
    stage.up(GATED)
    stage.backend.stop_container("app-db-1")
    stage.backend.behave("db", Behaviour(health=(Health.UNHEALTHY,)))
    with pytest.raises(DependencyFailed, match="unhealthy"):
        stage.up(GATED)


def test_a_paused_dependency_is_not_met(stage: Stage) -> None:
    stage.up(GATED)
    stage.backend.pause_container("app-db-1")
    _said(stage)
    with pytest.raises(DependencyFailed, match="paused"):
        stage.up(GATED)
    assert "db-1 running" not in _said(stage)
