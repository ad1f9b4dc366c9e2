"""All tests, as ``make test`` runs them: in corners of their own, in random order, with both processors busy.

    python -m tests.everything [--seed N] [PATH…] [PYTEST-OPTION…]

Two runs of pytest go on at once, each with some workers:

- what needs a Docker Engine runs where the engine's ports can be reached;
- everything else: each worker is in a corner of its own (`tests.apart`), with its own processes, links, rules, mounts
  and control groups, where alone it looks for what a test leaves behind.

A worker takes tests from another one when it has none left. The order is random: ``--seed`` repeats one. Each part is
printed whole when it has ended, and all closing lines at the end; the exit code is the worst.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests import examples_base

ROOT = Path(__file__).parents[1]
_NONE_COLLECTED = 5
_OURS = "not beside and not clients"
"""Not what has a target of its own in the Makefile."""


class Part(NamedTuple):
    """A run of pytest: which tests, and where its workers are."""

    name: str
    chosen: str
    workers: list[str]


class Result(NamedTuple):
    """How a part ended."""

    name: str
    code: int
    closing: str
    took_s: float


def parts() -> list[Part]:
    """Return the parts; one worker more than there are processors in corners, for some tests wait."""
    number = os.cpu_count() or 1
    corner = f"{sys.executable} -m tests.apart {sys.executable}"
    return [
        Part(
            "in corners of their own",
            f"not docker and {_OURS}",
            ["--tx", f"{number + 1}*popen//python={corner}", "--dist", "worksteal"],
        ),
        Part("on the Docker Engine", f"docker and {_OURS}", ["-n", str(number), "--dist", "worksteal"]),
    ]


def run(part: Part, arguments: list[str], seed: int, printing: threading.Lock) -> Result:
    """Run a part, and print what it said when it has ended."""
    command = [sys.executable, "-m", "pytest", "-q", f"--randomly-seed={seed}", *part.workers]
    command += ["-m", part.chosen, *arguments]
    started_s = time.monotonic()
    with tempfile.TemporaryFile() as output:
        code = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        ).returncode
        output.seek(0)
        said = output.read()
    with printing:
        print(f"==== {part.name}", flush=True)
        sys.stdout.buffer.write(said)
        sys.stdout.flush()
    closing = said.decode(errors="replace").strip().rpartition("\n")[2]
    return Result(part.name, code, closing, time.monotonic() - started_s)


def verdict(results: list[Result]) -> int:
    """Return the exit code of all: a part with no test among those asked for is no failure, unless all are."""
    codes = [result.code for result in results]
    if all(code == _NONE_COLLECTED for code in codes):
        return _NONE_COLLECTED
    return max(0 if code == _NONE_COLLECTED else abs(code) for code in codes)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.everything")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options, rest = parser.parse_known_args(words)
    if not any((ROOT / word.partition("::")[0]).exists() for word in rest if not word.startswith("-")):
        rest = ["tests", *rest]
        examples_base.archive()  # a corner has no way to the mirror that it comes from
    print(f"seed {options.seed}; each part is printed when it has ended", flush=True)
    printing = threading.Lock()
    with ThreadPoolExecutor() as threads:
        results = list(threads.map(lambda part: run(part, rest, options.seed, printing), parts()))
    code = verdict(results)
    for result in results:
        print(f"{result.name}, {result.took_s:.0f} s: {result.closing}")
    print(f"{'passed' if code == 0 else 'FAILED'}, seed {options.seed}: again with --seed {options.seed}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
