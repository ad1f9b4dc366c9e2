"""A container that waits for another is prepared meanwhile: nobody notices, and nothing of it stays."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from composer.runtime.container import cgroups

from .conftest import Stack, wait_for

pytestmark = pytest.mark.root

# The gate opens when /gate/open is there; web shows what /data/file was at its start.
GATED = """
services:
  db:
    image: host
    command: [sleep, infinity]
    stop_signal: SIGKILL
    volumes: ["./gate:/gate"]
    healthcheck: {test: [CMD, test, -e, /gate/open], interval: 30s}
  web:
    image: host
    command: [sh, -c, "cat /data/file; exec sleep infinity"]
    stop_signal: SIGKILL
    ports: ["127.0.0.1:18181:8000"]
    volumes: ["./gate/file:/data/file"]
    depends_on: {db: {condition: service_healthy}}
  idle:
    image: host
    command: [sleep, infinity]
    stop_signal: SIGKILL
    depends_on: {web: {condition: service_started}}
"""

TAKEN = """
services:
  db:
    image: host
    command: [sleep, infinity]
    stop_signal: SIGKILL
    healthcheck: {test: [CMD, "true"], interval: 1s}
    networks: {b: {ipv4_address: 10.98.2.77}}
  web:
    image: host
    command: [sleep, infinity]
    networks: {a: , b: {ipv4_address: 10.98.2.77}}
    depends_on: {db: {condition: CONDITION}}
networks:
  a: {ipam: {config: [{subnet: 10.98.1.0/24}]}}
  b: {ipam: {config: [{subnet: 10.98.2.0/24}]}}
"""


def record(stack: Stack, service: str) -> dict[str, object]:
    """Return what is on the disk of a service's container, with its id; empty where there is none."""
    for path in (stack.state / "lib/containers").glob("*/meta.json"):
        try:
            if json.loads(path.read_text())["name"] == f"{stack.name}-{service}-1":
                return {**json.loads((path.parent / "state.json").read_text()), "id": path.parent.name}
        except FileNotFoundError:
            continue
    return {}


def processes(id: object) -> list[int]:
    return cgroups.Cgroup(cgroups.detect(), str(id)).processes()


def prepared(stack: Stack, service: str) -> int:
    """Return the pid of a container that is prepared and in its cgroups; 0 before."""
    found = record(stack, service)
    return (processes(found["id"]) or [0])[0] if found.get("prepared") else 0


@contextmanager
def waiting(stack: Stack) -> Iterator[subprocess.Popen[str]]:
    """An `up` that waits for db, with web and idle prepared."""
    stack.write(GATED)
    gate = stack.directory / "gate"
    gate.mkdir(exist_ok=True)
    (gate / "file").write_text("before\n")
    up = stack.popen("up", "-d")
    try:
        wait_for(lambda: prepared(stack, "web") and prepared(stack, "idle"), what="the preparation")
        yield up
    finally:
        if up.poll() is None:
            up.kill()
        up.communicate()


def open_gate(stack: Stack) -> None:
    (stack.directory / "gate/open").touch()


def states(stack: Stack) -> dict[str, str]:
    rows = [json.loads(line) for line in stack.out("ps", "-a", "--format", "json").splitlines()]
    return {row["Service"]: row["State"] for row in rows}


def test_nobody_notices_a_prepared_container_and_the_start_uses_it(stack: Stack) -> None:
    with waiting(stack) as up:
        pids = {service: prepared(stack, service) for service in ("web", "idle")}
        assert states(stack) == {"db": "running", "web": "created", "idle": "created"}
        endpoints = [path.name for path in (stack.state / "lib/networks").glob("*/endpoints/*")]
        assert endpoints == [record(stack, "db")["id"]]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 18181), 1)
        assert [line for line in stack.out("logs", "web").splitlines() if line] == []
        open_gate(stack)
        assert up.wait(20) == 0
    for service, pid in pids.items():
        assert record(stack, service)["pid"] == pid, f"{service} was not prepared, or not used"
        assert "prepared" not in record(stack, service)
    assert set(states(stack).values()) == {"running"}
    assert "nothing to do" in stack.out("plan")


def test_what_a_dependency_changes_while_the_container_is_prepared_is_seen(stack: Stack) -> None:
    with waiting(stack) as up:
        replacement = stack.directory / "gate/new"
        replacement.write_text("after\n")
        replacement.rename(stack.directory / "gate/file")
        open_gate(stack)
        assert up.wait(20) == 0
    wait_for(lambda: stack.out("logs", "--no-log-prefix", "web") == "after\n", what="the new content")


def test_looking_into_a_prepared_container_does_not_disturb_it(stack: Stack) -> None:
    with waiting(stack) as up:
        stack.run("cp", "web:/etc/hostname", str(stack.directory / "hostname"))
        stack.run("export", "web", "-o", str(stack.directory / "web.tar"))
        open_gate(stack)
        assert up.wait(20) == 0
    # Each needs the working directory of its overlay: the root's, and that over the host's programs.
    stack.shell("web", "mkdir /made && rmdir /made && chmod 700 /usr/bin && chmod 755 /etc")


def test_a_wait_that_fails_takes_the_preparation_back(stack: Stack) -> None:
    with waiting(stack) as up:
        ids = [record(stack, service)["id"] for service in ("web", "idle")]
        stack.run("kill", "db")
        assert up.wait(20) == 1
    assert [processes(id) for id in ids] == [[], []]
    assert [record(stack, service)["status"] for service in ("web", "idle")] == ["created", "created"]
    assert not any("prepared" in record(stack, service) for service in ("web", "idle"))
    open_gate(stack)
    stack.run("up", "-d")
    assert set(states(stack).values()) == {"running"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_command_that_goes_away_takes_the_preparation_with_it(stack: Stack, number: int) -> None:
    with waiting(stack) as up:
        ids = [record(stack, service)["id"] for service in ("web", "idle")]
        up.send_signal(number)
        up.wait(20)
        wait_for(lambda: [processes(id) for id in ids] == [[], []], what="the end of what was prepared")
        wait_for(lambda: not record(stack, "web").get("prepared"))
    assert states(stack) == {"db": "running", "web": "created", "idle": "created"}


@pytest.mark.parametrize("victims", [("supervisor",), ("keeper",), ("keeper", "supervisor")])
def test_a_prepared_start_survives_our_processes_or_is_made_anew(
    stack: Stack, victims: tuple[str, ...]
) -> None:
    with waiting(stack) as up:
        for pid in [stack.pid(victim) for victim in victims]:
            os.kill(pid, signal.SIGKILL)
        if len(victims) == 2:
            up.kill()  # nobody is left who knows: the next command finds it on the disk
            up.wait(20)
            stack.run("ps")
        open_gate(stack)
        if len(victims) < 2:
            assert up.wait(20) == 0
    stack.run("up", "-d")
    assert set(states(stack).values()) == {"running"}
    assert not any(record(stack, service).get("prepared") for service in ("db", "web", "idle"))


@pytest.mark.parametrize("condition", ["service_started", "service_healthy"])
def test_an_address_that_cannot_be_had_takes_no_other_along(stack: Stack, condition: str) -> None:
    """Of two networks the second has no address for it: that of the first is not kept, prepared or not."""
    stack.write(TAKEN.replace("CONDITION", condition))
    assert "10.98.2.77" in stack.run("up", "-d", check=False).stderr
    web = record(stack, "web")["id"]
    assert not [
        path for path in stack.state.glob("lib/networks/*/leases/*") if path.read_text().strip() == web
    ]
    stack.run("down", "-t", "0")


def test_everything_killed_and_taken_down_leaves_nothing(stack: Stack) -> None:
    with waiting(stack) as up:
        for pid in [*(stack.pid(role) for role in ("keeper", "supervisor")), up.pid]:
            os.kill(pid, signal.SIGKILL)
    stack.run("down", "-t", "0")


def test_an_exit_of_before_is_shown_until_the_container_starts_again(stack: Stack) -> None:
    with waiting(stack) as up:
        open_gate(stack)
        assert up.wait(20) == 0
    stack.run("stop", "web", "db")
    assert states(stack)["web"] == "exited"
    pathlib.Path(stack.directory / "gate/open").unlink()
    with waiting_again(stack):
        assert states(stack)["web"] == "exited"


@contextmanager
def waiting_again(stack: Stack) -> Iterator[None]:
    up = stack.popen("up", "-d")
    try:
        wait_for(lambda: prepared(stack, "web"), what="the preparation")
        yield
    finally:
        up.kill()
        up.communicate()
