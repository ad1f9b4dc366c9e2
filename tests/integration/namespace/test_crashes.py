"""Kill -9 of each of our processes, at any moment: nothing is lost, and the next command converges."""

from __future__ import annotations

import json
import os
import pathlib
import random
import signal
import subprocess
import time

import pytest

from . import ends
from .conftest import Stack, find_process, wait_for

pytestmark = pytest.mark.root

COUNTER = """
services:
  counter:
    image: host
    command:
      - python3
      - -uc
      - |
        import itertools, time
        file = open("/data/count", "w")
        for number in itertools.count(1):
            print(number, flush=True)
            file.seek(0); file.write(str(number)); file.flush()
            time.sleep(0.001)
    volumes: ["data:/data"]
    stop_signal: SIGKILL
  server:
    image: host
    command: ["python3", "-m", "http.server", "8000", "--bind", "0.0.0.0"]
    stop_signal: SIGKILL
    ports: ["127.0.0.1::8000"]
  mortal:
    image: host
    command: ["sh", "-c", "while [ ! -e /data/die ]; do sleep 0.01; done; echo last words; exit 42"]
    volumes: ["data:/data"]
    stop_signal: SIGKILL
volumes:
  data:
"""


def _data(stack: Stack) -> str:
    return str(stack.state / "lib/volumes" / f"{stack.name}_data" / "_data")


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _check_log(stack: Stack) -> None:
    """The log holds 1…N without gap or double, and at least as much as the container had counted before."""
    counted = int(pathlib.Path(_data(stack), "count").read_text() or 0)

    def reached() -> bool:
        lines = stack.out("logs", "--no-log-prefix", "counter").split()
        assert lines == [str(number) for number in range(1, len(lines) + 1)], "the log has a gap or a double"
        return len(lines) >= counted

    wait_for(reached, timeout_s=5, what=f"line {counted} of the log")


def _check_alive(stack: Stack) -> None:
    """Names and the published port answer again."""
    port = int(stack.out("port", "server", "8000").rsplit(":", 1)[1])

    def fetch() -> bool:
        import urllib.request

        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=0.5).status == 200
        except OSError:
            return False

    wait_for(fetch, timeout_s=5, what="the published port")
    wait_for(
        lambda: (
            "server" in stack.run("exec", "-T", "counter", "getent", "hosts", "server", check=False).stdout
        )
    )


def _exit_of(stack: Stack, service: str) -> int | None:
    rows = [json.loads(line) for line in stack.out("ps", "-a", "--format", "json").splitlines()]
    (row,) = [row for row in rows if row["Service"] == service]
    return row["ExitCode"] if row["State"] == "exited" else None


@pytest.mark.parametrize("victim", ["supervisor", "keeper"])
def test_a_killed_process_is_replaced_and_an_exit_meanwhile_is_known(stack: Stack, victim: str) -> None:
    stack.up(COUNTER)
    first = stack.pid(victim)
    other = stack.pid("keeper" if victim == "supervisor" else "supervisor")
    # Stopped, the other one cannot bring the victim back before the container has ended.
    os.kill(other, signal.SIGSTOP)
    try:
        mortal = ends.state_of(stack, "mortal")["pid"]
        _kill(first)
        pathlib.Path(_data(stack), "die").touch()
        ends.wait_for_end(mortal)
    finally:
        os.kill(other, signal.SIGCONT)
    wait_for(lambda: stack.pid(victim) != first, what=f"a new {victim}")
    _check_alive(stack)
    wait_for(lambda: _exit_of(stack, "mortal") == 42, what="exit code 42")
    assert "last words" in stack.out("logs", "mortal")
    _check_log(stack)
    assert "Recreate" not in stack.run("up", "-d").stderr


def test_both_killed_at_once_containers_go_on_and_the_next_command_adopts_them(stack: Stack) -> None:
    stack.up(COUNTER)
    ids = stack.out("ps", "-q")
    ends.kill_both(stack)
    stack.run("restart", "-t", "0", "mortal")
    assert stack.out("ps", "-q") == ids
    _check_alive(stack)
    _check_log(stack)


def test_a_storm_of_kills_loses_nothing(stack: Stack) -> None:
    stack.up(COUNTER)
    dice = random.Random(7)
    for _ in range(12):
        victim = dice.choice(["supervisor", "keeper"])
        killed = stack.pid(victim)
        _kill(killed)
        wait_for(lambda victim=victim, killed=killed: stack.pid(victim) != killed, what=f"a new {victim}")  # type: ignore[misc]
        time.sleep(dice.uniform(0, 0.2))
    _check_log(stack)
    _check_alive(stack)
    pathlib.Path(_data(stack), "die").touch()
    wait_for(lambda: _exit_of(stack, "mortal") == 42, what="exit code 42")


@pytest.mark.parametrize("delay_ms", [20, 60, 100, 140, 180, 220, 260, 320, 400])
def test_a_command_killed_in_the_middle_is_finished_by_the_next(stack: Stack, delay_ms: int) -> None:
    stack.write(COUNTER)
    up = stack.popen("up", "-d")
    time.sleep(delay_ms / 1000)
    up.kill()
    up.communicate()
    stack.run("up", "-d")
    rows = [json.loads(line) for line in stack.out("ps", "--format", "json").splitlines()]
    assert sorted(row["Service"] for row in rows) == ["counter", "mortal", "server"]
    assert all(row["State"] == "running" for row in rows)
    down = stack.popen("down", "-v", "-t", "0")
    time.sleep(delay_ms / 2000)
    down.kill()
    down.communicate()
    stack.run("down", "-v", "-t", "0")
    assert stack.out("ps", "-aq") == ""


@pytest.mark.parametrize("verb", [("down",), ("up", "-d"), ("rm", "-f")])
def test_what_a_killed_command_left_where_nobody_looks_goes_with_the_next(
    stack: Stack, verb: tuple[str, ...]
) -> None:
    stack.write("services: {web: {image: host, command: [sleep, inf]}}")
    killed = stack.popen("version")
    killed.communicate()
    left = stack.state / "lib/containers" / f".c0ffee.{killed.pid}.tmp" / "upper"
    left.mkdir(parents=True)
    journal = stack.state / "run/projects" / stack.name
    journal.mkdir(parents=True)
    (journal / "events").touch()
    stack.run(*verb)
    assert not left.parent.exists()
    assert verb[0] == "up" or not journal.exists()


def test_a_network_that_was_left_half_made_or_half_removed_is_finished(stack: Stack) -> None:
    """In both cases the record is there and the bridge is down; what else is there depends on the moment."""
    stack.up(COUNTER)
    stack.run("stop", "-t", "0")
    (record,) = stack.state.glob("lib/networks/*/network.json")
    bridge = json.loads(record.read_text())["bridge"]
    for command in (
        ["ip", "link", "set", bridge, "down"],
        ["ip", "address", "flush", "dev", bridge],
        ["nft", "delete", "table", "inet", "composer"],
    ):
        subprocess.run(command, check=True)
    stack.run("up", "-d")
    _check_alive(stack)


def test_who_is_attached_brings_the_supervisor_back(stack: Stack) -> None:
    """Both are killed at once: the command neither hangs nor loses how the program ended, nor what it said then."""
    go = stack.directory / "go"
    script = "echo in; while ! [ -e /project/go ]; do sleep 0.1; done; echo out; exit 7"
    stack.write(
        f"services:\n  job:\n    image: host\n    command: [sh, -c, '{script}']\n    stop_grace_period: 0s\n"
        "    volumes: ['.:/project']\n    profiles: [job]\n"
        "  other: {image: host, command: sleep 1000, stop_grace_period: 0s}\n"
    )
    stack.run("up", "-d")
    command = stack.popen("run", "--rm", "-T", "job")
    assert command.stdout is not None
    while "in" not in command.stdout.readline().split():
        assert command.poll() is None
    keeper, supervisor = stack.pid("keeper"), stack.pid("supervisor")
    os.kill(keeper, signal.SIGSTOP)
    _kill(supervisor)
    _kill(keeper)
    wait_for(lambda: find_process(f"composer: supervisor {stack.name}"), what="another supervisor")
    stack.inside("other", "true")  # it has taken over what runs
    go.touch()
    out, err = command.communicate(timeout=60)
    assert (command.returncode, out) == (7, "out\n"), err
