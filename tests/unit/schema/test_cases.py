"""Every directory under tests/cases: our model, or our refusal, is the one that is written there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.oracle import compare

CASES = Path(__file__).parents[2] / "cases"
MISTAKES = CASES / "mistakes"


@pytest.mark.parametrize("case", sorted(one.name for one in CASES.iterdir() if compare.compose_files(one)))
def test_case(case: str) -> None:
    directory = CASES / case
    assert compare.recorded(directory) is not None, "record it with python -m tests.oracle.record"
    assert compare.compare(directory) == []


@pytest.mark.parametrize("case", sorted(one.name for one in MISTAKES.iterdir()))
def test_mistake_is_explained(case: str) -> None:
    """The text is reviewed by people: place, source line, caret, remedy."""
    model, error = compare.ours(MISTAKES / case)
    assert model is None
    assert error + "\n" == (MISTAKES / case / "want.txt").read_text()
