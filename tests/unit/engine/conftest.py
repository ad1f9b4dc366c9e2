from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from composer.engine.running import wait
from tests.unit.engine.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.backend.close()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs without a health check is ready sooner than for users: what is too soon is tested by itself."""
    monkeypatch.setattr(wait, "SETTLE_S", 0.01)
