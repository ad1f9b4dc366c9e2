"""A plan is carried out as its arrows say, and what goes wrong is told exactly."""

from __future__ import annotations

import threading

import pytest
from stage import Stage

from composer.backends.memory import Behaviour
from composer.engine import actions
from composer.engine.backend import Health
from composer.engine.decide import Options
from composer.engine.execute import execute
from composer.engine.lifecycle import Teardown
from composer.errors import (
    BackendError,
    Cancelled,
    DependencyFailed,
    OperationFailed,
    StartFailed,
    Timeout,
    Unhealthy,
)

CHAIN = """
    services:
      db: {image: db, healthcheck: {test: [CMD, check]}}
      web: {image: web, depends_on: {db: {condition: service_healthy}}}
      front: {image: web, depends_on: [web]}
"""


def test_services_start_in_the_order_of_their_dependencies(stage: Stage) -> None:
    stage.up(CHAIN)
    started = [name for method, name in stage.backend.calls if method == "start_container"]
    assert started == ["app-db-1", "app-web-1", "app-front-1"]


def test_everything_is_created_although_a_dependency_is_not_healthy_yet(stage: Stage) -> None:
    stage.backend.behave("db", Behaviour(health=()))
    running = threading.Thread(target=stage.up, args=(CHAIN,))
    running.start()
    with stage.backend.changed:
        assert stage.backend.changed.wait_for(
            lambda: len(stage.names()) == 3 and _is_up(stage, "app-db-1"), 5
        )
        assert stage.states()["app-web-1"] == "created"
    stage.backend.set_health("app-db-1", Health.HEALTHY)
    running.join(5)
    assert set(stage.states().values()) == {"running"}


def _is_up(stage: Stage, name: str) -> bool:
    return stage.states()[name] == "running"


def test_what_depends_on_a_failure_is_skipped_and_only_the_root_is_reported(stage: Stage) -> None:
    stage.backend.fail("start_container", "app-db-1", BackendError("no room"))
    with pytest.raises(OperationFailed) as caught:
        stage.up(CHAIN)
    assert str(caught.value) == "start container app-db-1: no room"
    assert stage.recorder.of("app-web-1")[-1] == "skipped"
    assert stage.recorder.of("app-front-1")[-1] == "skipped"
    assert stage.states()["app-web-1"] == "created"


def test_independent_failures_come_together(stage: Stage) -> None:
    stage.backend.fail("create_container", "app-a-1", BackendError("first"))
    stage.backend.fail("create_container", "app-b-1", BackendError("second"))
    with pytest.raises(ExceptionGroup) as caught:
        stage.up("services: {a: {image: a}, b: {image: b}, c: {image: c}}")
    assert sorted(str(e) for e in caught.value.exceptions) == [
        "create container app-a-1: first",
        "create container app-b-1: second",
    ]
    assert stage.states() == {"app-c-1": "running"}


def test_a_command_that_cannot_be_executed_gives_its_exit_code(stage: Stage) -> None:
    stage.backend.behave("a", Behaviour(start_error=StartFailed("no such program", 127)))
    with pytest.raises(OperationFailed) as caught:
        stage.up("services: {a: {image: a}}")
    assert caught.value.exit_code == 127


def test_an_unhealthy_dependency_is_diagnosed(stage: Stage) -> None:
    stage.backend.behave("db", Behaviour(health=(), output=("starting", "disk full")))
    failed: list[BaseException] = []

    def run() -> None:
        try:
            stage.up(CHAIN)
        except BaseException as error:
            failed.append(error)

    running = threading.Thread(target=run)
    running.start()
    with stage.backend.changed:
        stage.backend.changed.wait_for(lambda: "app-db-1" in stage.names() and _is_up(stage, "app-db-1"), 5)
    stage.backend.set_health("app-db-1", Health.UNHEALTHY, "connection refused")
    running.join(5)
    (error,) = failed
    assert isinstance(error, DependencyFailed)
    assert str(error) == "dependency 'db' failed to start: container 'app-db-1' is unhealthy"
    assert error.__notes__ == [
        "container 'app-db-1' is running (unhealthy)",
        "last health check: exit 1",
        "  connection refused",
        "last output:",
        "  starting",
        "  disk full",
        "waiting for it: web",
    ]


def test_health_of_the_run_before_does_not_count(stage: Stage) -> None:
    stage.up(CHAIN)
    stage.backend.set_health("app-db-1", Health.UNHEALTHY)
    actions.stop(stage.engine, "app")
    stage.up(CHAIN)
    assert set(stage.states().values()) == {"running"}


@pytest.mark.parametrize(
    ("exits", "message"),
    [
        ((3,), "service 'job' did not complete successfully: container 'app-job-1' exited (3)"),
        ((0,), None),
    ],
)
def test_a_job_gates_by_its_exit_code(stage: Stage, exits: tuple[int], message: str | None) -> None:
    stage.backend.behave("job", Behaviour(exits=exits))
    text = """
        services:
          job: {image: a}
          web: {image: a, depends_on: {job: {condition: service_completed_successfully}}}
    """
    if message is None:
        stage.up(text)
        assert stage.states()["app-web-1"] == "running"
    else:
        with pytest.raises(DependencyFailed) as caught:
            stage.up(text)
        assert str(caught.value) == message


def test_all_replicas_of_a_dependency_count(stage: Stage) -> None:
    stage.backend.behave("db", Behaviour(health=()))
    text = CHAIN.replace("image: db,", "image: db, scale: 2,")
    running = threading.Thread(target=stage.up, args=(text,))
    running.start()
    with stage.backend.changed:
        stage.backend.changed.wait_for(lambda: list(stage.states().values()).count("running") == 2, 5)
    stage.backend.set_health("app-db-1", Health.HEALTHY)
    assert stage.states()["app-web-1"] == "created"
    stage.backend.set_health("app-db-2", Health.HEALTHY)
    running.join(5)
    assert stage.states()["app-web-1"] == "running"


def test_a_dependency_that_is_not_required_may_fail(stage: Stage) -> None:
    stage.backend.behave("cache", Behaviour(exits=(1,)))
    stage.up("""
        services:
          cache: {image: a, healthcheck: {test: [CMD, x]}}
          web:
            image: a
            depends_on: {cache: {condition: service_healthy, required: false}}
    """)
    assert stage.states()["app-web-1"] == "running"
    assert stage.recorder.warnings == [
        "dependency 'cache' failed to start: container 'app-cache-1' exited (1) (not required)"
    ]


def test_a_dependency_without_health_check_cannot_be_healthy(stage: Stage) -> None:
    with pytest.raises(DependencyFailed, match="has no health check configured"):
        stage.up("""
            services:
              db: {image: db}
              web: {image: web, depends_on: {db: {condition: service_healthy}}}
        """)


def test_wait_accepts_a_job_that_nobody_waits_for(stage: Stage) -> None:
    stage.backend.behave("job", Behaviour(exits=(0,)))
    stage.up("services: {job: {image: a}, web: {image: a}}", Options(wait=True))


def test_wait_refuses_a_service_that_failed(stage: Stage) -> None:
    stage.backend.behave("web", Behaviour(exits=(2,), output=("bad flag",)))
    with pytest.raises(Unhealthy) as caught:
        stage.up("services: {web: {image: a}}", Options(wait=True))
    assert str(caught.value) == "service 'web' is not ready: container 'app-web-1' exited (2)"
    assert "  bad flag" in caught.value.__notes__


def test_wait_ends_at_its_timeout(stage: Stage) -> None:
    stage.backend.behave("db", Behaviour(health=()))
    with pytest.raises(Timeout) as caught:
        stage.up(
            "services: {db: {image: db, healthcheck: {test: [CMD, x]}}}",
            Options(wait=True, wait_timeout_s=0.05),
        )
    assert str(caught.value) == "application not healthy after 50ms: service 'db' is not ready"


def test_the_first_request_to_cancel_starts_nothing_new(stage: Stage) -> None:
    stage.backend.behave("db", Behaviour(health=()))
    failed: list[BaseException] = []

    def run() -> None:
        try:
            stage.up(CHAIN)
        except BaseException as error:
            failed.append(error)

    running = threading.Thread(target=run)
    running.start()
    with stage.backend.changed:
        stage.backend.changed.wait_for(lambda: len(stage.names()) == 3 and _is_up(stage, "app-db-1"), 5)
    stage.cancel.request()
    running.join(5)
    assert not running.is_alive()
    assert isinstance(failed[0], Cancelled)
    assert failed[0].exit_code == 130
    assert stage.states()["app-web-1"] == "created"


def test_a_pulled_image_is_written_into_the_label(stage: Stage) -> None:
    stage.up("services: {web: {image: web}}")
    (container,) = stage.backend.observe("app").containers
    image = stage.backend.find_image("web")
    assert image is not None
    assert container.labels["com.docker.compose.image"] == image.id


def test_nothing_to_execute_is_done_at_once(stage: Stage) -> None:
    stage.up("services: {web: {image: web}}")
    plan = stage.plan("services: {web: {image: web}}")
    assert execute(plan, stage.backend, stage.recorder).done == ()


def test_down_leaves_nothing(stage: Stage) -> None:
    stage.up("""
        services:
          db: {image: db, volumes: [data:/data, /anonymous]}
          web: {image: web, depends_on: [db]}
        volumes: {data: {}}
    """)
    stage.backend.calls.clear()
    actions.down(stage.engine, "app", Teardown(volumes=True))
    assert actions.is_empty(stage.backend.observe("app"))
    assert not stage.backend.volumes()
    stopped = [name for method, name in stage.backend.calls if method == "stop_container"]
    assert stopped == ["app-web-1", "app-db-1"]
