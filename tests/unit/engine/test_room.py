"""What a plan takes from one container for another, and what it leaves alone."""

from __future__ import annotations

from composer.engine.operations.containers import RenameContainer
from composer.engine.options import Options
from tests.unit.engine.stage import Stage


def test_a_name_is_taken_once(stage: Stage) -> None:
    """Also where its container is only removed at the end, and its service's steps come later."""
    stage.up("services: {b: {image: i, scale: 2}, a: {image: i}}")
    now = "services: {b: {image: i}, a: {image: i, container_name: app-b-2}}"
    plan = stage.plan(now, Options(on_failure="rollback"))
    taken = [
        s.operation.to for s in plan.steps if isinstance(s.operation, RenameContainer) and s.operation.to
    ]
    assert len(taken) == len(set(taken)) == 2
    stage.up(now, Options(on_failure="rollback"))
    assert stage.states() == {"app-b-1": "running", "app-b-2": "running"}


def stops(stage: Stage, before: str, now: str) -> str:
    stage.up(before)
    return str(stage.plan(now))


def test_another_address_of_the_host_is_another_port(stage: Stage) -> None:
    z = "z: {image: i, ports: ['127.0.0.1:80:80'], environment: {A: 'VALUE'}}"
    a = "a: {image: i, ports: ['127.0.0.2:80:80']}"
    plan = stops(stage, f"services: {{{z}}}", f"services: {{{z.replace('VALUE', 'new')}, {a}}}")
    assert "another service takes over its port" not in plan


def test_a_range_to_choose_from_takes_no_port_away(stage: Stage) -> None:
    z = "z: {image: i, ports: ['85:80'], environment: {A: 'VALUE'}}"
    a = "a: {image: i, ports: ['80-90:80']}"
    plan = stops(stage, f"services: {{{z}}}", f"services: {{{z.replace('VALUE', 'new')}, {a}}}")
    assert "another service takes over its port" not in plan


def test_a_port_that_is_needed_is_freed_first(stage: Stage) -> None:
    plan = stops(
        stage,
        "services: {z: {image: i, ports: ['80:80']}}",
        "services: {z: {image: i, ports: ['81:80']}, a: {image: i, ports: ['127.0.0.1:80:80']}}",
    )
    assert plan.startswith("#1 stop container app-z-1: another service takes over its port\n")
