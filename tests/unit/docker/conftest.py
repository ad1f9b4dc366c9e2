"""Starts scripted engines, and stops them."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.docker.engine import Engine, Reply


@pytest.fixture
def engine(tmp_path: pathlib.Path) -> Iterator[Callable[..., Engine]]:
    made: list[Engine] = []

    def start(reply: Reply, version: str = "1.51", **more: Any) -> Engine:
        made.append(Engine(tmp_path, reply, version, **more))
        return made[-1]

    yield start
    for one in made:
        one.close()
