"""``depends_on: restart: true`` when what is depended on crashes, on both backends, with an attached ``up``."""

from __future__ import annotations

import signal
import subprocess

from tests.e2e.stack import Stack
from tests.integration.namespace.conftest import wait_for

PROJECT = """
name: NAME
services:
  db:
    image: IMAGE
    command: [sh, -c, "echo run; trap 'exit 3' TERM; while :; do sleep 0.1; done"]
    restart: always
  web:
    image: IMAGE
    command: [sh, -c, "echo run; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    depends_on: {db: {condition: service_started, restart: true}}
  other:
    image: IMAGE
    command: [sh, -c, "echo run; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    depends_on: [db]
"""


def runs(stack: Stack) -> list[int]:
    """Return how often db, web and other have begun."""
    lines = [line for line in stack.run("logs").stdout.splitlines() if "run" in line]
    return [sum(line.startswith(f"{name}-1 ") for line in lines) for name in ("db", "web", "other")]


def crash(stack: Stack) -> None:
    """Have the program of db end by itself; the command that says so may end with it."""
    subprocess.run(
        **stack.command("exec", "-T", "db", "sh", "-c", "kill -TERM 1"), capture_output=True, check=False
    )


def test_a_dependent_restarts_with_what_crashed(empty: Stack) -> None:
    empty.write(PROJECT)
    with subprocess.Popen(
        **empty.command("up"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as attached:
        try:
            wait_for(lambda: runs(empty) == [1, 1, 1], what="all of them")
            crash(empty)
            wait_for(lambda: runs(empty) == [2, 2, 1], what="web again")
            crash(empty)
            wait_for(lambda: runs(empty) == [3, 3, 1], what="web once more")
        finally:
            attached.send_signal(signal.SIGINT)
            output, _ = attached.communicate(timeout=60)
    assert attached.returncode == 130
    assert "db-1 exited with code 3 (restarting)" in output
    assert "Traceback" not in output
