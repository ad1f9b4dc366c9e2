"""Memory that runs out: the kernel kills a program of the container, and nothing else changes."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

import composer
from composer.faults import exhausting
from tests.integration.stacks.conftest import IMAGE

LARGE = """awk 'BEGIN { large = sprintf("%20000000s", 1); system("sleep 1000") }'"""
FILE = f"""
services:
  free: {{image: {IMAGE}, command: sleep 1000, stop_signal: SIGKILL}}
  small: {{image: {IMAGE}, command: sleep 1000, stop_signal: SIGKILL, mem_limit: 16m}}
  parent:
    image: {IMAGE}
    mem_limit: 256m
    command:
      - sh
      - -c
      - |
        while true; do {LARGE}; echo killed; done
    stop_signal: SIGKILL
"""


@pytest.fixture
def stack(directory: pathlib.Path, backend: str) -> Iterator[composer.Stack]:
    (directory / "compose.yaml").write_text(FILE)
    with composer.Stack(composer.load(directory / "compose.yaml"), backend=backend) as made:
        made.up(timeout=30)
        yield made
        assert list(pathlib.Path("/sys/fs/cgroup").rglob("composer-fault-*")) == []


def pid_of(stack: composer.Stack, service: str) -> int:
    rows = stack.backend.processes(stack[service].container().id)
    return int(rows.rows[0][rows.titles.index("PID")])


def states(stack: composer.Stack) -> dict[str, tuple[str, int | None]]:
    return {
        one.name.rsplit("-", 2)[1]: (one.state.value, one.exit_code if one.state.value == "exited" else None)
        for one in stack.ps(all=True)
    }


def until(condition: Callable[[], bool], seen: Callable[[], str]) -> None:
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s, seen()
        time.sleep(0.02)


def test_a_program_is_killed_where_there_is_no_limit_and_where_there_is_one(stack: composer.Stack) -> None:
    stack["free"].oom()
    command = [sys.executable, "-m", "composer", "-p", stack.name, "fault", "oom", "small"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "small: out of memory\n"
    ended = {"free": ("exited", 137), "small": ("exited", 137), "parent": ("running", None)}
    until(lambda: states(stack) == ended, lambda: str(states(stack)))


def test_the_largest_is_killed_and_the_limit_is_as_it_was(stack: composer.Stack) -> None:
    group = exhausting.Group.of(pid_of(stack, "parent"))
    score = pathlib.Path(f"/proc/{pid_of(stack, 'parent')}/oom_score_adj")
    before = score.read_text()
    until(lambda: group.used_bytes() > 20_000_000, lambda: str(group.used_bytes()))
    stack["parent"].oom()
    stack["parent"].wait_log("killed", timeout=20)
    assert group.is_limited()
    assert score.read_text() == before
    assert states(stack)["parent"] == ("running", None)
