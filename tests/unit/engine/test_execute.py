"""A plan is carried out as its arrows say, and what goes wrong is told exactly."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from composer.backends.memory import Behaviour
from composer.engine import actions
from composer.engine.observed import Health
from composer.engine.options import Options
from composer.engine.planning.lifecycle import Teardown
from composer.engine.providers import models
from composer.engine.running.execute import execute
from composer.engine.wanted import ContainerSpec, ExecSpec, Limitation
from composer.errors import (
    BackendError,
    Cancelled,
    DependencyFailed,
    EngineError,
    OperationFailed,
    StartFailed,
    Timeout,
    Unhealthy,
    Unsupported,
)
from tests.unit.engine.stage import Stage

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


def test_a_command_that_cannot_be_executed_fails_the_change_with_1(stage: Stage) -> None:
    stage.backend.behave("a", Behaviour(start_error=StartFailed("no such program", 127)))
    with pytest.raises(OperationFailed) as caught:
        stage.up("services: {a: {image: a}}")
    assert caught.value.exit_code == 1
    assert getattr(caught.value.cause, "exit_code", None) == 127


@contextmanager
def failing(command: Callable[[], object]) -> Iterator[list[BaseException]]:
    """Run a command beside the block, and see that it ends soon after; yield what it fails with."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            command()
        except BaseException as error:
            failed.append(error)

    running = threading.Thread(target=run)
    running.start()
    yield failed
    running.join(5)
    assert not running.is_alive()


def test_an_unhealthy_dependency_is_diagnosed(stage: Stage) -> None:
    stage.backend.behave("db", Behaviour(health=(), output=("starting", "disk full")))
    with failing(lambda: stage.up(CHAIN)) as failed:
        with stage.backend.changed:
            stage.backend.changed.wait_for(
                lambda: "app-db-1" in stage.names() and _is_up(stage, "app-db-1"), 5
            )
        stage.backend.set_health("app-db-1", Health.UNHEALTHY, "connection refused")
    (error,) = failed
    assert isinstance(error, DependencyFailed)
    assert str(error) == "dependency failed to start: container app-db-1 is unhealthy"
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
        ((3,), 'service "job" didn\'t complete successfully: exit 3 (container app-job-1)'),
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
    assert stage.states().get("app-web-1") != "running"  # it may not be created yet
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
        'optional dependency "cache" failed to start: container app-cache-1 exited (1)'
    ]


def test_a_dependency_without_health_check_cannot_be_healthy(stage: Stage) -> None:
    with pytest.raises(DependencyFailed, match="has no healthcheck configured"):
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
    assert str(caught.value) == "container app-web-1 exited (2)"
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
    with failing(lambda: stage.up(CHAIN)) as failed:
        with stage.backend.changed:
            stage.backend.changed.wait_for(lambda: len(stage.names()) == 3 and _is_up(stage, "app-db-1"), 5)
        stage.cancel.request()
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


# ------------------------------------------------------------------ hooks, limits, late binding, cancellation

HOOKS = """
    services:
      web:
        image: web
        post_start: [{command: [warm, up], user: root}]
        pre_stop: [{command: [cool, down]}]
"""


def hooked(stage: Stage, codes: dict[str, int]) -> list[tuple[str, ...]]:
    """Script the hooks of web by their first word; return the list of what was run."""
    ran: list[tuple[str, ...]] = []

    def script(spec: ExecSpec) -> tuple[int, bytes]:
        ran.append(tuple(spec.command))
        return codes.get(spec.command[0], 0), b"some output\n"

    stage.backend.behave("web", Behaviour(exec=script))
    return ran


def test_hooks_run_on_every_start_and_before_every_stop(stage: Stage) -> None:
    ran = hooked(stage, {})
    stage.up(HOOKS)
    stage.up(HOOKS.replace("[warm, up]", "[warm, again]"))
    actions.restart(stage.engine, "app")
    actions.down(stage.engine, "app", Teardown())
    assert ran == [
        ("warm", "up"),
        ("cool", "down"),  # replaced
        ("warm", "again"),
        ("cool", "down"),  # restarted
        ("warm", "again"),
        ("cool", "down"),  # removed
    ]


def test_a_failing_post_start_hook_fails_the_start_with_its_output(stage: Stage) -> None:
    hooked(stage, {"warm": 3})
    with pytest.raises(EngineError) as caught:
        stage.up(HOOKS)
    assert str(caught.value) == ("web hook exited with status 3: post_start[0], 'warm up'")
    assert caught.value.__notes__ == ["  some output"]


def test_a_failing_pre_stop_hook_does_not_keep_a_container_from_stopping(stage: Stage) -> None:
    hooked(stage, {"cool": 1})
    stage.up(HOOKS)
    reason = "web hook exited with status 1: pre_stop[0], 'cool down'"
    with pytest.raises(EngineError) as caught:
        actions.stop(stage.engine, "app")
    assert str(caught.value) == reason
    assert stage.states() == {"app-web-1": "exited"}
    said = [event.advance.what for event in stage.recorder.events if event.advance is not None]
    assert said[-1] == reason


def test_a_failing_pre_stop_hook_makes_down_fail_when_all_is_gone(stage: Stage) -> None:
    hooked(stage, {"cool": 1})
    stage.up(HOOKS)
    with pytest.raises(EngineError, match=r"pre_stop\[0\]"):
        actions.down(stage.engine, "app", Teardown())
    assert stage.states() == {}
    assert not stage.backend.observe("app").networks


def test_it_is_no_failure_of_an_update(stage: Stage) -> None:
    hooked(stage, {"cool": 1})
    stage.up(HOOKS)
    stage.up(HOOKS.replace("image: ", "user: other\n        image: "))
    assert stage.states() == {"app-web-1": "running"}


def test_what_a_backend_cannot_do_stops_the_plan_before_anything_happens(stage: Stage) -> None:
    def limitations(attributes: Mapping[str, Any]) -> list[Limitation]:
        found = [Limitation(("gpus",), "there is no GPU here")] if "gpus" in attributes else []
        return found + [Limitation(("user",), "it is ignored", fatal=False)] * ("user" in attributes)

    stage.backend.limit(limitations)
    with pytest.raises(Unsupported) as caught:
        stage.up("services: {web: {image: web, gpus: all}}")
    assert caught.value.feature == "services.web.gpus"
    assert str(caught.value).endswith("compose.yaml:1:36: services.web.gpus: there is no GPU here")
    assert stage.backend.calls == []
    with pytest.raises(ExceptionGroup, match="cannot run this project"):
        stage.up("services: {a: {image: web, gpus: all}, b: {image: web, gpus: all}}")
    stage.up("services: {web: {image: web, user: nobody}}")
    assert [w.rpartition(": ")[2] for w in stage.recorder.warnings] == ["it is ignored"]


def test_the_hash_of_a_shared_namespace_is_over_the_id_as_in_docker_compose(stage: Stage) -> None:
    from composer.engine.resolving.hashing import service_hash

    text = "services: {vpn: {image: i}, app: {image: i, network_mode: 'service:vpn'}}"
    for change in ("", ", user: root"):
        now = text.replace("vpn: {image: i", f"vpn: {{image: i{change}")
        stage.up(now)
        by_name = {c.name: c for c in stage.backend.observe("app").containers}
        tree = {
            **stage.project(now).tree["services"]["app"],
            "network_mode": f"container:{by_name['app-vpn-1'].id}",
        }
        assert by_name["app-app-1"].labels["com.docker.compose.config-hash"] == service_hash(tree)


def test_labels_are_those_of_docker_compose(stage: Stage) -> None:
    stage.write("extra.env", "A=1")
    stage.up(
        "services: {db: {image: i}, web: {image: i, depends_on: {db: {condition: service_started, restart: true}}}}"
    )
    container = stage.backend.container("app-web-1")
    prefix = "com.docker.compose."
    own = {k.removeprefix(prefix): v for k, v in container.labels.items() if k.startswith(prefix)}
    assert own.keys() == {
        "project", "service", "container-number", "oneoff", "config-hash", "image", "depends_on",
        "project.working_dir", "project.config_files", "version",
    }  # fmt: skip
    assert own["depends_on"] == "db:service_started:true"
    assert own["oneoff"] == "False"
    assert own["project.config_files"] == str(stage.directory / "compose.yaml")
    network = stage.backend.find_network("app_default")
    assert network is not None
    assert {k.removeprefix(prefix) for k in network.labels} == {
        "project",
        "network",
        "version",
        "config-hash",
        "composer.hash",
    }


def test_the_second_request_to_cancel_does_not_wait_for_the_backend(stage: Stage) -> None:
    stage.up("services: {web: {image: web}}")
    entered, release = threading.Event(), threading.Event()
    original = stage.backend.stop_container

    def stuck(id: str, *, timeout_s: float | None = None, signal: str = "") -> None:
        entered.set()
        release.wait(10)
        original(id, timeout_s=timeout_s)

    stage.backend.stop_container = stuck  # type: ignore[method-assign]
    failed: list[BaseException] = []

    def run() -> None:
        try:
            actions.stop(stage.engine, "app")
        except BaseException as error:
            failed.append(error)

    running = threading.Thread(target=run)
    running.start()
    assert entered.wait(5)
    stage.cancel.request()
    running.join(0.1)
    assert running.is_alive(), "the first request waits for what is being done"
    stage.cancel.request()
    running.join(5)
    assert not running.is_alive()
    assert isinstance(failed[0], Cancelled)
    release.set()


def cancelled(stage: Stage, entered: threading.Event, text: str) -> BaseException:
    """Bring a project up, cancel it once ``entered`` is set, and return how it ended."""
    with failing(lambda: stage.up(text)) as failed:
        assert entered.wait(5)
        stage.cancel.request()
    return failed[0]


def test_the_first_request_to_cancel_ends_the_wait_for_a_model(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the model runner that pulls, for hours perhaps: nothing is lost when nobody waits for it."""
    entered, release = threading.Event(), threading.Event()

    def stuck(*_: Any) -> str:
        entered.set()
        release.wait(10)
        return "http://models/"

    monkeypatch.setattr(models, "prepare", stuck)
    monkeypatch.setattr(models, "find", lambda _: "docker-model")
    text = "services: {web: {image: web, models: [llm]}}\nmodels: {llm: {model: ai/big}}"
    assert isinstance(cancelled(stage, entered, text), Cancelled)
    release.set()


def test_the_first_request_to_cancel_ends_builds(stage: Stage) -> None:
    """A build leaves nothing half done, and may take very long; what else is being done is waited for."""
    entered, release = threading.Event(), threading.Event()

    def stuck(spec: Any, *, progress: Any = None) -> Any:
        entered.set()
        release.wait(10)

    stage.backend.build_image = stuck  # type: ignore[method-assign]
    assert isinstance(cancelled(stage, entered, "services: {web: {build: .}}"), Cancelled)
    release.set()


def test_lost_events_fail_what_waits_instead_of_hanging(stage: Stage) -> None:
    stage.backend.behave("db", Behaviour(health=()))

    class Broken:
        def next(self, timeout_s: float | None) -> None:
            raise BackendError("the connection is gone")

        def close(self) -> None:
            """Nothing is open."""

    stage.backend.events = lambda project=None: Broken()  # type: ignore[assignment, method-assign, misc]
    with pytest.raises(BackendError, match="the connection is gone"):
        stage.up(CHAIN)


def test_parallel_is_a_limit(stage: Stage) -> None:
    running: set[int] = set()
    most = 0
    lock = threading.Lock()
    together = threading.Barrier(3)
    original = stage.backend.create_container

    def counting(spec: ContainerSpec) -> str:
        nonlocal most
        with lock:
            running.add(threading.get_ident())
            most = max(most, len(running))
        together.wait(30)  # breaks, and fails the start, unless three are in here at once
        with lock:
            running.discard(threading.get_ident())
        return original(spec)

    stage.backend.create_container = counting  # type: ignore[method-assign]
    engine = stage.engine._replace(parallel=3)
    services = "\n".join(f"  s{n}: {{image: i}}" for n in range(12))
    actions.up(engine, stage.project(f"services:\n{services}"), Options())
    assert most == 3


def test_the_policy_always_pulls_before_the_plan_is_made(stage: Stage) -> None:
    text = "services: {web: {image: web, pull_policy: always}}"
    stage.up(text)
    first = stage.backend.container("app-web-1").id
    stage.up(text)
    assert stage.backend.container("app-web-1").id == first
    stage.backend.pull_image = lambda reference, *, progress=None: stage.backend.add_image(reference)  # type: ignore[method-assign]
    stage.up(text)
    assert stage.backend.container("app-web-1").id != first
    assert stage.names() == ["app-web-1"]
