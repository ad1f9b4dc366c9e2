"""Docker's REST API: `composer serve` beside Docker Engine, the docker command and plain requests taking turns.

    python -m tests.bench.api [--rounds N] [--seconds S] [--write]

The start of the server to its first answer; `docker run --rm`; `docker ps -a` of 200 running containers. Then a load
on ours alone: 50 clients that list the 200 one after the other, ten streams of statistics, ten followed logs for S
seconds; an error ends it. Needs root, docker on PATH, an engine at DOCKER_HOST, and busybox-static. ``--write`` puts
the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tests.api_client import Client, Server, served
from tests.api_images import imported
from tests.bench.page import write_section
from tests.bench.run import IMAGE, Timings, make_image, row, timed, versions

_CONTAINERS = 200
_LISTERS, _STREAMS = 50, 10
_PAUSE_S = 0.2
_LOUD = "while true; do echo line; /bin/busybox sleep 1; done"
_NAME = "composer-bench-api"
_SAMPLE_S = 5.0
_WARM_S = 60.0
"""The first minute of a load: threads, imports and the heap grow to what they need."""


class Sample(NamedTuple):
    """What the server has at a moment of the load."""

    seconds: float
    memory_mb: float
    threads: int
    descriptors: int


def sample(server: Server, began_s: float) -> Sample:
    here = pathlib.Path(f"/proc/{server.process.pid}")
    memory = re.search(r"VmRSS:\s+(\d+)", (here / "status").read_text())
    assert memory is not None
    threads, descriptors = (len(os.listdir(here / name)) for name in ("task", "fd"))
    return Sample(time.monotonic() - began_s, int(memory[1]) / 1024, threads, descriptors)


# ------------------------------------------------------------------ times


def starts(directory: pathlib.Path, rounds: int) -> list[float]:
    """Return the seconds from the start of the server's process to its first answer."""
    found = []
    for number in range(rounds + 1):
        place = directory / f"start{number}"
        place.mkdir()
        began_s = time.perf_counter()
        with served(place, {"COMPOSER_ROOT": str(place / "state")}):
            found.append(time.perf_counter() - began_s)
    return found[1:]  # the first one compiles


def populate(client: Client, image: str) -> None:
    """Run the containers; every twentieth one writes."""

    def run(number: int) -> None:
        command = ["/bin/sh", "-c", _LOUD] if number % 20 == 0 else ["/bin/busybox", "sleep", "1000000"]
        body = {
            "Image": image,
            "Cmd": command,
            "StopSignal": "SIGKILL",
            "Labels": {_NAME: "1", "tier": "web"},
        }
        id = client.post("/containers/create", {"name": f"{_NAME}-{number}"}, body).json["Id"]
        client.post(f"/containers/{id}/start")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(_CONTAINERS)))


def clear(client: Client) -> None:
    listed = client.get("/containers/json", {"all": 1, "filters": {"label": [_NAME]}})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: client.delete(f"/containers/{one['Id']}", {"force": 1}), listed))


def compare(clients: dict[str, Client], rounds: int) -> dict[str, Timings]:
    """Let both take turns in everything that has a peer."""
    docker = shutil.which("docker")
    assert docker, "docker is needed on PATH"
    found: dict[str, Timings] = {side: {} for side in clients}

    def ask(side: str, name: str, question: Callable[[], object]) -> None:
        began_s = time.perf_counter()
        question()
        found[side].setdefault(name, []).append(time.perf_counter() - began_s)

    for _ in range(rounds):
        for side, client in clients.items():
            environment = {**os.environ, "DOCKER_HOST": client.host}
            name = "docker run --rm true"
            found[side].setdefault(name, []).append(
                timed([docker, "run", "--rm", IMAGE, "/bin/busybox", "true"], environment)
            )
    for client in clients.values():
        populate(client, IMAGE)
    for _ in range(rounds * 2):
        for side, client in clients.items():
            environment = {**os.environ, "DOCKER_HOST": client.host}
            name = f"docker ps -a, {_CONTAINERS} containers"
            found[side].setdefault(name, []).append(timed([docker, "ps", "-a"], environment))
            name = f"GET /containers/json, {_CONTAINERS} containers"
            ask(side, name, lambda client=client: client.get("/containers/json", {"all": 1}))  # type: ignore[misc]
    return found


# ------------------------------------------------------------------ load


class Load:
    """Clients that ask until the time is up. The first error of one is kept, and ends all."""

    def __init__(self, server: Server, seconds: float) -> None:
        self.server, self.deadline = server, time.monotonic() + seconds
        self.began_s = time.monotonic()
        self.errors: list[str] = []
        self.latencies: list[float] = []
        self.pieces = 0
        self.samples: list[Sample] = []

    def run(self) -> None:
        client = self.server.client()
        ids = [one["Id"] for one in client.get("/containers/json") if "while" in one["Command"]]
        tasks: list[Callable[[], None]] = [self._list] * _LISTERS
        for id in ids[:_STREAMS]:
            tasks.append(lambda id=id: self._follow(f"/containers/{id}/stats", {}))  # type: ignore[misc]
            logs = {"stdout": 1, "follow": 1}
            tasks.append(lambda id=id, logs=logs: self._follow(f"/containers/{id}/logs", logs))  # type: ignore[misc]
        threads = [threading.Thread(target=self._guarded, args=(task,), daemon=True) for task in tasks]
        for thread in threads:
            thread.start()
        while not self._is_over():
            self.samples.append(sample(self.server, self.began_s))
            time.sleep(_SAMPLE_S)
        for thread in threads:
            thread.join(30)

    def _is_over(self) -> bool:
        return time.monotonic() > self.deadline or bool(self.errors)

    def _guarded(self, task: Callable[[], None]) -> None:
        try:
            task()
        except (OSError, AssertionError, ValueError) as error:
            self.errors.append(f"{type(error).__name__}: {error}"[:500])

    def _list(self) -> None:
        client = self.server.client()
        while not self._is_over():
            began_s = time.perf_counter()
            listed = client.get("/containers/json", {"all": 1})
            self.latencies.append(time.perf_counter() - began_s)
            assert len(listed) == _CONTAINERS, f"{len(listed)} containers"
            time.sleep(_PAUSE_S)

    def _follow(self, path: str, query: dict[str, object]) -> None:
        with self.server.client().open("GET", path, query) as stream:
            assert stream.status == 200, stream.status
            for _ in stream.pieces():
                self.pieces += 1
                if self._is_over():
                    return
        assert self._is_over(), f"the stream {path} has ended"

    def lines(self) -> list[str]:
        settled = [one for one in self.samples if one.seconds >= min(_WARM_S, self.samples[-1].seconds / 2)]
        half = len(settled) // 2
        first, last = settled[:half] or settled, settled[half:]
        return [
            f"- {len(self.latencies):,} listings of {_CONTAINERS} containers in "
            f"{self.samples[-1].seconds:.0f} s, median {statistics.median(self.latencies) * 1000:.0f} ms with "
            f"{_LISTERS} clients at once; {self.pieces:,} pieces of {2 * _STREAMS} streams; "
            f"errors: {len(self.errors)}",
            f"- memory of the server: {_mean(first):.1f} MB in the first half, {_mean(last):.1f} MB in the second, "
            f"{max(one.memory_mb for one in self.samples):.1f} MB at most",
            f"- threads: {_range([one.threads for one in settled])}; "
            f"descriptors: {_range([one.descriptors for one in settled])}",
        ]


def _mean(samples: list[Sample]) -> float:
    return statistics.fmean(one.memory_mb for one in samples)


def _range(values: list[int]) -> str:
    return f"{min(values)}-{max(values)}"


# ------------------------------------------------------------------ all of it


def table(directory: pathlib.Path, rounds: int, seconds: float) -> tuple[str, list[str]]:
    begun = starts(directory, rounds)
    with served(directory, {"COMPOSER_ROOT": str(directory / "state")}) as server:
        clients = {"ours": server.client()}
        imported(clients["ours"], IMAGE)
        if os.environ.get("DOCKER_HOST"):
            make_image()
            clients["theirs"] = Client(os.environ["DOCKER_HOST"].removeprefix("unix://"))
        try:
            found = compare(clients, rounds)
            if "theirs" in clients:
                clear(clients["theirs"])
            load = Load(server, seconds)
            load.run()
        finally:
            for client in clients.values():
                clear(client)
    theirs = found.get("theirs", {})
    rows = [row(name, values, theirs.get(name)) for name, values in found["ours"].items()]
    rows.append(row("start of the server to its first answer", begun, None))
    head = (
        "| what, median (range) in ms | composer serve | Docker Engine | ratio |\n| --- | --- | --- | --- |"
    )
    text = [versions(dict(os.environ), "theirs" in clients) + "\n", head, *rows, "", *load.lines()]
    return "\n".join(text) + "\n", load.errors


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/benchmarks.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="composer-bench-") as folder:
        text, errors = table(pathlib.Path(folder), given.rounds, given.seconds)
    print(text)
    for error in errors:
        print(error, file=sys.stderr)
    if given.write and not errors:
        write_section("api", text)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
