"""What people do all day with one service that runs: composer beside docker compose, taking turns.

    python -m tests.bench.commands [--rounds N] [--write]

Needs root, docker with its compose plugin on PATH, an engine at DOCKER_HOST, and busybox-static for a small image.
Each row is a whole command. `logs` reads 300 MB, 3 million lines; `cp` moves 300 MB, or 5,000 small files from and to
a tmpfs: on a disk most of that is the file system's time for new files. ``--write`` puts the table into
docs/benchmarks.md.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from tests.bench.page import options, write_section
from tests.bench.run import COMPOSER, IMAGE, make_image, row, versions

_LINES, _FILES = 3_000_000, 5_000
_SETTLE_S = 0.3
"""The kernel takes away the network of the other side's container after that command has ended."""
_LINE = (
    "%08d a line of a log that is one hundred characters long, as many lines of programs and servers are.\n"
)
_FILE = """\
name: {name}
services:
  idle: {{image: {image}, command: [{shell}, sleep, infinity], stop_signal: SIGKILL, tmpfs: [/t]}}
  said: {{image: {image}, command: [{shell}, cat, /data/lines], volumes: ["{directory}/lines:/data/lines:ro"]}}
"""


class Row(NamedTuple):
    """A command that is measured: ``out`` is what it writes in the directory, ``given`` a file for its standard input,
    ``then`` the command that puts back what it changed. ``lines``: it is ended when it has written so many."""

    name: str
    words: str
    out: str = ""
    given: str = ""
    then: str = ""
    lines: int = 0


ROWS = (
    Row("ps", "ps"),
    Row("up, nothing to do", "up -d idle"),
    Row("exec true", "exec -T idle {shell} true"),
    Row("exec, 500 MB out", "exec -T idle {shell} head -c 500000000 /dev/zero"),
    Row("exec, 300 MB in", "exec -T idle {shell} wc -c", given="lines"),
    Row("run --rm true", "run --rm -T idle {shell} true"),
    Row("run --rm, 300 MB of output", "run --rm -T said {shell} cat /data/lines"),
    Row("restart", "restart idle"),
    Row("kill", "kill idle", then="start idle"),
    Row("top", "top idle"),
    Row("stats --no-stream", "stats --no-stream idle"),
    Row("logs --tail 10 of 300 MB", "logs --tail 10 said"),
    Row("logs -f --tail 10 of 300 MB", "logs -f --tail 10 said", lines=10),
    Row("logs --since 1h --tail 10", "logs --since 1h --tail 10 said"),
    Row("logs of 300 MB", "logs said"),
    Row("cp of 300 MB in", "cp lines idle:/t/lines"),
    Row("cp of 300 MB out", "cp idle:/t/lines out", out="out"),
    Row("cp of 5,000 files in", "cp many idle:/t/"),
    Row("cp of 5,000 files out", "cp idle:/t/many some", out="some"),
)


def prepare(directory: pathlib.Path) -> None:
    with open(directory / "lines", "w") as file:
        for number in range(_LINES):
            file.write(_LINE % number)
    (directory / "many").mkdir()
    for number in range(_FILES):
        (directory / "many" / f"file{number}").write_text(f"file {number} of five thousand\n")


def measured(command: list[str], directory: pathlib.Path, environment: dict[str, str], row: Row) -> float:
    """Return the seconds of a command whose output goes to a file."""
    if row.out:
        shutil.rmtree(directory / row.out, ignore_errors=True)
        (directory / row.out).unlink(missing_ok=True)
    os.sync()  # what the other side has left to be written does not count
    time.sleep(_SETTLE_S)
    if row.lines:
        return _until_lines(command, directory, environment, row.lines)
    given = directory / row.given if row.given else os.devnull
    with open(directory / "output", "wb") as output, open(given, "rb") as stdin:
        started_s = time.perf_counter()
        result = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.PIPE,
            check=False,
            timeout=300,
        )
        elapsed_s = time.perf_counter() - started_s
    if result.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {result.returncode}\n{result.stderr.decode()[-2000:]}")
    return elapsed_s


def _until_lines(
    command: list[str], directory: pathlib.Path, environment: dict[str, str], lines: int
) -> float:
    """Return the seconds until a command that does not end has written some lines."""
    started_s = time.perf_counter()
    with subprocess.Popen(command, cwd=directory, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(lines):
            if not process.stdout.readline():
                raise SystemExit(f"{' '.join(command)}: ended before it has written {lines} lines")
        elapsed_s = time.perf_counter() - started_s
        process.terminate()
    return elapsed_s


def wait_for_said(command: list[str], directory: pathlib.Path, environment: dict[str, str]) -> None:
    """Wait until the engine has taken in all lines."""
    for _ in range(120):
        found = subprocess.run(
            [*command, "logs", "--no-log-prefix", "--tail", "1", "said"],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        if found.startswith(f"{_LINES - 1:08d} "):
            return
        time.sleep(0.5)
    raise SystemExit("the log did not become complete within 60 s")


def main() -> int:
    given = options(__doc__, rounds=5)
    if not os.environ.get("DOCKER_HOST") or shutil.which("docker") is None:
        raise SystemExit("no Docker Engine at DOCKER_HOST: there is nothing to be measured beside")
    make_image()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, tempfile.TemporaryDirectory() as state:
        text = table(pathlib.Path(folder), state, given.rounds)
    print(text)
    if given.write:
        write_section("commands", text)
    return 0


def table(directory: pathlib.Path, state: str, rounds: int) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["COMPOSER_ROOT"] = state
    prepare(directory)
    sides = {"ours": [COMPOSER, "--backend", "namespace"], "theirs": ["docker", "compose"]}
    images = {"ours": ("host", "busybox"), "theirs": (IMAGE, "/bin/busybox")}
    for side, command in sides.items():
        image, shell = images[side]
        file = directory / f"{side}.yaml"
        file.write_text(_FILE.format(name=f"bench{side}", image=image, shell=shell, directory=directory))
        command += ["-f", str(file)]
    found: dict[str, dict[str, list[float]]] = {side: {} for side in sides}
    try:
        for command in sides.values():
            subprocess.run(
                [*command, "up", "-d"], cwd=directory, env=environment, check=True, capture_output=True
            )
        for command in sides.values():
            wait_for_said(command, directory, environment)
        for _ in range(rounds):
            for one in ROWS:
                for side, command in sides.items():
                    said = one.words.format(shell=images[side][1]).split()
                    seconds = measured([*command, *said], directory, environment, one)
                    found[side].setdefault(one.name, []).append(seconds)
                    if one.then:
                        subprocess.run(
                            [*command, *one.then.split()],
                            cwd=directory,
                            env=environment,
                            check=True,
                            capture_output=True,
                        )
    finally:
        for command in sides.values():
            subprocess.run(
                [*command, "down", "-t", "0"],
                cwd=directory,
                env=environment,
                check=False,
                capture_output=True,
            )
    rows = [row(one.name, found["ours"][one.name], found["theirs"][one.name]) for one in ROWS]
    head = "| what, median (range) in ms | composer, built-in | docker compose | ratio |\n| --- | --- | --- | --- |"
    return "\n".join((versions(environment, True) + "\n", head, *rows)) + "\n"


if __name__ == "__main__":
    sys.exit(main())
