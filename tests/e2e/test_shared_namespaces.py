"""Who is in another container's network, or its processes, is not left behind when that one is made or started anew."""

from __future__ import annotations

import pytest

from tests.e2e.stack import Stack

PROJECT = """
name: NAME
services:
  mother: {image: IMAGE, command: [sleep, "600"], stop_signal: SIGKILL, ipc: shareable}
  app: {image: IMAGE, command: [sleep, "600"], stop_signal: SIGKILL, KIND: "service:mother"EXTRA}
"""
NAMESPACE = {"network_mode": "net", "ipc": "ipc", "pid": "pid"}
WRITTEN = ", depends_on: {mother: {condition: service_started}}"


@pytest.fixture(params=NAMESPACE)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def are_together(stack: Stack, kind: str) -> bool:
    """Tell whether both run, in one namespace."""
    if stack.states() != {"mother-1": "running", "app-1": "running"}:
        return False
    link = f"/proc/self/ns/{NAMESPACE[kind]}"
    found = {stack.run("exec", "-T", one, "readlink", link).stdout for one in ("mother", "app")}
    return len(found) == 1


def test_a_replaced_owner_takes_who_shares_along(empty: Stack, kind: str) -> None:
    empty.write(PROJECT.replace("KIND", kind).replace("EXTRA", ""))
    empty.run("up", "-d")
    empty.run("up", "-d", "--force-recreate", "mother")
    empty.run("up", "-d")
    assert are_together(empty, kind)
    before = empty.containers()
    empty.run("up", "-d")
    assert empty.containers() == before, "it is not made again each time"
    empty.run("rm", "-sf", "mother")
    empty.run("up", "-d")
    assert are_together(empty, kind)


@pytest.mark.parametrize("extra", ["", WRITTEN], ids=["implied", "written"])
def test_a_restarted_owner_takes_who_shares_along(empty: Stack, kind: str, extra: str) -> None:
    empty.write(PROJECT.replace("KIND", kind).replace("EXTRA", extra))
    empty.run("up", "-d")
    empty.run("restart", "mother")
    assert are_together(empty, kind)
    empty.run("stop", "mother")
    empty.run("start", "mother")
    if kind == "pid":  # it ended with its owner: as after every stop, nobody starts what was not asked for
        empty.run("start", "app")
    assert are_together(empty, kind)


def test_without_its_owner_it_is_refused(empty: Stack, kind: str) -> None:
    empty.write(PROJECT.replace("KIND", kind).replace("EXTRA", ""))
    refused = empty.run("up", "-d", "--no-deps", "app", code=1)
    assert "with service mother: container missing" in refused.stderr
    assert not empty.containers()
