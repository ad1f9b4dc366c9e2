"""The figures of ADR 4: composer on Docker Engine beside docker compose and an earlier composer, on the same engine.

    python -m tests.bench.engine [--runs N] [--services 1 10 50] [--before DIRECTORY]

Needs docker with its compose plugin on PATH, an engine at DOCKER_HOST, and a static busybox. ``--before`` is a checkout
of an earlier release. All take turns in each round, and each begins a round once in so many; medians and ranges in ms.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import sys
import tempfile

from tests.bench.run import IMAGE, Timings, compose_file, make_image, timed, versions

ROOT = pathlib.Path(__file__).resolve().parents[2]
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from composer.__main__ import main; main()"

STEPS = {
    "up": ["up", "-d"],
    "up, nothing to do": ["up", "-d"],
    "ps": ["ps"],
    "exec": ["exec", "-T", "s000", "true"],
    "run": ["run", "--rm", "-T", "s000", "true"],
    "stop": ["stop"],
    "down": ["down"],
}
_OF_ONE = ("exec", "run", "stop")
"""What is measured on one service: the others would only be in the way."""


def composer(tree: pathlib.Path) -> list[str]:
    """Return the command that runs the composer of a checkout, with this interpreter and its packages."""
    return [sys.executable, "-c", START, str(tree), "--backend", "docker"]


def play(
    prefix: list[str], file: pathlib.Path, services: int, environment: dict[str, str]
) -> dict[str, float]:
    return {
        name: timed([*prefix, "-f", str(file), *arguments], environment)
        for name, arguments in STEPS.items()
        if services == 1 or name not in _OF_ONE
    }


def show(values: list[float]) -> str:
    return f"{statistics.median(values) * 1000:.0f} ({min(values) * 1000:.0f}–{max(values) * 1000:.0f})"


def table(services: int, sides: dict[str, Timings]) -> str:
    """Return the rows for a size; ratios are of medians, below 1 the composer of this checkout was faster."""
    ours = sides["composer"]
    others = [name for name in sides if name != "composer"]
    lines = []
    for step, values in ours.items():
        cells = [str(services), step, show(values)]
        for name in others:
            theirs = sides[name][step]
            cells += [show(theirs), f"{statistics.median(values) / statistics.median(theirs):.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def measure(
    sides: dict[str, list[str]], file: pathlib.Path, services: int, runs: int, environment: dict[str, str]
) -> dict[str, Timings]:
    found: dict[str, Timings] = {name: {} for name in sides}
    names = list(sides)
    for turn in range(-1, runs):
        # the first round fills the caches of all, and does not count
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            for step, elapsed_s in play(sides[name], file, services, environment).items():
                if turn >= 0:
                    found[name].setdefault(step, []).append(elapsed_s)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--services", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--before", type=pathlib.Path, help="a checkout to compare with")
    options = parser.parse_args()
    sides = {"composer": composer(ROOT), "docker compose": ["docker", "compose"]}
    if options.before:
        sides["before"] = composer(options.before)
    make_image()
    with tempfile.TemporaryDirectory() as folder:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["COMPOSER_ROOT"] = f"{folder}/state"
        print(versions(environment, with_docker=True))
        print("- load", *(f"{load:.1f}" for load in os.getloadavg()), "\n")
        heads = [*(cell for name in list(sides)[1:] for cell in (name, "ratio"))]
        print(f"| services | what | composer | {' | '.join(heads)} |")
        print(f"|{' --- |' * (3 + len(heads))}", flush=True)
        for services in options.services:
            file = compose_file(pathlib.Path(folder), services, IMAGE)
            found = measure(sides, file, services, options.runs, environment)
            print(table(services, found), flush=True)
        print("\n- load", *(f"{load:.1f}" for load in os.getloadavg()))


if __name__ == "__main__":
    main()
