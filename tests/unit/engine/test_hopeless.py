"""``--wait`` on a container that is restarted again and again: it is shown, and given up when it is hopeless."""

from __future__ import annotations

import time
from typing import Any

import pytest

from composer.backends.memory import Behaviour
from composer.engine.options import Options
from composer.engine.progress import WARNING
from composer.errors import Unhealthy
from tests.unit.engine.stage import Stage

LOOP = "services: {web: {image: web, restart: always}}"
WAITING = Options(wait=True, wait_restarts=3)


def crash(stage: Stage, times: int) -> None:
    """Let the container end as often, and run after that."""
    stage.backend.behave("web", Behaviour(exits=(7,) * times + (None,), output=("no database here",)))


def crash_for_ever(stage: Stage, times: int) -> None:
    stage.backend.behave("web", Behaviour(exits=(7,) * times, output=("no database here",)))


def test_it_is_given_up_after_as_many_restarts(stage: Stage) -> None:
    crash_for_ever(stage, 3)
    with pytest.raises(Unhealthy) as caught:
        stage.up(LOOP, WAITING)
    assert str(caught.value) == ("container app-web-1 was restarted 3 times and is not ready")
    notes = caught.value.__notes__
    assert notes[0] == "container 'app-web-1' is restarting (7)"
    assert notes[-1] == "  no database here"


def test_what_runs_before_that_is_ready(stage: Stage) -> None:
    crash(stage, 3)
    stage.up(LOOP, WAITING)


def test_every_restart_is_shown(stage: Stage) -> None:
    """One that is below the limit stays pending: here until the time is over."""
    crash_for_ever(stage, 2)
    with pytest.raises(Exception, match="not healthy after"):
        stage.up(LOOP, WAITING._replace(wait_timeout_s=0.0))
    shown = [event for event in stage.recorder.events if event.status == WARNING]
    assert [(event.text, event.detail) for event in shown] == [
        ("restarted", "2 times, exit 7: no database here")
    ]


def test_a_look_that_takes_longer_than_the_time_that_is_left_is_shown_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its news came too late once: another thread had given up before it ended."""
    crash_for_ever(stage, 2)
    logs, looks = stage.backend.logs, []

    def slowly(*arguments: Any, **options: Any) -> Any:
        looks.append(options)
        if len(looks) == 1:
            time.sleep(0.1)
        return logs(*arguments, **options)

    monkeypatch.setattr(stage.backend, "logs", slowly)
    with pytest.raises(Exception, match="not healthy after"):
        stage.up(LOOP, WAITING._replace(wait_timeout_s=0.0))
    assert [event.text for event in stage.recorder.events if event.status == WARNING] == ["restarted"]


def test_what_is_ready_when_the_time_is_over_is_ready(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.backend.behave("web", Behaviour(exits=(None,)))
    look = stage.backend.container

    def slowly(id: str) -> Any:
        time.sleep(0.05)
        return look(id)

    monkeypatch.setattr(stage.backend, "container", slowly)
    stage.up(LOOP, WAITING._replace(wait_timeout_s=0.0))


def test_what_was_restarted_before_does_not_count(stage: Stage) -> None:
    crash(stage, 5)
    stage.up(LOOP)
    (container,) = stage.backend.observe("app").containers
    assert container.restarts == 5
    stage.backend.stop_container(container.id)
    stage.up(LOOP, WAITING)


def test_a_dependency_may_take_as_many_as_it_needs(stage: Stage) -> None:
    """A job that is tried again until it succeeds is what restart policies are for."""
    text = """
        services:
          web: {image: web, restart: on-failure}
          app: {image: app, depends_on: {web: {condition: service_completed_successfully}}}
    """
    stage.backend.behave("web", Behaviour(exits=(1, 1, 1, 1, 1, 0)))
    stage.up(text, WAITING)
