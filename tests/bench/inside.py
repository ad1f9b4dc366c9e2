"""How fast what runs inside is: the same images on the built-in runtime and on Docker Engine, taking turns in one run.

    python -m tests.bench.inside [--rounds N] [--only WORD] [--write]

PostgreSQL under pgbench and nginx under wrk, by the service's name and through the published port (from the host's
network); writes in a volume and in the container's own layer. Needs root, mmdebstrap and an engine at DOCKER_HOST.
``--write`` puts the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable

from tests.bench.page import write_section
from tests.samples import stand_ins

ROOT = pathlib.Path(__file__).resolve().parents[2]
BACKENDS = ("namespace", "docker")
SECONDS = 8
COMPOSE = """
name: inside
services:
  db:
    image: stand-in/postgres
    environment: {POSTGRES_PASSWORD: secret}
    ports: ["127.0.0.1::5432"]
    volumes: ["db:/var/lib/postgresql/data"]
    shm_size: 256m
    healthcheck: {test: [CMD, pg_isready, -h, 127.0.0.1], interval: 5s, start_interval: 200ms, start_period: 60s}
  web:
    image: stand-in/nginx
    ports: ["127.0.0.1::80"]
  client:
    image: stand-in/postgres
    command: [sleep, infinity]
    environment: &login {PGPASSWORD: secret, PGUSER: postgres, PGDATABASE: postgres}
    volumes: ["disk:/volume"]
    stop_signal: SIGKILL
  outside:
    image: stand-in/postgres
    command: [sleep, infinity]
    environment: *login
    network_mode: host
    stop_signal: SIGKILL
volumes: {db: , disk: }
"""
Figures = dict[str, dict[str, list[float]]]


class Stack:
    """The project on one backend."""

    def __init__(self, folder: pathlib.Path, backend: str) -> None:
        self.folder, self.backend = folder, backend
        self.composer = [sys.executable, "-m", "composer", "--backend", backend]

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self.composer, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=300,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{self.backend}: {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}")
        return done.stdout

    def exec(self, service: str, *command: str) -> str:
        return self.run("exec", "-T", service, *command)

    def port(self, service: str, port: int) -> str:
        return self.run("port", service, str(port)).strip().rpartition(":")[2]


def found(pattern: str, text: str) -> float:
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"no '{pattern}' in:\n{text}")
    return float(match[1])


def transactions(stack: Stack, service: str, host: str, port: str) -> float:
    command = ("pgbench", "-h", host, "-p", port, "-c", "4", "-j", "2", "-T", str(SECONDS), "-n")
    return found(r"tps = ([\d.]+)", stack.exec(service, *command))


def requests(stack: Stack, service: str, address: str) -> float:
    command = ("wrk", "-t", "2", "-c", "32", "-d", str(SECONDS), f"http://{address}/")
    return found(r"Requests/sec: +([\d.]+)", stack.exec(service, *command))


def megabytes(stack: Stack, path: str) -> float:
    """Return MB/s of one big write that ends on the disk."""
    script = f"LC_ALL=C dd if=/dev/zero of={path}/big bs=1M count=512 conv=fsync 2>&1; rm {path}/big"
    text = stack.exec("client", "sh", "-c", script)
    return 512 * 1.048576 / found(r"copied, ([\d.]+) s", text)


def files(stack: Stack, path: str) -> float:
    """Return small files written and removed per second."""
    script = (
        f"import os, time; os.makedirs('{path}/many'); t = time.perf_counter()\n"
        f"for n in range(5000):\n with open(f'{path}/many/{{n}}', 'w') as f: f.write('x' * 4096)\n"
        f"for n in range(5000): os.unlink(f'{path}/many/{{n}}')\n"
        f"print('rate', 5000 / (time.perf_counter() - t)); os.rmdir('{path}/many')"
    )
    return found(r"rate ([\d.]+)", stack.exec("client", "python3", "-c", script))


MEASURES: dict[str, Callable[[Stack], float]] = {
    "pgbench by the service's name, transactions/s": lambda s: transactions(s, "client", "db", "5432"),
    "pgbench through the published port, transactions/s": lambda s: transactions(
        s, "outside", "127.0.0.1", s.port("db", 5432)
    ),
    "wrk by the service's name, requests/s": lambda s: requests(s, "client", "web"),
    "wrk through the published port, requests/s": lambda s: requests(
        s, "outside", f"127.0.0.1:{s.port('web', 80)}"
    ),
    "512 MB into a volume, MB/s": lambda s: megabytes(s, "/volume"),
    "512 MB into the container's layer, MB/s": lambda s: megabytes(s, "/srv"),
    "small files in a volume, files/s": lambda s: files(s, "/volume"),
    "small files in the container's layer, files/s": lambda s: files(s, "/srv"),
}


def play(stack: Stack, figures: Figures, only: str) -> None:
    """One round: up, every measure whose name has ``only`` in it, down."""
    try:
        stack.run("up", "-d", "--wait")
        stack.exec("client", "pgbench", "-h", "db", "-i", "-q", "-s", "10")
        for name, measure in MEASURES.items():
            if only not in name:
                continue
            figures.setdefault(name, {}).setdefault(stack.backend, []).append(measure(stack))
            print(f"{stack.backend:10} {name}: {figures[name][stack.backend][-1]:.0f}", flush=True)
    finally:
        stack.run("down", "-v", "-t", "5")


def table(figures: Figures) -> str:
    rows = ["| what | built-in: median (range) | Docker Engine | ratio |", "| --- | --- | --- | --- |"]
    for name, by in figures.items():
        shown = [f"{statistics.median(by[b]):.0f} ({min(by[b]):.0f}–{max(by[b]):.0f})" for b in BACKENDS]
        ratio = statistics.median(by["namespace"]) / statistics.median(by["docker"])
        rows.append(f"| {name} | {shown[0]} | {shown[1]} | {ratio:.2f} |")
    return "\n".join(rows) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="measures whose name has this in it")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("COMPOSER_ROOT", str(stand_ins.KEPT / "samples-state"))
    os.environ["PYTHONPATH"] = str(ROOT)
    figures: Figures = {}
    with tempfile.TemporaryDirectory(prefix="composer-inside-") as directory:
        (pathlib.Path(directory) / "compose.yaml").write_text(COMPOSE)
        stacks = [Stack(pathlib.Path(directory), backend) for backend in BACKENDS]
        for stack in stacks:
            stand_ins.import_images(stack.composer, os.environ, ("postgres", "nginx"))
        for number in range(options.rounds):
            for stack in stacks if number % 2 == 0 else stacks[::-1]:
                play(stack, figures, options.only)
    print(table(figures))
    if options.write and not options.only:
        write_section("inside", table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
