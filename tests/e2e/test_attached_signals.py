"""Signals of an attached command reach the container, however close together they come, and hang nothing."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.e2e.stack import Stack
from tests.integration.namespace.conftest import wait_for

PROJECT = """
name: NAME
services:
  web:
    image: IMAGE
    command: [sh, -c, "trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 0.1; done"]
"""


@pytest.mark.parametrize("count", [1, 2, 5])
def test_signals_in_a_row(empty: Stack, count: int) -> None:
    empty.write(PROJECT)
    empty.run("up", "-d")
    wait_for(lambda: "ready" in empty.run("logs").stdout, what="the program")
    with subprocess.Popen(
        **empty.command("attach", "--no-stdin", "web"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as attached:
        # it is attached when the engine knows of it; a signal before that ends the command alone
        assert attached.stdout is not None
        try:
            wait_for(lambda: _is_handled(attached.pid), what="the handler")
            for _ in range(count):
                attached.send_signal(signal.SIGTERM)
            attached.wait(60)
        finally:
            attached.kill()
    wait_for(lambda: empty.states() == {"web-1": "exited"}, what="the end")
    assert "got" in empty.run("logs").stdout
    empty.run("down", "-t", "0")


def _is_handled(pid: int) -> bool:
    """Tell whether a process catches SIGTERM: proc(5), SigCgt."""
    with open(f"/proc/{pid}/status") as file:
        caught = next(line.split()[1] for line in file if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)
