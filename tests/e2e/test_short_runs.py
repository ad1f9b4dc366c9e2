"""``run`` of commands that end at once, on a busy machine, and ``exec -d`` of ones that outlive the command line.

COMPOSER_RUN_ROUNDS=300 for a long time of it (``make runs``).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.stack import Stack
from tests.integration.namespace.conftest import wait_for

ROUNDS = int(os.environ.get("COMPOSER_RUN_ROUNDS", "3"))
PROJECT = """
name: NAME
services:
  e: {image: IMAGE, command: [echo, hi], network_mode: none}
  fails: {image: IMAGE, command: [sh, -c, "echo out; echo err >&2; exit 7"], network_mode: none}
  long: {image: IMAGE, command: [sleep, "600"], stop_signal: SIGKILL, network_mode: none}
"""


@pytest.fixture
def stack(empty: Stack) -> Stack:
    empty.write(PROJECT)
    return empty


@pytest.fixture
def busy() -> Iterator[None]:
    """Four processes that do nothing but take the processors."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def test_what_ends_at_once_is_heard_and_its_code_known(stack: Stack, busy: None) -> None:
    for _ in range(ROUNDS):
        assert stack.run("run", "--rm", "-q", "e").stdout == "hi\n"
        failed = stack.run("run", "--rm", "-q", "fails", code=7)
        assert failed.stdout == "out\n"
        assert "err" in failed.stderr.splitlines()


def test_ten_at_once_are_all_heard(stack: Stack, busy: None) -> None:
    for _ in range(max(1, ROUNDS // 10)):
        with ThreadPoolExecutor(10) as threads:
            runs = [threads.submit(stack.run, "run", "--rm", "-q", "e") for _ in range(10)]
        assert [run.result().stdout for run in runs] == ["hi\n"] * 10


def test_what_a_detached_command_writes_ends_it_never(stack: Stack) -> None:
    stack.run("up", "-d", "long")
    script = "echo out; echo err >&2; echo out; echo err >&2; echo went on > /alive"
    # It writes when the command that started it is gone for sure.
    stack.run("exec", "-d", "long", "sh", "-c", f"while [ ! -e /go ]; do sleep 0.1; done; {script}")
    stack.run("exec", "-T", "long", "sh", "-c", "echo > /go")
    wait_for(
        lambda: "went on" in stack.run("exec", "-T", "long", "sh", "-c", "cat /alive; true").stdout,
        what="the end of the detached command",
    )


def test_a_detached_command_writes_as_much_as_it_likes(stack: Stack) -> None:
    """More than a pipe, or a terminal, takes without a reader."""
    stack.run("up", "-d", "long")
    script = "i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done; echo went on > /alive"
    stack.run("exec", "-d", "long", "sh", "-c", script)
    wait_for(
        lambda: "went on" in stack.run("exec", "-T", "long", "sh", "-c", "cat /alive; true").stdout,
        what="the end of the detached command",
        timeout_s=30,
    )
