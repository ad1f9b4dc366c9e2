"""The documents are what commands write: the console of the command's tests runs them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))

from tests.unit.cli.console import STACK, Console


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)


@pytest.fixture
def stack(console: Console) -> Console:
    console.write(STACK)
    assert console("up", "-d").code == 0
    return console
