"""The figures of docs/benchmarks.md: composer beside docker compose on a Docker Engine, in one run.

    python -m tests.bench.run [--runs N] [--write]

Needs root, docker with its compose plugin on PATH, an engine at DOCKER_HOST, and busybox-static for a small
image. The two take turns, so that a machine whose speed drifts is fair to both; medians and ranges are printed.
Without an engine only our own side is measured, and the report says so.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from tests.bench.page import write_section

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSER = str(pathlib.Path(sys.executable).with_name("composer"))
IMAGE = "composer-bench"
Timings = dict[str, list[float]]


def compose_file(directory: pathlib.Path, services: int, image: str) -> pathlib.Path:
    """Write N idle services on one network; SIGKILL ends them at once on either side."""
    text = "name: bench\nservices:\n"
    for number in range(services):
        text += f"  s{number:03}: {{image: {image}, command: [sleep, infinity], stop_signal: SIGKILL}}\n"
    path = directory / f"{image}-{services}.yaml"
    path.write_text(text)
    return path


def timed(command: list[str], environment: dict[str, str]) -> float:
    started_s = time.perf_counter()
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    elapsed_s = time.perf_counter() - started_s
    if result.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {result.returncode}\n{result.stderr[-2000:]}")
    return elapsed_s


def make_image() -> None:
    """Give the engine a small image: a static busybox."""
    busybox = shutil.which("busybox") or "/bin/busybox"
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "bin").mkdir()
        shutil.copy(busybox, root / "bin/busybox")
        for name in ("sh", "sleep", "true"):
            (root / "bin" / name).symlink_to("busybox")
        archive = subprocess.run(["tar", "-C", folder, "-c", "."], capture_output=True, check=True).stdout
    subprocess.run(["docker", "import", "-", IMAGE], input=archive, capture_output=True, check=True)


def measure(prefix: list[str], file: pathlib.Path, environment: dict[str, str], timings: Timings) -> None:
    """One round: up from cold, up with nothing to do, ps, down."""
    command = [*prefix, "-f", str(file)]
    for name, arguments in (
        ("up", ["up", "-d"]),
        ("up, nothing to do", ["up", "-d"]),
        ("ps", ["ps"]),
        ("down", ["down", "-t", "10"]),
    ):
        timings.setdefault(name, []).append(timed([*command, *arguments], environment))


def one_container(count: int, environment: dict[str, str]) -> list[float]:
    """Return the ms from create to exec'ed of containers on a network, one after the other, supervisor warm."""
    from composer.backends import namespace
    from composer.engine.wanted import ContainerSpec, EndpointSpec, NetworkSpec

    backend = namespace.connect(environment)
    labels = {"com.docker.compose.project": "benchone"}
    network = backend.create_network(NetworkSpec("benchone_default", labels, {}))
    found = []

    def spec(name: str) -> ContainerSpec:
        attributes = {"command": ["sleep", "infinity"]}
        endpoint = EndpointSpec("benchone_default", (name,))
        return ContainerSpec(name, "benchone", name, 1, "host", labels, attributes, endpoints=(endpoint,))

    ids = [backend.create_container(spec("benchone-keep-1"))]
    backend.start_container(ids[0])
    try:
        for number in range(count):
            started_s = time.perf_counter()
            ids.append(backend.create_container(spec(f"benchone-c-{number}")))
            backend.start_container(ids[-1])
            found.append((time.perf_counter() - started_s) * 1000)
    finally:
        for id in ids:
            backend.remove_container(id, force=True)
        backend.remove_network(network)
        backend.close()
    return found


def pss_mb(project: str = "bench") -> float:
    """Return what our long-lived processes of a project weigh: their proportional set size, MB."""
    titles = [f"composer: {role} {project}".encode() for role in ("keeper", "supervisor")]
    total_kb = 0
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().rstrip(b"\0 ") in titles:
                rollup = pathlib.Path(f"/proc/{entry}/smaps_rollup").read_text()
                total_kb += int(rollup.split("Pss:")[1].split()[0])
        except OSError:
            continue  # it ended meanwhile
    return total_kb / 1024


def memory(environment: dict[str, str], file: pathlib.Path) -> tuple[float, float]:
    """Return the PSS (MB) of keeper and supervisor with one and with fifty containers."""
    found = []
    for services in (["s000"], []):
        timed([COMPOSER, "--backend", "namespace", "-f", str(file), "up", "-d", *services], environment)
        found.append(pss_mb())
    timed([COMPOSER, "--backend", "namespace", "-f", str(file), "down"], environment)
    return found[0], found[1]


def row(name: str, ours: list[float], theirs: list[float] | None) -> str:
    def show(values: list[float]) -> str:
        return f"{statistics.median(values) * 1000:.0f} ({min(values) * 1000:.0f}–{max(values) * 1000:.0f})"

    if not theirs:
        return f"| {name} | {show(ours)} | – | – |"
    ratio = statistics.median(ours) / statistics.median(theirs)
    return f"| {name} | {show(ours)} | {show(theirs)} | {ratio:.2f} |"


def versions(environment: dict[str, str], with_docker: bool) -> str:
    lines = [f"- Linux {platform.release()}, {os.cpu_count()} processors, Python {platform.python_version()}"]
    if with_docker:
        for command in (
            ["docker", "version", "--format", "Docker Engine {{.Server.Version}}"],
            ["docker", "compose", "version"],
        ):
            text = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            ).stdout
            lines.append(f"- {text.strip()}")
    return "\n".join(lines)


def report(runs: int, say: Callable[[str], None]) -> None:
    with_docker = bool(os.environ.get("DOCKER_HOST")) and shutil.which("docker") is not None
    with tempfile.TemporaryDirectory() as folder:
        directory = pathlib.Path(folder)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["COMPOSER_ROOT"] = f"{folder}/state"
        if with_docker:
            make_image()
        say(versions(environment, with_docker) + "\n")
        for services in (1, 10, 50):
            ours: Timings = {}
            theirs: Timings = {}
            on_docker: Timings = {}
            mine, other = (compose_file(directory, services, image) for image in ("host", IMAGE))
            for _ in range(runs):
                measure([COMPOSER, "--backend", "namespace"], mine, environment, ours)
                if with_docker:
                    measure(["docker", "compose"], other, environment, theirs)
                    measure([COMPOSER, "--backend", "docker"], other, environment, on_docker)
            say(f"{services} services, median (range) in ms:\n")
            say("| what | composer, built-in | docker compose | ratio |\n| --- | --- | --- | --- |")
            for name, values in ours.items():
                say(row(name, values, theirs.get(name)))
            say("")
            if with_docker:
                say(
                    "| what | composer, on Docker Engine | docker compose | ratio |\n| --- | --- | --- | --- |"
                )
                for name, values in on_docker.items():
                    say(row(name, values, theirs.get(name)))
                say("")
        single = sorted(one_container(100, environment))
        say(
            f"One container, create to exec'ed, with network and names, supervisor warm: median "
            f"{statistics.median(single):.1f} ms (p10 {single[10]:.1f}, p90 {single[89]:.1f}) of 100.\n"
        )
        one, fifty = memory(environment, compose_file(directory, 50, "host"))
        say(
            f"Keeper and supervisor together: {one:.1f} MB PSS with one container, {fifty:.1f} MB with fifty "
            f"({(fifty - one) / 49:.2f} MB per container)."
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/benchmarks.md")
    options = parser.parse_args()
    lines: list[str] = []

    def say(text: str) -> None:
        print(text, flush=True)
        lines.append(text)

    report(options.runs, say)
    if options.write:
        write_section("figures", "\n".join(lines))


if __name__ == "__main__":
    main()
