"""A server of its own for each test."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest

from tests.api_client import Client, Server, served
from tests.registries import registry


@pytest.fixture
def server(tmp_path: pathlib.Path) -> Iterator[Server]:
    home = tmp_path / "home"
    home.mkdir()
    with served(tmp_path, {"COMPOSER_ROOT": str(tmp_path / "state"), "HOME": str(home)}) as found:
        yield found


@pytest.fixture
def client(server: Server) -> Client:
    return server.client()


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Iterator[str]:
    """A registry that lets everybody in."""
    directory = tmp_path / "registry"
    directory.mkdir()
    with registry(directory) as found:
        yield found


@pytest.fixture
def engine() -> Client:
    """The real engine, for comparison."""
    return Client(os.environ["COMPOSER_TEST_DOCKER"].removeprefix("unix://"))
