from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.engine.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A stage whose directory has no link on its way: paths that are watched are resolved."""
    made = Stage(Path(os.path.realpath(tmp_path)))
    yield made
    made.backend.close()
