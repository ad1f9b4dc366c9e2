"""The recorded verdicts are still those of the docker compose that is installed, and corpora agree too.

Any version from 2.40 on will do: `versions` has what is different between them. ``COMPOSE_CORPUS`` may name further
directories of cases, separated by ``:``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import compose_version
from tests.oracle import compare
from tests.oracle.versions import is_known
from tests.sampling import of_today

CASES = Path(__file__).parents[1] / "cases"
SHARES = 16
"""How many tests share the cases, so that several workers can ask the oracle at once."""
EVERY = int(os.environ.get("COMPOSER_ORACLE_EVERY", "4"))
"""Of how many cases one is asked about, chosen anew each day: make loader asks about all."""

pytestmark = [pytest.mark.oracle, pytest.mark.slow]


def differing(cases: Sequence[Path], *, live: bool) -> list[str]:
    found = []
    version = compose_version()
    for case in cases:
        if (case / "decided.txt").exists() or (version >= (5,) and (case / "decided-5.txt").exists()):
            continue
        difference = compare.compare(case.resolve(), live=live, major=version[0] if version else 5)
        if difference:
            found.append(f"{case.name}: {difference[0]}")
    return [one for one in found if not is_known(one, version)]


def cases_of(directory: Path) -> list[Path]:
    return sorted(one for one in directory.iterdir() if compare.compose_files(one))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("share", range(SHARES))
def test_the_oracle_agrees_with_every_case(share: int) -> None:
    cases = of_today(cases_of(CASES)[share::SHARES], EVERY)
    assert cases
    assert differing(cases, live=True) == []


if os.environ.get("COMPOSE_CORPUS"):

    @pytest.mark.parametrize("directory", os.environ["COMPOSE_CORPUS"].split(":"))
    def test_corpus(directory: str) -> None:
        assert differing(cases_of(Path(directory)), live=False) == []

    @pytest.mark.parametrize("directory", os.environ["COMPOSE_CORPUS"].split(":"))
    def test_hashes_are_those_of_version_5(directory: str) -> None:
        found = [
            f"{case.name}: {service}"
            for case in cases_of(Path(directory))
            for service, digest in compare.recorded_hashes(case.resolve()).items()
            if compare.hashes(case.resolve()).get(service) != digest
        ]
        assert found == []
