"""What the end-to-end tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(
    params=[
        pytest.param("namespace", marks=pytest.mark.root),
        pytest.param("docker", marks=pytest.mark.docker),
    ]
)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of a backend: each test runs on both."""
    return str(request.param)
