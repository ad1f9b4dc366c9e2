"""The documents are what commands write: the console of the command's tests runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.console import STACK, Console


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)


@pytest.fixture
def stack(console: Console) -> Console:
    console.write(STACK)
    assert console("up", "-d").code == 0
    return console
