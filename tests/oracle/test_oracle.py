"""The recorded verdicts are still those of the docker compose that is installed, and corpora agree too.

Any version from 2.40 on will do: `versions` has what is different between them. ``COMPOSE_CORPUS`` may name further
directories of cases, separated by ``:``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import compose_version
from tests.oracle import compare
from tests.oracle.versions import is_known

CASES = Path(__file__).parents[1] / "cases"
SHARES = 16
"""How many tests share the cases, so that several workers can ask the oracle at once."""

pytestmark = [pytest.mark.oracle, pytest.mark.slow]


def differing(cases: list[Path], *, live: bool) -> list[str]:
    found = []
    for case in cases:
        if (case / "decided.txt").exists():
            continue
        difference = compare.compare(case.resolve(), live=live)
        if difference:
            found.append(f"{case.name}: {difference[0]}")
    version = compose_version()
    return [one for one in found if not is_known(one, version)]


def cases_of(directory: Path) -> list[Path]:
    return sorted(one for one in directory.iterdir() if compare.compose_files(one))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("share", range(SHARES))
def test_the_oracle_agrees_with_every_case(share: int) -> None:
    cases = cases_of(CASES)[share::SHARES]
    assert cases
    assert differing(cases, live=True) == []


if os.environ.get("COMPOSE_CORPUS"):

    @pytest.mark.parametrize("directory", os.environ["COMPOSE_CORPUS"].split(":"))
    def test_corpus(directory: str) -> None:
        assert differing(cases_of(Path(directory)), live=False) == []
