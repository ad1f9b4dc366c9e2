"""While a condition is waited for, the containers behind it are prepared: few, in order, and never for nothing."""

from __future__ import annotations

import threading

import pytest

from composer.backends.memory import Behaviour, MemoryBackend
from composer.engine.observed import Capability, Health
from composer.engine.running.preparations import AHEAD
from composer.errors import BackendError, DependencyFailed
from tests.unit.engine.stage import Stage

LENGTH = AHEAD + 3


class PreparingBackend(MemoryBackend):
    """Records what it is asked to prepare, as (method, name)."""

    capabilities = MemoryBackend.capabilities | {Capability.PREPARES_STARTS}

    broken = False

    def _note(self, method: str, id: str) -> None:
        with self.changed:
            self.calls.append((method, self.container(id).name))
            self.changed.notify_all()
        if self.broken:
            raise BackendError("no room")

    def expect_starts(self, project: str, *, creates: bool) -> None:
        """No process is needed ahead."""

    def prepare_container(self, id: str) -> None:
        self._note("prepare", id)

    def unprepare_container(self, id: str) -> None:
        self._note("unprepare", id)


@pytest.fixture
def backend(stage: Stage) -> PreparingBackend:
    stage.backend = made = PreparingBackend()
    return made


def chain(length: int = LENGTH, condition: str = "service_healthy") -> str:
    text = "services:\n"
    for n in range(length):
        text += f"  s{n}: {{image: a, healthcheck: {{test: [CMD, check]}}"
        text += f", depends_on: {{s{n - 1}: {{condition: {condition}}}}}" if n else ""
        text += "}\n"
    return text


def called(backend: PreparingBackend, method: str) -> list[str]:
    return [name for kind, name in tuple(backend.calls) if kind == method]


def names(first: int, last: int) -> list[str]:
    return [f"app-s{n}-1" for n in range(first, last)]


def test_only_a_backend_that_can_is_asked() -> None:
    assert Capability.PREPARES_STARTS in PreparingBackend().capabilities
    assert Capability.PREPARES_STARTS not in MemoryBackend().capabilities


def test_a_few_are_prepared_ahead_and_one_more_with_each_that_starts(
    stage: Stage, backend: PreparingBackend
) -> None:
    backend.behave("s0", Behaviour(health=()))
    running = threading.Thread(target=stage.up, args=(chain(),))
    running.start()
    with backend.changed:
        assert backend.changed.wait_for(lambda: len(called(backend, "prepare")) == AHEAD, 5)
    assert called(backend, "prepare") == names(1, AHEAD + 1)
    assert called(backend, "start_container") == names(0, 1)
    backend.set_health("app-s0-1", Health.HEALTHY)
    running.join(5)
    assert called(backend, "start_container") == names(0, LENGTH)
    assert called(backend, "unprepare") == []


def test_what_a_failed_condition_keeps_from_starting_is_taken_back(
    stage: Stage, backend: PreparingBackend
) -> None:
    backend.behave("s0", Behaviour(health=()))

    def fail_when_prepared() -> None:
        with backend.changed:
            assert backend.changed.wait_for(lambda: len(called(backend, "prepare")) == AHEAD, 5)
        backend.set_health("app-s0-1", Health.UNHEALTHY)

    failing = threading.Thread(target=fail_when_prepared)
    failing.start()
    with pytest.raises(DependencyFailed):
        stage.up(chain())
    failing.join(5)
    assert called(backend, "unprepare") == called(backend, "prepare")


def test_a_preparation_that_fails_is_no_failure(stage: Stage, backend: PreparingBackend) -> None:
    backend.broken = True
    stage.up(chain())
    assert set(stage.states().values()) == {"running"}


def test_nothing_is_prepared_where_nothing_is_waited_for(stage: Stage, backend: PreparingBackend) -> None:
    stage.up(chain(condition="service_started"))
    assert called(backend, "prepare") == []


def test_what_has_more_to_do_than_to_start_is_not_prepared(stage: Stage, backend: PreparingBackend) -> None:
    backend.behave("db", Behaviour(health=()))
    text = """
    services:
      db: {image: db, healthcheck: {test: [CMD, check]}}
      web: {image: web, depends_on: {db: {condition: service_healthy}}}
      behind:
        image: web
        depends_on: {web: {condition: service_started}, db: {condition: service_healthy}}
      hooked:
        image: web
        depends_on: {db: {condition: service_healthy}}
        pre_start: [{command: [migrate]}]
    """
    running = threading.Thread(target=stage.up, args=(text,))
    running.start()
    with backend.changed:
        assert backend.changed.wait_for(lambda: len(called(backend, "prepare")) == 2, 5)
    backend.set_health("app-db-1", Health.HEALTHY)
    running.join(5)
    assert sorted(called(backend, "prepare")) == ["app-behind-1", "app-web-1"]
    assert stage.states()["app-hooked-1"] == "running"
