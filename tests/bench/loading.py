"""The figures of docs/benchmarks.md on loading: `config --format json` beside docker compose, in one run.

    python -m tests.bench.loading [--runs N]

Needs docker's compose plugin on PATH, and no engine. The two take turns; each figure is a median of whole processes.
"Edited" adds a comment to the file before each run, so that nothing remembered of it can help.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import sys
import tempfile

from tests.bench.run import timed

SERVICE = """  s{n:03}:
    image: registry.example/app-{n}:${{TAG:-1.2}}
    command: [serve, --port, "{port}"]
    environment: {{DATABASE: "postgres://db/{n}", LEVEL: info, TOKEN: "${{TOKEN:-none}}"}}
    ports: ["{port}:{port}"]
    volumes: ["data:/var/lib/app", "./conf:/etc/app:ro"]
    healthcheck: {{test: curl -f localhost, interval: 10s, timeout: 2s, retries: 3}}
    labels: [com.example.team=web, com.example.n={n}]
    networks: [front, back]
    deploy: {{resources: {{limits: {{cpus: "0.5", memory: 256M}}}}}}
"""


def project(services: int) -> str:
    """Return a file of services with about ten attributes each."""
    body = "".join(SERVICE.format(n=n, port=8000 + n) for n in range(services))
    return f"name: bench\nservices:\n{body}networks: {{front: , back: }}\nvolumes: {{data: }}\n"


def compare(services: int, runs: int, *, edited: bool, environment: dict[str, str]) -> str:
    """Return a row of the table."""
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "compose.yaml"
        text = project(services)
        file.write_text(text)
        arguments = ["-f", str(file), "config", "--format", "json"]
        for round in range(-2, runs):
            for values, command in (
                (ours, [sys.executable, "-m", "composer"]),
                (theirs, ["docker", "compose"]),
            ):
                if edited:
                    file.write_text(f"{text}# {round}\n")
                elapsed_s = timed([*command, *arguments], environment)
                if round >= 0:  # the first two only warm caches
                    values.append(elapsed_s * 1000)
    mine, other = statistics.median(ours), statistics.median(theirs)
    what = "edited" if edited else "unchanged"
    return (
        f"| {services}, {what} | {mine:.0f} ({min(ours):.0f}–{max(ours):.0f}) | "
        f"{other:.0f} ({min(theirs):.0f}–{max(theirs):.0f}) | {mine / other:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    print("| services | composer, ms: median (range) | docker compose, ms | ratio |")
    print("| --- | --- | --- | --- |")
    for services in (10, 500):
        for edited in (False, True):
            print(compare(services, runs, edited=edited, environment=environment), flush=True)


if __name__ == "__main__":
    main()
