"""One container with a supervisor that is there, beside what only starts one: runc, crun, bubblewrap; taking turns.

    python -m tests.bench.starts [--rounds N] [--write]

Ours is from the creation to the execution of the program, with a network, names, a log and a restart policy, asked for
by a command that is there already. The others get a root directory and make neither network nor log; theirs is the
time of a process of theirs, until the program runs (bubblewrap: until ``true`` has ended, as it does not detach).
Those that are not installed, or cannot run here, are left out. Needs root and busybox-static. ``--write`` puts the
table into docs/benchmarks.md.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from composer.backends import namespace
from composer.engine.wanted import ContainerSpec, EndpointSpec, ExecSpec, NetworkSpec
from tests.bench.page import options, write_section
from tests.bench.run import versions

Play = Callable[[int], float]
"""One turn; returns the seconds of what is measured, and leaves nothing."""
_PROJECT = "benchstarts"
_LABELS = {"com.docker.compose.project": _PROJECT}


@contextmanager
def ours(environment: dict[str, str]) -> Iterator[dict[str, Play]]:
    backend = namespace.connect(environment)
    network = backend.create_network(NetworkSpec(f"{_PROJECT}_default", _LABELS, {}))

    def create(name: str) -> str:
        endpoint = EndpointSpec(f"{_PROJECT}_default", (name,))
        attributes = {"command": ["sleep", "infinity"], "stop_signal": "SIGKILL"}
        return backend.create_container(
            ContainerSpec(name, _PROJECT, name, 1, "host", _LABELS, attributes, endpoints=(endpoint,))
        )

    kept = create(f"{_PROJECT}-kept-1")
    backend.start_container(kept)

    def start(turn: int) -> float:
        started_s = time.perf_counter()
        id = create(f"{_PROJECT}-{turn}-1")
        backend.start_container(id)
        elapsed_s = time.perf_counter() - started_s
        backend.remove_container(id, force=True)
        return elapsed_s

    def execute(_turn: int) -> float:
        started_s = time.perf_counter()
        session = backend.exec(kept, ExecSpec(("true",)))
        code = session.wait()
        elapsed_s = time.perf_counter() - started_s
        session.close()
        assert code == 0
        return elapsed_s

    try:
        yield {"start: composer": start, "exec true: composer": execute}
    finally:
        backend.remove_container(kept, force=True)
        backend.remove_network(network)
        backend.close()


@contextmanager
def runtime(program: str, directory: pathlib.Path) -> Iterator[dict[str, Play]]:
    """``runc`` or ``crun``: containers of an OCI bundle, without a network."""
    bundle = directory / program
    shutil.copytree(directory / "root", bundle / "rootfs", symlinks=True)
    subprocess.run([program, "spec"], cwd=bundle, check=True)
    config = json.loads((bundle / "config.json").read_text())
    config["process"].update(args=["/bin/sleep", "1000"], terminal=False)
    (bundle / "config.json").write_text(json.dumps(config))
    command = [program, "--root", str(directory / f"{program}-state")]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "check": True}

    def begin(name: str) -> float:
        started_s = time.perf_counter()
        subprocess.run([*command, "run", "--detach", "--bundle", str(bundle), name], **quiet)  # type: ignore[call-overload]
        return time.perf_counter() - started_s

    def end(name: str) -> None:
        subprocess.run([*command, "delete", "--force", name], **quiet)  # type: ignore[call-overload]

    def start(turn: int) -> float:
        elapsed_s = begin(f"bench{program}{turn}")
        end(f"bench{program}{turn}")
        return elapsed_s

    def execute(_turn: int) -> float:
        started_s = time.perf_counter()
        subprocess.run([*command, "exec", f"bench{program}kept", "/bin/true"], **quiet)  # type: ignore[call-overload]
        return time.perf_counter() - started_s

    try:
        begin(f"bench{program}kept")
    except subprocess.CalledProcessError:  # it has said why: crun wants cgroups of one version
        yield {}
        return
    try:
        yield {f"start: {program} run": start, f"exec true: {program} exec": execute}
    finally:
        end(f"bench{program}kept")


def bubblewrap(directory: pathlib.Path) -> dict[str, Play]:
    root = str(directory / "root")
    command = ["bwrap", "--unshare-all", "--ro-bind", root, "/", "--proc", "/proc", "--dev", "/dev"]

    def start(_turn: int) -> float:
        started_s = time.perf_counter()
        subprocess.run([*command, "/bin/true"], check=True)
        return time.perf_counter() - started_s

    return {"start: bwrap": start}


def make_root(root: pathlib.Path) -> None:
    for name in ("bin", "proc", "dev"):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "/bin/busybox", root / "bin/busybox")
    for name in ("sleep", "true"):
        (root / "bin" / name).symlink_to("busybox")


def table(directory: pathlib.Path, rounds: int) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["COMPOSER_ROOT"] = str(directory / "state")
    make_root(directory / "root")
    found: dict[str, list[float]] = {}
    with ExitStack() as stack:
        plays = dict(stack.enter_context(ours(environment)))
        for program in filter(shutil.which, ("runc", "crun")):
            plays |= stack.enter_context(runtime(program, directory))
        if shutil.which("bwrap"):
            plays |= bubblewrap(directory)
        for turn in range(-2, rounds):  # the first two fill caches, and do not count
            for name, play in plays.items():
                value = play(turn) * 1000
                if turn >= 0:
                    found.setdefault(name, []).append(value)
    lines = ["| what, ms | median | p10 | p90 |", "| --- | --- | --- | --- |"]
    for name in sorted(found, reverse=True):
        values = sorted(found[name])
        low, high = values[len(values) // 10], values[len(values) * 9 // 10]
        lines.append(f"| {name} | {statistics.median(values):.1f} | {low:.1f} | {high:.1f} |")
    return "\n".join((versions(environment, False), f"- {rounds} turns of each\n", *lines)) + "\n"


def main() -> int:
    given = options(__doc__, rounds=100)
    with tempfile.TemporaryDirectory() as folder:
        text = table(pathlib.Path(folder), given.rounds)
    print(text)
    if given.write:
        write_section("starts", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
