"""Faults at every step of an update of twelve services: what ran before serves again, and nothing is left over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from composer.backends.memory import Behaviour
from composer.engine import actions, labels
from composer.engine.observed import Health
from composer.engine.options import Options
from composer.engine.progress import Cancellation
from composer.errors import BackendError, Cancelled, ComposerError, StartFailed
from tests.unit.engine.stage import PLAIN, Stage

EFFECTS = (
    "create_network",
    "remove_network",
    "connect_network",
    "disconnect_network",
    "create_volume",
    "create_container",
    "start_container",
    "stop_container",
    "remove_container",
    "rename_container",
    "move_ports",
)
ROLLBACK = Options(on_failure="rollback", remove_orphans=True)


def project(version: str, *, gone: str, new: str) -> str:
    """Twelve services, each changed between versions in one way or another: all kinds of replacement are among them."""
    chain = "\n".join(
        f"""
          link{n}:
            image: app
            environment: {{VERSION: "{version}"}}
            depends_on: {{{f"link{n - 1}" if n else "db"}: {{condition: service_healthy}}}}
            healthcheck: {{test: [CMD, "true"]}}
            networks: [front]"""
        for n in range(5)
    )
    return f"""
        services:
          db: {{image: db, healthcheck: {{test: [CMD, "true"]}}, volumes: [data:/data, /anonymous]}}
          web:
            image: app
            ports: ["8080:80"]
            environment: {{VERSION: "{version}"}}
            healthcheck: {{test: [CMD, "true"]}}
            deploy: {{update_config: {{order: start-first}}}}
          twins: {{image: app, scale: 2, environment: {{VERSION: "{version}"}}, networks: [back]}}
          sidecar: {{image: app, network_mode: "service:web"}}
          same: {{image: app, networks: [back]}}
          {gone}: {{image: app, ports: ["9090:80"]}}
          {new}: {{image: app, depends_on: {{db: {{condition: service_healthy, restart: true}}}}}}
          {chain}
        volumes: {{data: {{}}}}
        networks: {{front: {{}}, back: {{internal: {str(version == "2").lower()}}}}}
    """


OLD = project("1", gone="before", new="late")
NEW = project("2", gone="after", new="late")


class Fault:
    """Counts the effects on a backend, and lets the n-th of them do something first."""

    def __init__(self, stage: Stage, n: int, act: Callable[[str], None]) -> None:
        self.stage, self.count, self._n, self._act = stage, 0, n, act
        self._lock = threading.Lock()
        self.hit = ""
        for name in EFFECTS:
            setattr(stage.backend, name, self._wrap(name, getattr(stage.backend, name)))

    def disarm(self) -> None:
        """Let everything pass from now on."""
        self._n = 0

    def _wrap(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                self.count += 1
                due = self.count == self._n
            if due:
                self.hit = name
                self._act(name)
            return original(*arguments, **options)

        return call


def picture(stage: Stage) -> dict[str, Any]:
    """What a user would see of a stack: the same containers, in the same state, by the same names, in the same nets."""
    observed = stage.backend.observe("app")
    return {
        "containers": {
            c.id: (
                c.name,
                c.state.value,
                c.health.value,
                sorted((e.network, e.aliases) for e in c.endpoints),
                sorted(c.ports),
            )
            for c in observed.containers
        },
        "networks": {(n.name, str(n.attributes)) for n in observed.networks},
        "volumes": {v.name for v in observed.volumes},
        "images": {r: i.id for i in stage.backend.images() for r in i.references},
    }


def ready(directory: Path) -> Stage:
    directory.mkdir(exist_ok=True)
    stage = Stage(directory)
    stage.up(OLD)
    return stage


def count_effects(directory: Path) -> int:
    stage = ready(directory)
    fault = Fault(stage, 0, lambda name: None)
    stage.up(NEW, ROLLBACK)
    return fault.count


def refuse(name: str) -> None:
    raise BackendError(f"no {name} today")


def test_a_failure_at_any_step_is_rolled_back(tmp_path: Path) -> None:
    total = count_effects(tmp_path / "all")
    assert total > 60
    removals = 0
    for n in range(1, total + 1):
        stage = ready(tmp_path / str(n))
        before = picture(stage)
        fault = Fault(stage, n, refuse)
        with pytest.raises((ComposerError, ExceptionGroup)) as caught:
            stage.up(NEW, ROLLBACK)
        if fault.hit in ("remove_container", "remove_network") and not put_back(caught.value):
            pytest.fail(f"step {n} ({fault.hit}): nobody says what was done")
        now = picture(stage)
        if gone := before["containers"].keys() - now["containers"].keys():
            # everything new was up: the removal of the old was under way, and what is gone is gone
            assert fault.hit in ("remove_container", "remove_network"), (n, fault.hit, gone)
            removals += 1
            continue
        assert now == before, f"step {n}: {fault.hit}"
        assert str(stage.plan(OLD, PLAIN)) == "", f"step {n}: {fault.hit}"
    assert removals < 12


def put_back(error: BaseException) -> bool:
    if isinstance(error, ExceptionGroup):
        return any(map(put_back, error.exceptions))
    return any("rolled back" in note or "rollback" in note for note in getattr(error, "__notes__", ()))


def test_an_interruption_at_any_step_is_rolled_back(tmp_path: Path) -> None:
    total = count_effects(tmp_path / "all")
    for n in range(1, total + 1, 3):
        stage = ready(tmp_path / str(n))
        before = picture(stage)
        Fault(stage, n, lambda _, stage=stage: stage.cancel.request())  # type: ignore[misc]
        try:
            stage.up(NEW, ROLLBACK)
        except (Cancelled, ExceptionGroup):
            now = picture(stage)
            if before["containers"].keys() <= now["containers"].keys():
                assert now == before, f"step {n}"


def test_a_hang_is_left_by_the_second_interruption_and_mended_by_the_next_up(tmp_path: Path) -> None:
    for n in (1, 5, 9, 20, 33, 47):
        stage = ready(tmp_path / str(n))
        free = threading.Event()

        def hang(_: str, stage: Stage = stage, free: threading.Event = free) -> None:
            stage.cancel.request()
            threading.Timer(0.02, stage.cancel.request).start()
            threading.Timer(0.04, stage.cancel.request).start()
            free.wait(10)
            raise BackendError("the process is gone")  # what hangs in a process that ends never comes to pass

        Fault(stage, n, hang)
        with pytest.raises((Cancelled, ExceptionGroup)):
            stage.up(NEW, ROLLBACK)
        free.set()
        stage.cancel = Cancellation()
        stage.up(NEW, ROLLBACK)
        assert str(stage.plan(NEW)) == "", n


def test_dying_at_any_step_is_mended_by_the_next_up(tmp_path: Path) -> None:
    from composer.engine.plan import Plan
    from composer.engine.running.execute import execute

    whole = ready(tmp_path / "all").plan(NEW, ROLLBACK)
    for n in range(len(whole.steps)):
        stage = ready(tmp_path / str(n))
        plan = stage.plan(NEW, ROLLBACK)
        execute(Plan(plan.steps[:n]), stage.backend, stage.recorder, project="app").check()
        if n % 2:
            stage.up(NEW, ROLLBACK)
            assert str(stage.plan(NEW)) == "", n
        else:
            stage.up(OLD, ROLLBACK)
            assert str(stage.plan(OLD)) == "", n
        assert not [c.name for c in stage.backend.observe("app").containers if labels.is_retired(c)]


def test_without_rollback_things_stay_as_they_are(stage: Stage) -> None:
    stage.up("services: {web: {image: one}}")
    stage.backend.behave("web", Behaviour(start_error=StartFailed("no such file", exit_code=127)))
    with pytest.raises(ComposerError):
        stage.up("services: {web: {image: two}}")
    assert sorted(name[:9] for name in stage.names()) == ["app-web-1", "app-web-1"]
    assert sorted(stage.states().values()) == ["created", "exited"]
    stage.backend.behave("web", Behaviour())
    stage.up("services: {web: {image: three}}")
    assert stage.states() == {"app-web-1": "running"}


def test_down_takes_everything_down(stage: Stage) -> None:
    stage.backend.behave("web", Behaviour(start_error=StartFailed("no such file", exit_code=127)))
    with pytest.raises(ComposerError) as caught:
        stage.up("services: {web: {image: i}, db: {image: i}}", Options(on_failure="down"))
    assert actions.is_empty(stage.backend.observe("app"))
    assert "the project was taken down (--on-failure down)" in str(caught.value.__notes__)


ROLLING = """
    services:
      web:
        image: {image}
        scale: 3
        healthcheck: {{test: [CMD, "true"]}}
        deploy: {{update_config: {{parallelism: 1, failure_action: {action}, order: {order}}}}}
"""


@pytest.mark.parametrize("order", ["stop-first", "start-first"])
def test_a_service_rolls_back_by_itself(stage: Stage, order: str) -> None:
    stage.up(ROLLING.format(image="one", action="rollback", order=order))
    before = picture(stage)["containers"]
    stage.backend.behave("web", Behaviour(start_error=StartFailed("no such file", exit_code=127)))
    with pytest.raises((ComposerError, ExceptionGroup)):
        stage.up(ROLLING.format(image="two", action="rollback", order=order))
    stage.backend.behave("web", Behaviour())
    after = picture(stage)["containers"]
    if order == "start-first":
        assert after == before
    else:
        # the old ones cannot start either, as the script has it: they are there, and have their names
        assert after.keys() == before.keys()


def test_a_failed_batch_keeps_the_next_from_being_replaced(stage: Stage) -> None:
    stage.up(ROLLING.format(image="one", action="pause", order="stop-first"))
    stage.backend.behave("web", Behaviour(health=(Health.UNHEALTHY,)))
    with pytest.raises((ComposerError, ExceptionGroup)):
        stage.up(ROLLING.format(image="two", action="pause", order="stop-first"))
    images = sorted(c.image for c in stage.backend.observe("app").containers if c.state.value == "running")
    assert images == ["one", "one", "two"]


def test_continue_replaces_all_the_same(stage: Stage) -> None:
    stage.up(ROLLING.format(image="one", action="continue", order="stop-first"))
    stage.backend.behave("web", Behaviour(health=(Health.UNHEALTHY,)))
    with pytest.raises((ComposerError, ExceptionGroup)):
        stage.up(ROLLING.format(image="two", action="continue", order="stop-first"))
    images = sorted(c.image for c in stage.backend.observe("app").containers if c.state.value == "running")
    assert images == ["two", "two", "two"]


def test_a_failed_pre_start_hook_keeps_its_service_from_starting(stage: Stage) -> None:
    text = "services: {web: {image: i, pre_start: [{command: [migrate]}]}, db: {image: i}}"
    stage.backend.behave("web/pre_start", Behaviour(exits=(3,), output=("no such table",)))
    with pytest.raises(ComposerError) as caught:
        stage.up(text)
    assert "web hook exited with status 3: pre_start[0]" in str(caught.value)
    assert "  no such table" in caught.value.__notes__
    assert stage.states() == {"app-db-1": "running", "app-web-1": "created", "app-web-pre_start-1": "exited"}
    assert stage.plan(text).warnings == (), "it is no orphan"
    stage.backend.behave("web/pre_start", Behaviour(exits=(0,)))
    stage.up(text)
    assert stage.states() == {"app-db-1": "running", "app-web-1": "running"}
