"""Kill -9 of everything of ours, at random moments, while containers count, restart, are entered and end.

    make storm ROUNDS=300 SEED=7        a dozen rounds are among the usual tests; the seed is printed with each run

No line is lost and none comes twice, a start starts once, every exit code is right or said to be unknown, nothing is
stuck and nothing is left. Only where keeper and supervisor die in one moment may the end of an output be missing, of
a program that ended in the same moment too (docs/architecture.md).
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import re
import subprocess
import time

import pytest

from . import ends
from .conftest import Stack, find_process, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(0)]

ROUNDS = int(os.environ.get("COMPOSER_STORM_ROUNDS", "12"))
SEED = int(os.environ.get("COMPOSER_STORM_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
LINES = 12
CODES = 199
"""Exit codes go from 1 to this: the run k ends with k modulo that, plus one."""

_COUNT = """
import itertools, time
for number in itertools.count(1):
    print(number, flush=True)
    time.sleep(0.002)
"""
_RUN = f"""
import os, sys, time
place = "/data/" + sys.argv[1]
number = int(open(place).read()) + 1 if os.path.exists(place) else 1
with open(place + ".new", "w") as file:
    file.write(str(number))
os.rename(place + ".new", place)
for line in range(1, {LINES} + 1):
    print(number, line, flush=True)
    time.sleep(0.005)
os._exit(number % {CODES} + 1)
"""
PROJECT = f"""
services:
  counter:
    image: host
    command: [python3, -Suc, {json.dumps(_COUNT)}]
    stop_signal: SIGKILL
    restart: always
    logging: {{driver: json-file, options: {{max-size: 40m, max-file: "3"}}}}
  again:
    image: host
    command: [python3, -Suc, {json.dumps(_RUN)}, again]
    restart: always
    stop_signal: SIGKILL
    volumes: [data:/data]
  once:
    image: host
    command: [python3, -Suc, {json.dumps(_RUN)}, once]
    stop_signal: SIGKILL
    volumes: [data:/data]
volumes:
  data:
"""
VICTIMS = ("command", "supervisor", "keeper", "both")
_UNKNOWN = re.compile(
    r"lost connection to the supervisor|exit code is unknown|the supervisor .*(crashes|is not responding)"
)


class Storm:
    """The rounds of one run. ``lossy`` counts the moments in which keeper and supervisor died together."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self.stack = stack
        self.dice = random.Random(seed)
        self.lossy = 0
        self.unknown = 0

    def run(self, rounds: int) -> None:
        self.stack.up(PROJECT)
        for number in range(rounds):
            actions = (self._exec, self._run_one, self._start_once, self._restart_again, self._up)
            action = self.dice.choice(actions)
            victim = self.dice.choice(VICTIMS)
            print(f"round {number}: {action.__name__.strip('_')}, {victim}", flush=True)
            action(victim)
            self._converge()
            if number % 10 == 9:
                self._check_logs()
        self._check_logs()

    # -------------------------------------------------------------- killing

    def _strike(self, victim: str, command: subprocess.Popen[str] | None) -> None:
        """Kill after a while: at a moment of a start, an exec, an end, or between them."""
        time.sleep(self.dice.choice((0.0, 0.05, 0.1, 0.2, 0.4)) * self.dice.random() * 2)
        if victim == "command":
            if command is not None:
                command.kill()
            return
        roles = ("keeper", "supervisor") if victim == "both" else (victim,)
        pids = [find_process(f"composer: {role} {self.stack.name}") for role in roles]
        for pid in filter(None, pids):
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue  # the last container has ended, and so have they
        self.lossy += victim == "both"

    def _under_fire(self, victim: str, *arguments: str) -> tuple[int, str, str]:
        command = self.stack.popen(*arguments)
        self._strike(victim, command)
        out, err = command.communicate(timeout=90)
        return command.returncode, out, err

    # -------------------------------------------------------------- what is done meanwhile

    def _exec(self, victim: str) -> None:
        code = self.dice.randrange(1, 100)
        script = f"echo in; sleep 0.{self.dice.randrange(3)}; echo out; exit {code}"
        found = self._under_fire(victim, "exec", "-T", "counter", "sh", "-c", script)
        if victim != "command" and not self._is_honest(found):
            assert found[:2] == (code, "in\nout\n"), found

    def _run_one(self, victim: str) -> None:
        code = self.dice.randrange(1, 100)
        script = f"echo in; sleep 0.{self.dice.randrange(3)}; echo out; exit {code}"
        found = self._under_fire(victim, "run", "--rm", "-q", "-T", "--no-deps", "once", "sh", "-c", script)
        if victim == "command" or self._is_honest(found):
            return
        if victim == "both":
            assert (found[0], "in\nout\n".startswith(found[1])) == (code, True), found
        else:
            assert found[:2] == (code, "in\nout\n"), found

    def _is_honest(self, found: tuple[int, str, str]) -> bool:
        """Tell whether a command said that it could not see the end, where that is so."""
        is_said = bool(found[0]) and bool(_UNKNOWN.search(found[2]))
        self.unknown += is_said
        return is_said

    def _start_once(self, victim: str) -> None:
        self._await_end()
        before = self._runs("once")
        found = self._under_fire(victim, "start", "once")
        self._converge()
        self._await_end()
        runs = self._runs("once") - before
        if victim == "command":
            assert runs in (0, 1), f"started {runs} times"
            if not runs:
                return
        else:
            assert (found[0], runs) == (0, 1), f"started {runs} times: {found}"
        state = ends.state_of(self.stack, "once")
        if state["exit_code"] is None:
            assert victim == "both", f"unknown, and only the {victim} was killed"
            assert state["exit_unknown"]
            self.unknown += 1
        else:
            assert state["exit_code"] == self._runs("once") % CODES + 1

    def _restart_again(self, victim: str) -> None:
        self._under_fire(victim, "restart", "-t", "0", "again")

    def _up(self, victim: str) -> None:
        self._under_fire(victim, "up", "-d", "counter", "again")

    # -------------------------------------------------------------- what has to be so

    def _runs(self, service: str) -> int:
        (data,) = self.stack.state.glob("lib/volumes/*/_data")
        try:
            return int((data / service).read_text())
        except FileNotFoundError:
            return 0

    def _await_end(self) -> None:
        wait_for(
            lambda: ends.state_of(self.stack, "once")["status"] in ("created", "exited"),
            timeout_s=30,
            what="the end of once",
        )

    def _converge(self) -> None:
        """The next command finds everything as it has to be, and nothing is stuck on its way."""
        self.stack.run("up", "-d", "counter", "again")
        for role in ("keeper", "supervisor"):
            wait_for(lambda role=role: len(self._processes(role)) == 1, what=f"one {role}")  # type: ignore[misc]
        assert ends.state_of(self.stack, "counter")["status"] == "running"
        wait_for(
            lambda: ends.state_of(self.stack, "again")["status"] in ("running", "restarting"),
            timeout_s=30,
            what="the one that restarts",
        )

    def _processes(self, role: str) -> list[str]:
        title = f"composer: {role} {self.stack.name}".encode()
        found = []
        for entry in os.listdir("/proc"):
            try:
                command = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes()
                parent = int(pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if command.rstrip(b"\0 ") == title and not self._is_fork(parent, title):
                found.append(entry)
        return found

    def _is_fork(self, parent: int, title: bytes) -> bool:
        """Tell a child that has not become its program yet: its parent has the same title."""
        try:
            return pathlib.Path(f"/proc/{parent}/cmdline").read_bytes().rstrip(b"\0 ") == title
        except OSError:
            return False

    def _check_logs(self) -> None:
        lines = self.stack.out("logs", "--no-log-prefix", "counter").split()
        assert lines == [str(number) for number in range(1, len(lines) + 1)], _first_gap(lines)
        for service in ("again", "once"):
            self._check_runs(service)

    def _check_runs(self, service: str) -> None:
        """Each run said its lines once and in order; one that was stopped, or lost its end, the first of them."""
        shown = self.stack.out("logs", "--no-log-prefix", service).splitlines()
        runs: dict[int, list[int]] = {}
        order = []
        for line in shown:
            number, part = map(int, line.split())
            runs.setdefault(number, []).append(part)
            order.append(number)
        assert order == sorted(order), f"{service}: runs are out of order"
        for number, parts in runs.items():
            assert parts == list(range(1, len(parts) + 1)), f"{service}: run {number} said {parts}"
        if service == "once":
            short = [number for number, parts in runs.items() if len(parts) < LINES]
            assert len(short) <= self.lossy + 1, f"lines are lost of the runs {short}"


def _first_gap(lines: list[str]) -> str:
    for number, line in enumerate(lines, 1):
        if line != str(number):
            return f"line {number} of the counter is {line}, behind {lines[max(0, number - 4) : number - 1]}"
    return "none"


def test_a_storm_of_kills_over_everything(stack: Stack) -> None:
    storm = Storm(stack, SEED)
    print(f"COMPOSER_STORM_SEED={SEED} COMPOSER_STORM_ROUNDS={ROUNDS}", flush=True)
    started_s = time.monotonic()
    storm.run(ROUNDS)
    print(
        f"{ROUNDS} rounds in {time.monotonic() - started_s:.0f} s, seed {SEED}: nothing lost, "
        f"{storm.unknown} ends honestly unknown, {storm.lossy} times both died at once"
    )
