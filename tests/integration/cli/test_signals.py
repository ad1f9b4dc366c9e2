"""Ctrl-C in an attached ``up``: once stops gracefully and in order, twice kills; the exit code is 130."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STACK = """
name: app
services:
  db: {image: db}
  web: {image: web, depends_on: [db]}
"""


def start(directory: Path, delay_s: float, *arguments: str) -> subprocess.Popen[str]:
    (directory / "compose.yaml").write_text(STACK)
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("stack.py")), str(delay_s), *arguments],
        cwd=directory,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HOME": str(directory),
            "COMPOSER_ROOT": str(directory / "root"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "Attaching to db-1, web-1\n"
    assert process.stdout.readline() == "web-1  | listening\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_stops_in_reverse_order(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, 0.0, "up")
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Gracefully Stopping" in err
    stops = [call for call in out.splitlines()[-1].split() if call.startswith("stop_container")]
    assert stops == ["stop_container=app-web-1", "stop_container=app-db-1"]
    assert "web-1 exited with code 143" in out


def test_the_second_signal_kills(tmp_path: Path) -> None:
    process = start(tmp_path, 3600.0, "up")
    process.send_signal(signal.SIGINT)
    # two signals that are pending at once are one
    assert process.stderr is not None
    while "app-web-1 Stopping" not in (line := process.stderr.readline()):
        assert line, "it ended"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert {"kill_container=app-web-1", "kill_container=app-db-1"} <= set(out.splitlines()[-1].split())
