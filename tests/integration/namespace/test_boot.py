"""A boot, without a machine that boots: what was to run runs, as it was created, in order of dependencies."""

from __future__ import annotations

import json
import time

import pytest

from . import ends
from .conftest import Stack, wait_for

pytestmark = pytest.mark.root

PROJECT = """
services:
  app:
    image: host
    command: [sleep, "600"]
    restart: always
    stop_signal: SIGKILL
    environment: {LEVEL: first}
    depends_on: {db: {condition: service_healthy}, cache: {condition: service_started}}
  cache: {image: host, command: [sleep, "600"], restart: unless-stopped, stop_signal: SIGKILL, depends_on: [db]}
  db:
    image: host
    command: [sh, -c, "sleep 0.5; touch /t/ready; exec sleep 600"]
    tmpfs: [/t]
    restart: always
    stop_signal: SIGKILL
    healthcheck: {test: [CMD, test, -e, /t/ready], interval: 200ms}
  side: {image: host, command: [sleep, "600"], restart: always, stop_signal: SIGKILL, network_mode: "service:app"}
  retried: {image: host, command: [sleep, "600"], restart: on-failure, stop_signal: SIGKILL}
  plain: {image: host, command: [sleep, "600"], stop_signal: SIGKILL}
  halted: {image: host, command: [sleep, "600"], restart: unless-stopped, stop_signal: SIGKILL}
  ended: {image: host, command: ["true"]}
"""


def _states(stack: Stack) -> dict[str, str]:
    rows = [json.loads(line) for line in stack.out("ps", "-a", "--format", "json").splitlines()]
    return {row["Service"]: row["State"] for row in rows}


def test_a_boot_brings_back_what_was_to_run_in_order_of_dependencies(stack: Stack) -> None:
    stack.up(PROJECT)
    stack.run("stop", "-t", "0", "halted")
    before = stack.out("ps", "-aq").split()
    ends.reboot(stack)
    reboot_ns = time.time_ns()
    # Not today's files: these would start another program, and nothing else.
    stack.write("services: {app: {image: host, command: ['false'], environment: {LEVEL: second}}}")
    stack.run("boot", "start")
    running = {"app", "cache", "db", "side", "retried"}
    assert {name for name, state in _states(stack).items() if state == "running"} == running
    assert _states(stack)["plain"] == "exited"
    assert _states(stack)["halted"] == "exited"
    assert stack.out("ps", "-aq").split() == before, "they are the same containers"
    assert stack.inside("app", "printenv", "LEVEL") == "first\n"
    started = {name: ends.state_of(stack, name)["started_ns"] for name in running}
    assert min(started.values()) > reboot_ns
    assert started["db"] < started["cache"] < started["app"] < started["side"]
    assert all(ends.state_of(stack, name).get("restarts", 0) == 0 for name in running)
    ready_ns = json.loads(_health(stack, "db"))["probes"][-1]["ended_ns"]
    assert ready_ns > started["db"] + 400_000_000, "it was healthy before what waits for it was started"
    assert started["app"] > started["db"] + 400_000_000


def _health(stack: Stack, service: str) -> str:
    for path in stack.state.glob("lib/containers/*/health.json"):
        if json.loads((path.parent / "meta.json").read_text())["name"] == f"{stack.name}-{service}-1":
            return path.read_text()
    raise AssertionError(f"{service} has no health")


def test_always_comes_back_after_it_was_stopped_and_what_never_ran_does_not(stack: Stack) -> None:
    """As with Docker at the start of its daemon."""
    stack.write(
        "services: {a: {image: host, command: [sleep, '600'], restart: always, stop_signal: SIGKILL}}"
    )
    stack.run("create")
    ends.reboot(stack)
    stack.run("boot", "start")
    assert _states(stack) == {"a": "created"}
    stack.run("start")
    stack.run("stop", "-t", "0")
    ends.reboot(stack)
    stack.run("boot", "start")
    assert _states(stack) == {"a": "running"}


def test_a_boot_without_a_reboot_changes_nothing(stack: Stack) -> None:
    stack.up(PROJECT)
    before = {name: ends.state_of(stack, name)["pid"] for name in ("app", "db", "cache")}
    assert stack.out("boot", "start") == ""
    assert {name: ends.state_of(stack, name)["pid"] for name in before} == before


def test_one_that_cannot_start_keeps_no_other_from_its_start(stack: Stack) -> None:
    stack.up(
        "services:\n"
        "  a: {image: host, command: [sleep, '600'], restart: always, stop_signal: SIGKILL, volumes: ['./gone:/x']}\n"
        "  b: {image: host, command: [sleep, '600'], restart: always, stop_signal: SIGKILL, depends_on: [a]}\n"
    )
    ends.reboot(stack)
    (stack.directory / "gone").rmdir()
    result = stack.run("boot", "start", check=False)
    assert result.returncode == 1
    assert "cannot start" in result.stderr
    assert _states(stack)["b"] == "running"


def test_status_says_what_comes_back(stack: Stack) -> None:
    stack.up(PROJECT)
    stack.run("stop", "-t", "0", "halted")
    ends.reboot(stack)
    shown = json.loads(stack.out("boot", "status", "--root", str(stack.directory), "--format", "json"))
    assert not shown["Enabled"]
    names = {one["Name"].removeprefix(f"{stack.name}-") for one in shown["Containers"]}
    assert names == {"app-1", "cache-1", "db-1", "side-1", "retried-1"}
    assert not any(one["Running"] for one in shown["Containers"])
    text = stack.out("boot", "status", "--root", str(stack.directory))
    assert sum(line.endswith("does not start at boot") for line in text.splitlines()) == 5
    stack.run("boot", "start")
    text = stack.out("boot", "status", "--root", str(stack.directory))
    assert text.splitlines()[0] == "not enabled"
    assert sum(line.endswith("running") for line in text.splitlines()) == 5
    wait_for(lambda: _states(stack)["app"] == "running")
