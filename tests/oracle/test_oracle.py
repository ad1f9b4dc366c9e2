"""The recorded verdicts are still those of the docker compose that is installed, and corpora agree too.

``COMPOSE_CORPUS`` may name further directories of cases, separated by ``:``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import compare

CASES = Path(__file__).parents[1] / "cases"


def installed() -> bool:
    if shutil.which("docker") is None:
        return False
    done = subprocess.run(["docker", "compose", "version"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "2.40" in done.stdout


pytestmark = [
    pytest.mark.oracle,
    pytest.mark.slow,
    pytest.mark.skipif(not installed(), reason="docker compose 2.40 is not installed"),
]


def differing(directory: Path, *, live: bool) -> list[str]:
    found = []
    for case in sorted(one for one in directory.iterdir() if compare.compose_files(one)):
        if (case / "decided.txt").exists():
            continue
        difference = compare.compare(case.resolve(), live=live)
        if difference:
            found.append(f"{case.name}: {difference[0]}")
    return found


@pytest.mark.timeout(600)
def test_the_oracle_agrees_with_every_case() -> None:
    assert differing(CASES, live=True) == []


if os.environ.get("COMPOSE_CORPUS"):

    @pytest.mark.parametrize("directory", os.environ["COMPOSE_CORPUS"].split(":"))
    def test_corpus(directory: str) -> None:
        # pre_start is in the specification; docker compose 2.40 does not know it yet
        newer = [one for one in differing(Path(directory), live=False) if "pre_start" not in one]
        assert newer == []
