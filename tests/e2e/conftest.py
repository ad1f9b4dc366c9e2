"""What the end-to-end tests share."""

from __future__ import annotations

import pathlib
import secrets
from collections.abc import Iterator

import pytest

from tests.e2e.example import base_archive, example
from tests.e2e.stack import Stack
from tests.integration.contract.conftest import IMAGE, provide_image, root_archive

__all__ = ["backend", "base_archive", "empty", "example"]


@pytest.fixture(
    params=[
        pytest.param("namespace", marks=pytest.mark.root),
        pytest.param("docker", marks=pytest.mark.docker),
    ]
)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of a backend: each test runs on both."""
    return str(request.param)


@pytest.fixture
def empty(backend: str, tmp_path: pathlib.Path) -> Iterator[Stack]:
    """A stack without a compose file, whose backend has the image of the tests."""
    directory = tmp_path / "project"
    directory.mkdir()
    made = Stack(directory, backend, f"e{secrets.token_hex(4)}")
    if backend == "docker":
        provide_image(tmp_path)
    else:
        made.run("image", "import", root_archive(tmp_path), IMAGE, "--env", "PATH=/bin")
    yield made
    made.run("--profile", "*", "down", "-v", "-t", "0", "--remove-orphans")
