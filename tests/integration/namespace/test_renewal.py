"""Services that restart with what they depend on (``depends_on: restart: true``), when that crashes."""

from __future__ import annotations

import os
import signal

import pytest

from tests.integration.namespace.conftest import Stack, wait_for
from tests.integration.namespace.test_recovery import supervisors

pytestmark = pytest.mark.root

PROJECT = """
services:
  db:
    image: host
    command: [sh, -c, 'echo run; trap "exit 3" TERM; while :; do sleep 0.05; done']
    restart: always
    healthcheck: {test: [CMD, test, -e, /tmp/up], interval: 100ms, start_interval: 100ms, start_period: 60s}
  api:
    image: host
    command: [sh, -c, 'echo run; trap "echo bye; exit 0" TERM; while :; do sleep 0.05; done']
    depends_on: {db: {condition: service_started, restart: true}}
  web: {image: host, command: [sh, -c, 'echo run; exec sleep 600'], init: true,
        depends_on: {api: {condition: service_started, restart: true}, db: {condition: service_started, restart: true}}}
  careful: {image: host, command: [sh, -c, 'echo run; exec sleep 600'], init: true,
            depends_on: {db: {condition: service_healthy, restart: true}}}
  other: {image: host, command: [sh, -c, 'echo run; exec sleep 600'], init: true,
          depends_on: {db: {condition: service_started}}}
"""


def runs(stack: Stack) -> dict[str, int]:
    services = ("db", "api", "web", "careful", "other")
    return {one: stack.out("logs", "--no-log-prefix", one).split().count("run") for one in services}


def make_healthy(stack: Stack) -> None:
    stack.shell("db", "touch /tmp/up")


@pytest.fixture
def running(stack: Stack) -> Stack:
    stack.up(PROJECT, "db")
    make_healthy(stack)
    stack.run("up", "-d")
    wait_for(lambda: set(runs(stack).values()) == {1})
    return stack


def crash(stack: Stack) -> None:
    """Have the program of db end by itself. What its health depends on is gone until somebody makes it again."""
    stack.run("exec", "-T", "db", "sh", "-c", "rm /tmp/up; kill -TERM 1", check=False)  # it may die with it


def test_dependents_begin_anew_once_and_the_others_go_on(running: Stack) -> None:
    before = running.out("ps", "-q", "api")
    crash(running)
    wait_for(
        lambda: runs(running) | {"careful": 0} == {"db": 2, "api": 2, "web": 2, "careful": 0, "other": 1}
    )
    assert "bye" in running.out("logs", "api")  # as by a user: its stop signal came first
    assert running.out("ps", "-q", "api") == before
    # who wants it healthy waits for that
    assert runs(running)["careful"] == 1
    make_healthy(running)
    wait_for(lambda: runs(running)["careful"] == 2)
    assert runs(running) == {"db": 2, "api": 2, "web": 2, "careful": 2, "other": 1}
    counts = running.out("container", "inspect", "--format", "{{.RestartCount}}", f"{running.name}-api-1")
    assert counts.strip() == "0"  # it did not fail
    assert "nothing to do" in running.out("plan")


def test_what_a_user_stops_stays_stopped(running: Stack) -> None:
    running.run("stop", "-t", "0", "web")
    crash(running)
    wait_for(lambda: runs(running)["api"] == 2)
    assert runs(running)["web"] == 1
    running.run("restart", "--no-deps", "-t", "0", "db")
    assert runs(running)["api"] == 2  # a command restarts what it says itself


@pytest.mark.parametrize("moment", ["owed", "renewing"])
def test_what_is_owed_outlives_the_supervisor(running: Stack, moment: str) -> None:
    if moment == "owed":
        crash(running)
        wait_for(lambda: runs(running)["db"] == 2 and runs(running)["api"] == 2)
    else:
        running.shell("api", "kill -STOP 1 || true")
        running.run("pause", "api")  # it cannot end before the supervisor is killed
        crash(running)
        wait_for(lambda: runs(running)["db"] == 2)
    for pid in supervisors(running):
        os.kill(int(pid), signal.SIGKILL)
    running.run("ps")
    make_healthy(running)
    wait_for(lambda: runs(running) == {"db": 2, "api": 2, "web": 2, "careful": 2, "other": 1})
