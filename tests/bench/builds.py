"""Builds beside ``docker buildx build``: steps, stages, copies, the cache, and what a built service costs ``up``.

    python -m tests.bench.builds [--rounds N] [--only WORD …]

Needs root and busybox-static, and for the comparison docker with buildx and an engine at DOCKER_HOST. The two take
turns in each round; medians in ms and the peak memory in MB. What was made of it is removed at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from tests.bench.pulls import timed
from tests.integration.contract.conftest import root_archive

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSER = [sys.executable, "-m", "composer", "--backend", "namespace"]
NAME = "composer-bench-build"
BASE = f"{NAME}-base"
FILES, BIG_BYTES, SERVICES, RUNS = 50_000, 500 << 20, 5, 20

STAGES = f"""
FROM {BASE} AS one
RUN echo {{number}} > /a
COPY small /small
RUN cat /small > /b
FROM {BASE} AS two
RUN echo {{number}} > /c
WORKDIR /work
RUN echo 2 > d
FROM {BASE} AS three
COPY small /e
RUN echo {{number}} > /f
RUN rm /f
FROM {BASE}
COPY --from=one /b /
COPY --from=two /work /work
RUN echo {{number}} > /g
"""
"""Twelve steps in four stages."""


class Side(NamedTuple):
    """Who builds: the command before the flags, and its environment."""

    name: str
    build: list[str]
    environment: dict[str, str]


class Bench:
    """The sides, a context, and what was measured: (side, case) → seconds."""

    def __init__(self, directory: pathlib.Path, rounds: int, sides: list[Side]) -> None:
        self.directory, self.rounds, self.sides = directory, rounds, sides
        self.seconds: dict[tuple[str, str], list[float]] = {}
        self.peaks: dict[str, int] = {}

    def build(self, side: Side, case: str, dockerfile: str, context: str, *flags: str) -> None:
        path = self.directory / "Dockerfile"
        path.write_text(dockerfile)
        tag = f"{NAME}-{re.sub(r'[^a-z0-9]+', '-', case.lower()).strip('-')}"
        command = [*side.build, "-q", "-f", str(path), "-t", tag, *flags, str(self.directory / context)]
        seconds, kibibytes, _ = timed(command, side.environment, self.directory)
        self.seconds.setdefault((side.name, case), []).append(seconds)
        if side.name == "composer":
            self.peaks[case] = max(self.peaks.get(case, 0), kibibytes)

    def show(self) -> None:
        for case in dict.fromkeys(case for _, case in self.seconds):
            found = {side.name: statistics.median(self.seconds[side.name, case]) for side in self.sides}
            row = "  ".join(f"{name} {seconds * 1000:7.0f} ms" for name, seconds in found.items())
            ratio = f"  {found['composer'] / found['docker']:.2f} ×" if "docker" in found else ""
            print(f"{case:24}{row}{ratio}  {self.peaks.get(case, 0) / 1024:.0f} MB", flush=True)


def stages(bench: Bench) -> None:
    for number in range(bench.rounds):
        for side in bench.sides:
            dockerfile = STAGES.replace("{number}", f"{number}-{os.getpid()}")
            bench.build(side, "12 steps, cold", dockerfile, "context")
            bench.build(side, "12 steps, cached", dockerfile, "context")


def runs(bench: Bench) -> None:
    """The difference between a build of many commands and of one is that of the commands."""
    for number in range(bench.rounds):
        for side in bench.sides:
            lines = [f"RUN true {number} {count} {os.getpid()}\n" for count in range(RUNS + 1)]
            bench.build(side, "1 RUN", f"FROM {BASE}\n{lines[0]}", "context")
            bench.build(side, f"{RUNS + 1} RUN", f"FROM {BASE}\n{''.join(lines)}", "context")
    for side in bench.sides:
        many, one = (bench.seconds[side.name, case] for case in (f"{RUNS + 1} RUN", "1 RUN"))
        bench.seconds[side.name, "each RUN true"] = [
            (long - short) / RUNS for long, short in zip(many, one, strict=True)
        ]


def copies(bench: Bench) -> None:
    big, many = bench.directory / "big", bench.directory / "many"
    big.mkdir()
    for directory in range(FILES // 100):
        place = many / str(directory)
        place.mkdir(parents=True)
        for name in range(100):
            (place / str(name)).write_bytes(os.urandom(40) * ((directory + name) % 60))
    for number in range(bench.rounds):
        with (big / "data").open("wb") as file:
            piece = os.urandom(1 << 20)
            for count in range(BIG_BYTES >> 20):
                file.write(count.to_bytes(8, "big") + piece[8:])
        (many / "0" / "own").write_text(str(number))
        os.sync()
        for side in bench.sides:
            bench.build(side, "COPY of 500 MB", "FROM scratch\nCOPY data /\n", "big")
            os.sync()
            bench.build(side, "COPY of 50,000 files", "FROM scratch\nCOPY . /\n", "many")
            os.sync()
            bench.build(side, "the same, cached", "FROM scratch\nCOPY . /\n", "many")


def projects(bench: Bench) -> None:
    """An ``up`` with nothing to do, of services that are built and of services that are images."""
    side = next(side for side in bench.sides if side.name == "composer")
    found: dict[str, list[float]] = {}
    for kind in ("image", "build"):
        place = bench.directory / kind
        place.mkdir()
        services = []
        for number in range(SERVICES):
            (place / str(number)).mkdir()
            (place / str(number) / "Dockerfile").write_text(
                f'FROM {BASE}\nRUN echo {number} > /n\nCOPY Dockerfile /\nCMD ["sleep", "1000"]\n'
            )
            what = f"build: ./{number}" if kind == "build" else f"image: {BASE}\n    command: sleep 1000"
            services.append(f"  s{number}:\n    {what}\n    stop_grace_period: 0s\n    network_mode: none\n")
        (place / "compose.yaml").write_text(f"name: {NAME}-{kind}\nservices:\n{''.join(services)}")
        timed([*COMPOSER, "up", "-d", "--quiet-build"], side.environment, place)
    for _ in range(bench.rounds * 4):
        for kind in ("image", "build"):
            seconds = timed([*COMPOSER, "up", "-d"], side.environment, bench.directory / kind)[0]
            found.setdefault(kind, []).append(seconds)
            if kind == "build":
                seconds = timed([*COMPOSER, "up", "-d", "--build"], side.environment, bench.directory / kind)[
                    0
                ]
                found.setdefault("up --build", []).append(seconds)
    for kind in ("image", "build"):
        timed([*COMPOSER, "down", "-t", "0"], side.environment, bench.directory / kind)
    for kind, values in found.items():
        print(f"up, nothing to do, {kind}: {statistics.median(values) * 1000:.0f} ms", flush=True)


CASES = {"stages": stages, "runs": runs, "copies": copies, "projects": projects}


@contextlib.contextmanager
def sides(directory: pathlib.Path) -> Iterator[list[Side]]:
    """Yield who takes part, each with the base image; remove afterwards what was made."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    ours = {**environment, "PYTHONPATH": str(ROOT), "COMPOSER_ROOT": str(directory / "state")}
    ours["COMPOSE_PROGRESS"] = "quiet"
    archive = root_archive(directory)
    imported = ["image", "import", "-c", "ENV PATH=/bin", str(archive), BASE]
    subprocess.run([*COMPOSER, *imported], env=ours, check=True, stdout=subprocess.DEVNULL)
    found = [Side("composer", [*COMPOSER, "image", "build"], ours)]
    with_docker = bool(os.environ.get("DOCKER_HOST")) and shutil.which("docker") is not None
    if with_docker:
        subprocess.run(
            ["docker", "import", "-c", "ENV PATH=/bin", str(archive), BASE],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        found.append(Side("docker", ["docker", "buildx", "build"], environment))
    try:
        yield found
    finally:
        if with_docker:
            listed = subprocess.run(
                ["docker", "image", "ls", "-q", "--filter", f"reference={NAME}-*"],
                capture_output=True,
                text=True,
                check=True,
            )
            subprocess.run(
                ["docker", "image", "rm", "-f", *set(listed.stdout.split())], check=False, capture_output=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=CASES, default=list(CASES))
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        directory = pathlib.Path(folder)
        (directory / "context").mkdir()
        (directory / "context" / "small").write_text("small\n")
        with sides(directory) as found:
            bench = Bench(directory, given.rounds, found)
            for name in given.only:
                CASES[name](bench)
            bench.show()


if __name__ == "__main__":
    main()
