"""The life of a container, the same on every backend."""

from __future__ import annotations

import threading

import pytest

from composer.backends.memory import Behaviour
from composer.engine.observed import ContainerState, Health
from composer.errors import BackendError, Conflict, NotFound, StartFailed
from tests.integration.contract.conftest import PROJECT, Place, eventually


def test_a_container_is_created_started_stopped_and_removed(place: Place) -> None:
    id = place.create()
    made = place.backend.container(id)
    assert (made.state, made.exit_code, made.name) == (ContainerState.CREATED, None, place.name("web"))
    assert made.labels[PROJECT] == place.project
    assert made.image_id == place.backend.find_image(place.image).id  # type: ignore[union-attr]
    assert made.created_ns > 0
    place.backend.start_container(id)
    running = place.backend.container(id)
    assert (running.state, running.exit_code) == (ContainerState.RUNNING, None)
    assert running.started_ns >= made.created_ns
    place.backend.stop_container(id, timeout_s=1)
    ended = place.backend.container(id)
    assert ended.state is ContainerState.EXITED
    assert ended.exit_code in (137, 143)
    assert ended.finished_ns >= running.started_ns
    place.backend.remove_container(id)
    with pytest.raises(NotFound):
        place.backend.container(id)


def test_every_step_is_safe_to_repeat(place: Place) -> None:
    id = place.create()
    assert place.create() == id
    for _ in range(2):
        place.backend.start_container(id)
    started = place.backend.container(id).started_ns
    for _ in range(2):
        place.backend.stop_container(id, timeout_s=0)
    assert place.backend.container(id).started_ns == started
    for _ in range(2):
        place.backend.rename_container(id, place.name("other"))
    for _ in range(2):
        place.backend.remove_container(id)


def test_a_container_is_found_by_name_and_by_the_head_of_its_id(place: Place) -> None:
    id = place.create()
    assert place.backend.container(place.name("web")).id == id
    assert place.backend.container(id[:12]).id == id


def test_a_taken_name_is_a_conflict(place: Place) -> None:
    place.create()
    other = place.create("other")
    with pytest.raises(Conflict):
        place.create(labels=place.labels(mark="another"))
    with pytest.raises(Conflict):
        place.backend.rename_container(other, place.name("web"))


@pytest.mark.parametrize("code", [0, 3, 255])
def test_the_exit_code_is_the_commands(place: Place, code: int) -> None:
    id = place.start(shell=f"exit {code}", does=Behaviour(exits=(code,)))
    assert place.backend.wait_container(id) == code
    assert place.backend.container(id).exit_code == code
    assert place.backend.wait_container(id) == code, "waiting for what has ended returns at once"


def test_waiting_returns_when_somebody_stops_it(place: Place) -> None:
    id = place.start()
    found: list[int | None] = []
    thread = threading.Thread(target=lambda: found.append(place.backend.wait_container(id)))
    thread.start()
    place.backend.kill_container(id, "SIGKILL")
    thread.join(15)
    assert found == [137]


def test_a_container_can_be_started_again(place: Place) -> None:
    id = place.start(shell="exit 4", does=Behaviour(exits=(4,)))
    place.backend.wait_container(id)
    first = place.backend.container(id)
    place.backend.start_container(id)
    place.backend.wait_container(id)
    second = place.backend.container(id)
    assert second.exit_code == 4
    assert second.started_ns > first.started_ns


def test_what_does_not_run_cannot_be_killed(place: Place) -> None:
    with pytest.raises(Conflict):
        place.backend.kill_container(place.create(), "SIGTERM")


def test_what_runs_is_removed_by_force_only(place: Place) -> None:
    id = place.start()
    with pytest.raises(Conflict):
        place.backend.remove_container(id)
    place.backend.remove_container(id, force=True)
    assert place.backend.observe(place.project).containers == ()


@pytest.mark.parametrize(("command", "code"), [(["/nowhere"], 127), (["/etc"], 126)])
def test_a_command_that_cannot_be_executed_fails_the_start(
    place: Place, command: list[str], code: int
) -> None:
    does = Behaviour(start_error=StartFailed("cannot execute", code))
    id = place.create(does=does, command=command)
    with pytest.raises(StartFailed) as caught:
        place.backend.start_container(id)
    assert caught.value.exit_code == code
    assert place.state(id) is not ContainerState.RUNNING


def test_an_image_that_is_not_there_is_not_found(place: Place) -> None:
    with pytest.raises(NotFound):
        place.create(image="no-such-image")
    assert place.backend.find_image("no-such-image") is None
    assert place.backend.observe(place.project).containers == ()


@pytest.mark.parametrize(
    "method", ["start_container", "stop_container", "wait_container", "container", "probes"]
)
def test_what_is_not_there_is_not_found(place: Place, method: str) -> None:
    with pytest.raises(NotFound):
        getattr(place.backend, method)("nobody")


def test_a_restart_policy_has_its_limit(place: Place) -> None:
    id = place.start(shell="exit 5", does=Behaviour(exits=(5, 5, 5)), restart="on-failure:2")
    eventually(lambda: place.state(id) is ContainerState.EXITED, what="the last try")
    found = place.backend.container(id)
    assert (found.restarts, found.exit_code) == (2, 5)


def test_a_stop_is_no_reason_to_restart(place: Place) -> None:
    id = place.start(restart="always")
    place.backend.stop_container(id, timeout_s=0)
    assert place.state(id) is ContainerState.EXITED


def test_a_health_check_comes_to_a_result(place: Place) -> None:
    check = {"test": ["CMD", "true"], "interval": "100ms", "timeout": "5s", "retries": 1}
    id = place.start(healthcheck=check)
    eventually(lambda: place.backend.container(id).health is Health.HEALTHY, what="health")
    assert place.backend.probes(id)[-1].exit_code == 0


def test_a_health_check_that_fails_is_told_with_its_output(place: Place) -> None:
    check = {"test": ["CMD-SHELL", "echo broken; false"], "interval": "100ms", "timeout": "5s", "retries": 1}
    id = place.start(healthcheck=check, does=Behaviour(health=(Health.UNHEALTHY,)))
    eventually(lambda: place.backend.container(id).health is Health.UNHEALTHY, what="ill health")
    if place.is_real:
        assert "broken" in place.backend.probes(id)[-1].output


def test_without_a_health_check_there_is_no_health(place: Place) -> None:
    assert place.backend.container(place.start()).health is Health.NONE


def test_one_project_does_not_see_the_other(place: Place) -> None:
    place.create()
    assert place.backend.observe(f"{place.project}x").containers == ()
    assert [c.name for c in place.backend.observe(place.project).containers] == [place.name("web")]
    for listing in (place.backend.projects(), place.backend.containers()):
        assert place.name("web") in [c.name for c in listing]


def test_many_at_once(place: Place) -> None:
    names = [f"s{number}" for number in range(8)]
    failures: list[BaseException] = []

    def live(service: str) -> None:
        try:
            id = place.create(service)
            place.backend.start_container(id)
            place.backend.container(id)
            place.backend.stop_container(id, timeout_s=0)
            place.backend.remove_container(id)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=live, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert place.backend.observe(place.project).containers == ()


def test_errors_have_one_line_and_no_stop(place: Place) -> None:
    place.create()
    with pytest.raises(BackendError) as caught:
        place.create(labels=place.labels(mark="another"))
    text = str(caught.value)
    assert "\n" not in text
    assert not text.endswith(".")
    assert text[0].islower()
    assert place.name("web") in text
