"""Run samples of others on the built-in runtime, their compose files as they are, and write docs/samples.md.

    python -m tests.samples.run DIRECTORY [--only WORD] [--backend namespace|docker] [--write]

``DIRECTORY`` has a folder with a compose file for each sample of `table`. Images are stand-ins (`stand_ins`). For each:
``up -d --wait``; every page answers and counts in its database; ``down`` and ``up``, and it counts on; ``down -v``, and
nothing of it is left on the machine. Needs root, mmdebstrap, and the ports that the samples publish.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from typing import Any, NamedTuple

from tests.integration.namespace.conftest import left_behind, listing
from tests.samples import stand_ins
from tests.samples.table import SAMPLES, Ask, Sample

ROOT = pathlib.Path(__file__).parents[2]
_ANSWER_S = 60.0
_HEAD = """# Third-party samples

These are projects of [awesome-compose](https://github.com/docker/awesome-compose), with unchanged compose files, on the
built-in runtime: `make samples COMPOSE_SAMPLES=DIRECTORY`. Their images and the applications that they build are
replaced by PostgreSQL, MariaDB, Redis, nginx, Python and Node from Debian packages (`tests/samples/`). Each sample
starts. Each page answers and counts its visits in its database, also after `down` and `up`. After `down -v` no process,
mount, cgroup, namespace, link or rule is left. The table is generated.

| sample | services | `up -d --wait` s | first answer s | up again s | `down -v` s |
| --- | ---: | ---: | ---: | ---: | ---: |
"""


class Failed(Exception):
    """A sample did not do what it should."""


class Row(NamedTuple):
    name: str
    services: int
    up_s: float
    answer_s: float
    again_s: float
    down_s: float

    def __str__(self) -> str:
        times = " | ".join(f"{value:.2f}" for value in (self.up_s, self.answer_s, self.again_s, self.down_s))
        return f"| {self.name} | {self.services} | {times} |"


class Folder:
    """One sample's folder, and the command in it."""

    def __init__(
        self, source: pathlib.Path, parent: pathlib.Path, sample: Sample, composer: list[str]
    ) -> None:
        self.path = parent / sample.name
        shutil.copytree(source / sample.name, self.path)
        for name, text in sample.files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)
        self._composer = composer

    def run(self, *arguments: str) -> str:
        try:
            done = self._start(*arguments)
        except subprocess.TimeoutExpired:
            raise Failed(f"composer {' '.join(arguments)}: took too long{self._logs()}") from None
        if done.returncode:
            raise Failed(
                f"composer {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}{self._logs()}"
            )
        return done.stdout

    def _start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._composer, *arguments],
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
        )

    def _logs(self) -> str:
        return "\n" + self._start("logs", "--tail", "20").stdout

    def timed(self, *arguments: str) -> float:
        began_s = time.monotonic()
        self.run(*arguments)
        return time.monotonic() - began_s

    def get(self, ask: Ask) -> dict[str, Any]:
        """Return the page once it answers, with its databases: not every sample waits for them."""
        deadline_s = time.monotonic() + _ANSWER_S
        while True:
            try:
                page = dict(json.loads(self._fetch(ask)))
                if set(page["visits"]) != set(ask.databases):
                    raise Failed(f"{ask}: only {page}")
                return page
            except (OSError, ValueError, Failed) as error:
                if time.monotonic() > deadline_s:
                    said = error.read() if isinstance(error, urllib.error.HTTPError) else b""
                    raise Failed(f"{ask}: no answer: {error} {said!r}{self._logs()}") from None
            time.sleep(0.02)

    def _fetch(self, ask: Ask) -> str:
        url = f"http://{ask.service}:{ask.port}/"
        if ask.inside:
            return self.run("exec", "-T", ask.inside, "curl", "-sf", url)
        with urllib.request.urlopen(url.replace("localhost", "127.0.0.1"), timeout=5) as answer:
            return str(answer.read().decode())


def play(sample: Sample, source: pathlib.Path, parent: pathlib.Path, composer: list[str]) -> Row:
    """Run a sample from beginning to end. Raises Failed."""
    before = listing()
    folder = Folder(source, parent, sample, composer)
    name = json.loads(folder.run("config", "--format", "json"))["name"]
    for image, role in sample.images.items():
        target = image if image not in _built(folder) else f"{name}-{image}"
        folder.run("image", "tag", f"{stand_ins.PREFIX}/{role}", target)
    try:
        began_s = time.monotonic()
        up_s = folder.timed("up", "-d", "--wait")
        counted = [_check(folder, ask) for ask in sample.asks]
        answer_s = time.monotonic() - began_s
        folder.run("down")
        again_s = folder.timed("up", "-d", "--wait")
        for ask, had in zip(sample.asks, counted, strict=True):
            has = _check(folder, ask)
            if any(has[database] <= count for database, count in had.items() if database != "redis"):
                raise Failed(f"{ask}: counted {had} before down, {has} after up")
    finally:
        down_s = folder.timed("down", "-v", "--remove-orphans")
    left = left_behind(before)
    if left:
        raise Failed(f"left behind: {left}")
    return Row(sample.name, len(folder.run("config", "--services").split()), up_s, answer_s, again_s, down_s)


def _built(folder: Folder) -> set[str]:
    services = json.loads(folder.run("config", "--format", "json"))["services"]
    return {name for name, service in services.items() if not service.get("image")}


def _check(folder: Folder, ask: Ask) -> dict[str, int]:
    """Return the counts of a page that answers as it should, from as many hosts as it should."""
    first = folder.get(ask)
    hosts, deadline_s = {first["host"]}, time.monotonic() + _ANSWER_S
    while len(hosts) < ask.hosts and time.monotonic() < deadline_s:
        hosts.add(folder.get(ask)["host"])  # one that is not up yet is passed over
    last = folder.get(ask)
    if len(hosts) != ask.hosts:
        raise Failed(f"{ask}: {last}, from {sorted(hosts)}")
    if any(last["visits"][database] <= count for database, count in first["visits"].items()):
        raise Failed(f"{ask}: does not count: {first}, then {last}")
    return dict(last["visits"])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--only", default="", help="samples whose name has this in it")
    parser.add_argument("--backend", default="namespace")
    parser.add_argument("--write", action="store_true", help="write docs/samples.md")
    options = parser.parse_args()
    os.environ.setdefault("COMPOSER_ROOT", str(stand_ins.KEPT / "samples-state"))
    os.environ["PYTHONPATH"] = str(ROOT)
    composer = [sys.executable, "-m", "composer", "--backend", options.backend]
    stand_ins.import_images(composer, os.environ)
    rows, failures = [], 0
    with tempfile.TemporaryDirectory(prefix="composer-samples-") as directory:
        for sample in SAMPLES:
            if options.only not in sample.name:
                continue
            try:
                rows.append(play(sample, options.directory, pathlib.Path(directory), composer))
                print(rows[-1], flush=True)
            except Failed as error:
                failures += 1
                print(f"{sample.name}: {error}", file=sys.stderr, flush=True)
    if options.write and not failures:
        (ROOT / "docs" / "samples.md").write_text(_HEAD + "".join(f"{row}\n" for row in rows))
    print(f"{len(rows)} samples came up, answered and went down clean; {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
