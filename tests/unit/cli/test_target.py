"""What is asked for and is not there is answered with what there is."""

from __future__ import annotations

import pytest

from tests.unit.cli.console import Console


@pytest.mark.parametrize("kind", ["network", "volume", "image"])
def test_what_cannot_be_inspected_has_a_remedy(stack: Console, kind: str) -> None:
    done = stack(kind, "inspect", "missing")
    assert done.code == 1
    assert f"no such {kind}: missing\n  hint: list them with composer {kind} ls" in done.err


def test_an_index_that_is_not_there_is_answered_with_those_that_are(stack: Console) -> None:
    done = stack("export", "web", "--index", "7", "-o", "x.tar")
    assert 'service "web" is not running container #7\n  hint: available indexes: 1' in done.err
