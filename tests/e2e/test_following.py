"""Who follows output goes on following when another command restarts, or replaces, all that is followed."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from tests.e2e.stack import Stack
from tests.integration.namespace.conftest import wait_for

PROJECT = """
name: NAME
services:
  web: {image: IMAGE, command: [sh, -c, "trap 'exit 0' TERM; echo here; while :; do sleep 0.1; done"]}
"""


class Followed:
    """A command that goes on, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.lines = process, list[str]()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def count(self, text: str) -> int:
        return sum(text in line for line in self.lines)

    def wait_for(self, text: str, count: int) -> None:
        deadline_s = time.monotonic() + 60
        while self.count(text) < count and self.process.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert self.count(text) >= count, f"no '{text}', exit code {self.process.poll()}: {self.lines}"


@contextlib.contextmanager
def following(stack: Stack, *arguments: str) -> Iterator[Followed]:
    command = stack.command(*arguments)
    with subprocess.Popen(
        **command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    ) as process:
        try:
            yield Followed(process)
        finally:
            process.kill()


def go_through_it_all(stack: Stack, followed: Followed) -> None:
    """Restart and replace what is followed; end it; whoever follows ends with it, and not before."""
    followed.wait_for("here", 1)
    stack.run("restart", "-t", "10")
    followed.wait_for("here", 2)
    stack.run("up", "-d", "--force-recreate")
    followed.wait_for("here", 3)
    assert followed.process.poll() is None
    stack.run("stop")
    followed.process.wait(60)
    assert followed.process.returncode == 0


@pytest.mark.parametrize("extra", [(), ("--abort-on-container-exit",)], ids=["plain", "abort"])
def test_an_attached_up_goes_on(empty: Stack, extra: tuple[str, ...]) -> None:
    empty.write(PROJECT)
    with following(empty, "up", *extra) as up:
        go_through_it_all(empty, up)
        up.wait_for("exited with code 0 (restarting)", 1)
        ends = ("exited with code 0", "exited with code 0 (restarting)")
        wait_for(lambda: up.count(ends[0]) > up.count(ends[1]), what="the end of the last run")


@pytest.mark.parametrize("extra", [(), ("--grep", ".")])
def test_followed_logs_go_on(empty: Stack, extra: tuple[str, ...]) -> None:
    empty.write(PROJECT)
    empty.run("up", "-d")
    with following(empty, "logs", "-f", *extra) as logs:
        go_through_it_all(empty, logs)


def test_a_command_in_the_background_of_a_script_can_be_interrupted(empty: Stack) -> None:
    """A shell lets it begin with the signal ignored."""
    empty.write(PROJECT)
    empty.run("up", "-d")
    command = empty.command("logs", "-f")
    script = 'exec "$@" & pid=$!; sleep 2; kill -INT $pid; wait $pid; echo code $?'
    command["args"] = ["sh", "-c", script, "sh", *command["args"]]
    done = subprocess.run(**command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("code 130\n"), done.stdout


def test_a_search_without_end_can_be_interrupted(empty: Stack) -> None:
    """An expression that tries everything: nothing but a signal ends it."""
    words = "a" * 45 + "!"
    empty.write(PROJECT.replace("echo here", f"echo here; echo {words}"))
    empty.run("up", "-d")
    with following(empty, "logs", "-f", "--no-log-prefix", "--grep", "^(a+)+$|here") as followed:
        followed.wait_for("here", 1)
        time.sleep(1)
        followed.process.send_signal(signal.SIGINT)
        assert followed.process.wait(timeout=30) == 130
