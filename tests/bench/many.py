"""Many things in one project, and many projects: composer beside docker compose, taking turns.

    python -m tests.bench.many [--rounds N] [--write]

1,000 published ports, 200 networks of one container, 50 projects of ten services one after the other. Each with the
same file on both sides; networks name their subnets, as Docker's default pools end at some thirty. Needs root, docker
with its compose plugin on PATH, an engine at DOCKER_HOST, and busybox-static. ``--write`` puts the table into
docs/benchmarks.md.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import sys
import tempfile
import time

from tests.bench.page import options, write_section
from tests.bench.run import COMPOSER, IMAGE, Timings, make_image, row, timed, versions

_PORTS, _NETWORKS, _PROJECTS, _SERVICES = 1000, 200, 50, 10
_SLEEP = "command: [{shell}, sleep, infinity], stop_signal: SIGKILL"
_SETTLE_S = 1.0
"""The kernel takes away networks and namespaces of the other side after its command has ended."""


def ports(image: str) -> list[str]:
    return [
        f"name: benchports\nservices:\n  a: {{{image}, ports: ['127.0.0.1:20000-{20000 + _PORTS - 1}:1-{_PORTS}']}}\n"
    ]


def networks(image: str) -> list[str]:
    names = [f"n{number:03}" for number in range(_NETWORKS)]
    return [
        f"name: benchnets\nservices:\n  a: {{{image}, networks: [{', '.join(names)}]}}\nnetworks:\n"
        + "".join(_network(name, f"10.211.{number}.0/24") for number, name in enumerate(names))
    ]


def projects(image: str) -> list[str]:
    services = "".join(f"  s{number}: {{{image}}}\n" for number in range(_SERVICES))
    return [
        f"name: benchproject{number:02}\nservices:\n{services}networks:\n"
        + _network("default", f"10.212.{number}.0/24")
        for number in range(_PROJECTS)
    ]


def _network(name: str, subnet: str) -> str:
    return f"  {name}: {{ipam: {{config: [{{subnet: {subnet}}}]}}}}\n"


WHAT = {
    f"{_PORTS:,} published ports": ports,
    f"{_NETWORKS} networks": networks,
    f"{_PROJECTS} projects of {_SERVICES}": projects,
}


def play(
    command: list[str], files: list[pathlib.Path], environment: dict[str, str], name: str, found: Timings
) -> None:
    """Bring all projects up, one after the other, and take them down."""
    for verb, arguments in (("up", ["up", "-d"]), ("down", ["down", "-t", "0"])):
        time.sleep(_SETTLE_S)
        whole = sum(timed([*command, "-f", str(file), *arguments], environment) for file in files)
        found.setdefault(f"{name}: {verb}", []).append(whole)


def table(directory: pathlib.Path, rounds: int) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["COMPOSER_ROOT"] = str(directory / "state")
    sides = {"ours": ([COMPOSER, "--backend", "namespace"], "host", "busybox")}
    if os.environ.get("DOCKER_HOST") and shutil.which("docker"):
        make_image()
        sides["theirs"] = (["docker", "compose"], IMAGE, "/bin/busybox")
    found: dict[str, Timings] = {side: {} for side in sides}
    for name, texts in WHAT.items():
        for number in range(rounds):
            for side, (command, image, shell) in sides.items():
                files = []
                for index, text in enumerate(texts(f"image: {image}, {_SLEEP.format(shell=shell)}")):
                    files.append(directory / f"{side}-{number}-{index}.yaml")
                    files[-1].write_text(text)
                play(command, files, environment, name, found[side])
    rows = [row(name, values, found.get("theirs", {}).get(name)) for name, values in found["ours"].items()]
    head = "| what, median (range) in ms | composer, built-in | docker compose | ratio |\n| --- | --- | --- | --- |"
    return "\n".join((versions(environment, "theirs" in sides) + "\n", head, *rows)) + "\n"


def main() -> int:
    given = options(__doc__, rounds=3)
    with tempfile.TemporaryDirectory() as folder:
        text = table(pathlib.Path(folder), given.rounds)
    print(text)
    if given.write:
        write_section("many", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
