"""What planning does grows with the number of services, and not with its square: counted in lines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from composer.engine import labels
from composer.engine.observed import ContainerState, Observed, ObservedContainer
from composer.engine.planning import lifecycle
from composer.engine.planning.lifecycle import Teardown
from tests.unit.engine.stage import Stage


def lines_of(work: Callable[[], object]) -> int:
    """Count the lines and calls of Python for some work."""
    count = 0

    def note(_frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event in ("line", "call")
        return note

    before = sys.gettrace()
    sys.settrace(note)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def stars(services: int) -> Observed:
    """Services in pairs: every second one depends on the one before it."""

    def container(number: int) -> ObservedContainer:
        name = f"s{number:04}"
        found = {labels.SERVICE: name, labels.PROJECT: "app", labels.NUMBER: "1"}
        if number % 2:
            found[labels.DEPENDS_ON] = f"s{number - 1:04}:service_started:false"
        return ObservedContainer(f"id-{name}", f"app-{name}-1", found, ContainerState.RUNNING)

    return Observed(tuple(container(number) for number in range(services)))


@pytest.mark.parametrize(
    "plan",
    [
        lambda observed: lifecycle.plan_down("app", observed, Teardown()),
        lambda observed: lifecycle.plan_stop(observed, (), None),
        lambda observed: lifecycle.plan_start(observed, ()),
        lambda observed: lifecycle.plan_restart(observed, (), None),
    ],
    ids=["down", "stop", "start", "restart"],
)
def test_plans_of_what_is_there(plan: Callable[[Observed], object]) -> None:
    plan(stars(4))  # what is done once
    few, many = (lines_of(lambda count=count: plan(stars(count))) for count in (50, 200))  # type: ignore[misc]
    assert many < 4.6 * few


def test_plans_of_a_project(stage: Stage) -> None:
    def text(services: int) -> str:
        return "services:\n" + "".join(
            f"  s{number:04}: {{image: i, depends_on: [{f's{number - 1:04}' if number % 2 else ''}]}}\n"
            for number in range(services)
        )

    stage.backend.add_image("i")
    projects = [stage.project(text(count)) for count in (4, 25, 100)]
    from composer.engine import actions
    from tests.unit.engine.stage import PLAIN

    _, few, many = (
        lines_of(lambda project=project: actions.plan_up(stage.engine, project, PLAIN))  # type: ignore[misc]
        for project in projects
    )
    assert many < 4.6 * few
