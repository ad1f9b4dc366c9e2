"""Which events mean that a container crashed and came back by itself."""

from __future__ import annotations

import pytest

from composer.engine import labels
from composer.engine.observed import Event
from composer.engine.running.returning import Returning
from composer.engine.wanted import RestartsWith

WISHES = {
    "web": (RestartsWith("db"),),
    "careful": (RestartsWith("db", healthy=True),),
    "both": (RestartsWith("cache"), RestartsWith("db")),
    "other": (),
}


def seen(*actions: str, service: str = "db", **more: str) -> list[tuple[str, ...]]:
    returning = Returning(WISHES)
    found = []
    for action in actions:
        kind, _, detail = action.partition(": ")
        name = "signal" if kind == "kill" else "health_status"
        attributes = {labels.SERVICE: service, **more} | ({name: detail} if detail else {})
        found.append(returning.see(Event(0, "container", kind, "1", attributes)))
    return [one for one in found if one]


def test_a_crash_and_a_start_restart_who_wants_it() -> None:
    assert seen("start", "die", "start") == [("both", "web")]
    assert seen("oom", "die", "start", "die", "start") == [("both", "web")] * 2


def test_who_wants_it_healthy_waits_for_that() -> None:
    healthy = "health_status: healthy"
    assert seen("die", "start", "health_status: unhealthy", healthy, healthy) == [
        ("both", "web"),
        ("careful",),
    ]
    assert seen("die", "start", "die", healthy) == [("both", "web")]
    assert seen("start", healthy) == []


@pytest.mark.parametrize("asked", [("kill", "die", "stop"), ("kill", "die"), ("stop", "die")])
def test_what_somebody_asked_for_is_not_a_crash(asked: tuple[str, ...]) -> None:
    assert seen(*asked, "start", "restart") == []
    assert seen(*asked, "start", "die", "start") == [("both", "web")]


def test_a_reload_is_no_end() -> None:
    assert seen("kill: 1", "die", "start") == [("both", "web")]
    assert seen("kill: 10", "kill: 28", "die", "start") == [("both", "web")]
    assert seen("kill: 15", "die", "start") == []
    assert seen("kill: 1", "die", "stop", "start") == []  # its stop_signal


def test_others_do_not_count() -> None:
    assert seen("die", "start", service="other") == []
    assert seen("die", "start", **{labels.ONEOFF: "True"}) == []
    assert seen("die", "destroy", "start") == []
