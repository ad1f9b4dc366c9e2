"""Kill -9 of builders, of their supervisor and its keeper, while eight builds share steps and others prune.

    make builds-storm ROUNDS=100 SEED=7     a few rounds are among the usual tests; the seed is printed

After each round the cache and the store are what they say they are; after everything is pruned nothing is left; and
what is built then is what a new state directory makes of the same files.
"""

from __future__ import annotations

import collections
import os
import pathlib
import random
import re
import signal
import subprocess
import time

import pytest

from composer.runtime.build.cache import verifying
from composer.runtime.build.cache.cache import Cache
from composer.runtime.images.content import Content
from tests.integration.namespace.building.conftest import Workshop
from tests.integration.namespace.conftest import COMMAND, find_process, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(0)]

ROUNDS = int(os.environ.get("COMPOSER_STORM_ROUNDS", "2"))
SEED = int(os.environ.get("COMPOSER_STORM_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
BUILDS = 8
EPOCH = "1700000000"

_SHARED = """
FROM base AS tools
RUN echo tools > /tools && mkdir -p /opt/d && echo d > /opt/d/f && ln /opt/d/f /opt/hard
FROM tools AS compiled
COPY source /source
RUN --mount=type=cache,target=/cache cat /source/* > /out; echo x >> /cache/log; sleep 0.05
FROM base AS assets
COPY --chown=3:4 assets /assets
RUN --mount=source=source,target=/m ls /m > /listed && rm -r /assets/0 && mv /assets /moved
"""
DOCKERFILES = (
    _SHARED + "FROM scratch\nCOPY --from=compiled /out /out\nCOPY --from=assets /moved /moved\n",
    _SHARED + "FROM assets\nCOPY --link --from=compiled /out /linked\nWORKDIR /w\nRUN echo last > last\n",
    _SHARED
    + "FROM compiled\nADD source/0 /added\nRUN --mount=type=tmpfs,target=/t echo y > /t/y; rm -r /opt\n",
    _SHARED + "FROM tools\nCOPY --from=assets /moved/1 /one\nRUN --network=none echo 3 > /three\nVOLUME /v\n",
)
TARGETS = ("", "", "tools", "compiled", "assets")
_HONEST = re.compile(
    r"removed by another command|cannot start the supervisor|was removed from the build cache"
    r"|lost connection to the supervisor"
    r"|an unknown exit code|exit code is unknown|the supervisor .*(crash|not respond|ended|killed)"
    r"|changed while it was read|no such file or directory|is not running|does not exist"
)


class Storm:
    """The rounds of one run."""

    def __init__(self, shop: Workshop, seed: int) -> None:
        self.shop, self.stack = shop, shop.stack
        self.dice = random.Random(seed)
        self.counts: collections.Counter[str] = collections.Counter()
        self.messages: collections.Counter[str] = collections.Counter()
        self.root = f"{self.stack.state}/lib"
        for number, text in enumerate(DOCKERFILES):
            shop.write(f"Dockerfile.{number}", text)
        self._change_files()

    def run(self, rounds: int) -> None:
        for number in range(rounds):
            self._round()
            self._verify(number)
            if self.dice.random() < 0.25:
                self._prune_all()
                self._verify(number)
            if number % 10 == 9:
                self._compare()
        self._prune_all()
        self._compare()

    def _change_files(self) -> None:
        for directory in ("source", "assets"):
            for number in range(6):
                if self.dice.random() < 0.4 or not (self.shop.directory / directory / str(number)).exists():
                    text = f"{self.dice.randrange(3)}\n" * self.dice.choice((1, 100, 100_000))
                    self.shop.write(f"{directory}/{number}", text)

    # -------------------------------------------------------------- one round

    def _round(self) -> None:
        builders = [self._builder(number) for number in range(BUILDS)]
        others: list[subprocess.Popen[str]] = []
        killed = set()
        for _ in range(self.dice.randrange(2, 7)):
            time.sleep(self.dice.random() * 0.4)
            act = self.dice.choice(
                ("builder", "builder", "supervisor", "keeper", "both", "prune", "images", "files")
            )
            self.counts[act] += 1
            if act == "builder":
                victim = self.dice.choice(builders)
                if victim.poll() is None:
                    victim.kill()
                    killed.add(victim.pid)
            elif act in ("supervisor", "keeper", "both"):
                self._strike(("supervisor", "keeper") if act == "both" else (act,))
            elif act == "files":
                self._change_files()
            else:
                others.append(self.stack.popen(*self._removal(act)))
        for builder in builders:
            self._check_end(builder, is_killed=builder.pid in killed)
        for other in others:
            _, err = other.communicate(timeout=120)
            assert "bug in composer" not in err, err

    def _builder(self, number: int) -> subprocess.Popen[str]:
        file = self.dice.randrange(len(DOCKERFILES))
        target = self.dice.choice(TARGETS)
        flags = ["--target", target] if target else []
        flags += ["--no-cache"] if self.dice.random() < 0.1 else []
        return self.stack.popen(
            "image", "build", "-q", "-f", f"Dockerfile.{file}", "-t", f"built{number}", *flags, "."
        )

    def _removal(self, act: str) -> list[str]:
        if act == "prune":
            return self.dice.choice(
                (
                    ["builder", "prune", "-f"],
                    ["builder", "prune", "-af"],
                    ["builder", "prune", "-f", "--max-used-space", "1MB"],
                )
            )
        return self.dice.choice(
            (["image", "prune", "-f"], ["image", "rm", "-f", f"built{self.dice.randrange(BUILDS)}"])
        )

    def _strike(self, roles: tuple[str, ...]) -> None:
        for pid in filter(None, [find_process(f"composer: {role} @builds") for role in roles]):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _check_end(self, builder: subprocess.Popen[str], *, is_killed: bool) -> None:
        _, err = builder.communicate(timeout=180)
        assert "bug in composer" not in err, err
        if builder.returncode == 0:
            self.counts["built"] += 1
        elif is_killed:
            self.counts["killed"] += 1
        else:
            self.counts["refused"] += 1
            last = [line for line in err.splitlines() if line.startswith("error:")][-1:]
            self.messages[re.sub(r"[0-9a-f]{12,}|built\d|Dockerfile[.:\d]*", "…", "".join(last))[:200]] += 1
            assert _HONEST.search(err), err

    # -------------------------------------------------------------- what has to be so

    def _verify(self, number: int) -> None:
        found = list(verifying.verify(Cache(f"{self.root}/build"), Content(f"{self.root}/images")))
        assert not found, f"round {number}: {[str(one) for one in found]}"

    def _prune_all(self) -> None:
        """With every image and step pruned nothing is left of any build, but the base image."""
        self.stack.run("builder", "prune", "-af")
        names = [f"built{number}" for number in range(BUILDS)]
        self.stack.run("image", "rm", "-f", *names, check=False)
        self.stack.run("image", "prune", "-f")
        self.stack.run("builder", "prune", "-af")
        build = pathlib.Path(self.root) / "build"
        left = [
            str(path.relative_to(self.root))
            for part in ("steps", "snapshots", "locks", "mounts", "leases", "times")
            for path in build.joinpath(part).glob("*")
        ]
        images = pathlib.Path(self.root) / "images"
        left += [f"lease {path.name}" for path in images.joinpath("leases").glob("*")]
        layers = {path.name.removesuffix(".json") for path in images.joinpath("layers").iterdir()}
        assert (left, len(layers)) == ([], 1)
        assert os.listdir(f"{self.root}/containers") == []
        wait_for(lambda: not _mounted(self.root), what="the end of all mounts")
        self.counts["pruned"] += 1

    def _compare(self) -> None:
        """What is built now is what a new state directory makes of the same files."""
        ours = [self._built(number) for number in range(len(DOCKERFILES))]
        before, archive = self.stack.state, self.shop.directory.parent / "base.tar"
        self.stack.run("image", "save", "-o", str(archive), "base")
        fresh = self.shop.directory.parent / f"fresh{self.counts['compared']}"
        self.stack.state = fresh
        try:
            self.stack.run("image", "load", "-i", str(archive))
            assert [self._built(number) for number in range(len(DOCKERFILES))] == ours
            self.stack.run("builder", "prune", "-af")
        finally:
            self.stack.state = before
        self.counts["compared"] += 1

    def _built(self, number: int) -> str:
        done = self.stack.run(
            *("image", "build", "-q", "-f", f"Dockerfile.{number}", "-t", f"built{number}", "."),
            SOURCE_DATE_EPOCH=EPOCH,
        )
        return done.stdout.strip()


def _mounted(root: str) -> list[str]:
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if root in line]


def test_nothing_is_lost_or_left_whoever_is_killed(shop: Workshop) -> None:
    print(f"{ROUNDS} rounds, seed {SEED}", flush=True)
    storm = Storm(shop, SEED)
    try:
        storm.run(ROUNDS)
    finally:
        print(dict(storm.counts), flush=True)
        for message, count in storm.messages.most_common():
            print(f"{count} × {message}", flush=True)
    assert COMMAND
