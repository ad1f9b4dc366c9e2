"""The figures of a chain of health checks in docs/benchmarks.md: up -d --wait as a whole, a hop, and a start.

    python tests/bench/chain.py [--rounds N] [--length N]

Needs root. Each service waits for the health of the one before; with Docker's first probe after a whole interval
the chain would take its length times 30 s.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

COMPOSER = str(pathlib.Path(sys.executable).with_name("composer"))


def services(length: int) -> str:
    found = {}
    for n in range(length):
        found[f"s{n:02}"] = {
            "image": "host",
            "command": ["sleep", "infinity"],
            "stop_signal": "SIGKILL",
            "healthcheck": {"test": ["CMD", "true"], "interval": "30s"},
            **({"depends_on": {f"s{n - 1:02}": {"condition": "service_healthy"}}} if n else {}),
        }
    return json.dumps({"name": "benchchain", "services": found})


def one_round(directory: pathlib.Path, environment: dict[str, str]) -> tuple[float, list[float], list[float]]:
    """Return the whole in s, and the hops and the starts (but the first two, which nothing was ahead of) in ms."""
    command = [COMPOSER, "--backend", "namespace"]
    times = directory / "times.json"
    options = {"cwd": directory, "env": environment, "capture_output": True, "timeout": 300, "check": True}
    try:
        subprocess.run([*command, "up", "-d", "--wait", "--timeline", str(times)], **options)  # type: ignore[call-overload]
    finally:
        subprocess.run([*command, "down"], **options)  # type: ignore[call-overload]
    found = json.loads(times.read_text())
    phases = [
        {phase["phase"]: float(phase["at_s"]) * 1000 for phase in resource["phases"]}
        for resource in sorted(found["resources"], key=lambda resource: str(resource["name"]))
        if resource["kind"] == "container"
    ]
    hops = [after["starting"] - before["starting"] for before, after in itertools.pairwise(phases[1:])]
    return float(found["total_s"]), hops, [each["started"] - each["starting"] for each in phases[2:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--length", type=int, default=20)
    arguments = parser.parse_args()
    wholes, hops, starts = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        directory = pathlib.Path(folder)
        (directory / "compose.yaml").write_text(services(arguments.length))
        kept = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # what is measured is the command as it is installed
        environment = {**kept, "COMPOSER_ROOT": f"{folder}/state"}
        for _ in range(arguments.rounds):
            whole, some_hops, some_starts = one_round(directory, environment)
            wholes.append(whole)
            hops += some_hops
            starts += some_starts
    print(f"whole: {statistics.median(wholes):.2f} s ({min(wholes):.2f}–{max(wholes):.2f})")
    for name, values in (("hop", hops), ("start", starts)):
        print(f"{name}: {statistics.median(values):.0f} ms ({min(values):.0f}–{max(values):.0f})")


if __name__ == "__main__":
    main()
