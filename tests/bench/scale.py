"""Up to five hundred containers in a project: how long ``up`` and ``down`` take, and what our processes weigh.

    python -m tests.bench.scale [--rounds N] [--write]

Needs root. ``--write`` puts the table into docs/benchmarks.md.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import statistics
import sys
import tempfile

from tests.bench.page import options, write_section
from tests.bench.run import COMPOSER, compose_file, pss_mb, timed

SIZES = (50, 125, 250, 500)


def main() -> int:
    given = options(__doc__, rounds=3)
    found: dict[int, dict[str, list[float]]] = {size: {} for size in SIZES}
    with tempfile.TemporaryDirectory() as folder:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["COMPOSER_ROOT"] = f"{folder}/state"
        for _ in range(given.rounds):
            for size in SIZES:
                file = compose_file(pathlib.Path(folder), size, "host")
                play([COMPOSER, "--backend", "namespace", "-f", str(file)], environment, found[size])
    text = table(found)
    print(text)
    if given.write:
        write_section("scale", text)
    return 0


def play(command: list[str], environment: dict[str, str], found: dict[str, list[float]]) -> None:
    """One round: up from cold, ps three times, memory, down."""

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    note("up", timed([*command, "up", "-d"], environment))
    for _ in range(3):
        note("ps", timed([*command, "ps"], environment))
    note("memory", pss_mb())
    note("idle", timed([*command, "up", "-d"], environment))
    note("down", timed([*command, "down"], environment))


def table(found: dict[int, dict[str, list[float]]]) -> str:
    rows = [
        "| containers | `up -d` s | nothing to do, ms | `ps` ms | `down` s | our processes, MB PSS |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for size, by in found.items():
        middle = {name: statistics.median(values) for name, values in by.items()}
        rows.append(
            f"| {size} | {middle['up']:.2f} ({min(by['up']):.2f}–{max(by['up']):.2f}) "
            f"| {middle['idle'] * 1000:.0f} "
            f"| {middle['ps'] * 1000:.0f} ({min(by['ps']) * 1000:.0f}–{max(by['ps']) * 1000:.0f}) "
            f"| {middle['down']:.2f} | {middle['memory']:.1f} |"
        )
    twice = [
        f"`{verb}` of {many} took {statistics.median(found[many][verb]) / statistics.median(found[few][verb]):.1f} "
        f"times as long as of {few}."
        for verb in ("up", "down")
        for few, many in itertools.pairwise(SIZES)
        if many == 2 * few
    ]
    return "\n".join([*rows, "", *twice]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
