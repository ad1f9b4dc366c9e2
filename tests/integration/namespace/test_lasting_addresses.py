"""A container keeps its address, and its successor gets it: who looked a name up once, as nginx does, loses nothing."""

from __future__ import annotations

import pytest

from tests.integration.namespace.conftest import Stack

pytestmark = pytest.mark.root

SERVICE = "{image: host, command: [sleep, inf], stop_signal: SIGKILL}"
GATED = "{image: host, command: [sleep, inf], stop_signal: SIGKILL, depends_on: {a: {condition: service_healthy}}}"
HEALTHY = (
    SERVICE[:-1]
    + ", healthcheck: {test: [CMD, 'true'], interval: 1s, start_period: 5s, start_interval: 100ms}}"
)
THREE = f"services: {{a: {SERVICE}, b: {SERVICE}, c: {SERVICE}}}"


def address(stack: Stack, service: str) -> str:
    found = stack.inside(service, "hostname", "-I").split()
    return found[0]


def addresses(stack: Stack) -> dict[str, str]:
    return {service: address(stack, service) for service in "abc"}


def test_new_containers_get_the_lowest(stack: Stack) -> None:
    stack.up(THREE)
    assert {one.rpartition(".")[2] for one in addresses(stack).values()} == {"2", "3", "4"}
    stack.run("down", "-t", "0")
    stack.run("up", "-d")
    assert {one.rpartition(".")[2] for one in addresses(stack).values()} == {"2", "3", "4"}


@pytest.mark.parametrize(
    "commands",
    [
        [("restart", "-t", "0")],
        [("stop", "-t", "0"), ("start",)],
        [("kill",), ("up", "-d")],
        [("up", "-d", "--force-recreate", "-t", "0")],
        [("stop", "-t", "0", "b"), ("up", "-d", "--force-recreate", "-t", "0", "a"), ("start", "b")],
    ],
    ids=["restart", "stop and start", "kill and up", "recreate", "one while another is stopped"],
)
def test_addresses_stay(stack: Stack, commands: list[tuple[str, ...]]) -> None:
    stack.up(THREE)
    before = addresses(stack)
    for command in commands:
        stack.run(*command)
    assert addresses(stack) == before


def test_a_changed_service_keeps_its_address_behind_a_gate_too(stack: Stack) -> None:
    text = f"services: {{a: {HEALTHY}, b: {GATED}, c: {SERVICE}}}"
    stack.up(text)
    before = addresses(stack)
    stack.up(text.replace("stop_signal", "environment: {NEW: '1'}, stop_signal"))
    assert addresses(stack) == before


def test_a_new_service_takes_nothing_that_a_stopped_one_had(stack: Stack) -> None:
    stack.up(THREE)
    before = addresses(stack)
    stack.run("stop", "-t", "0", "b")
    stack.up(THREE.replace("c: {", f"d: {SERVICE}, c: {{"), "d")
    assert address(stack, "d") not in before.values()
    stack.run("start", "b")
    assert addresses(stack) == before
