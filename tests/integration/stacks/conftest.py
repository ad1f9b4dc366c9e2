"""A project of busybox on each backend."""

from __future__ import annotations

import os
import pathlib
import secrets
from collections.abc import Iterator

import pytest

from composer.session.session import Session
from tests.compared.api.image import archive

IMAGE = "composer-stacks-test"
FILE = f"""
services:
  web:
    image: {IMAGE}
    command: sh -c 'echo ready; mkdir -p /www; echo hello >/www/index.html; httpd -f -p 80 -h /www'
    stop_signal: SIGKILL
    ports: ["18099:80"]
    depends_on: {{db: {{condition: service_healthy}}}}
  db:
    image: {IMAGE}
    command: sh -c 'echo started; trap exit TERM; while true; do sleep 0.05; done'
    container_name: fixed-{{name}}
    healthcheck: {{test: ["CMD", "true"], interval: 1s, start_interval: 50ms, start_period: 5s}}
    volumes: ["data:/data"]
volumes: {{data: {{}}}}
"""


@pytest.fixture(
    params=[
        pytest.param("namespace", marks=pytest.mark.root),
        pytest.param("docker", marks=pytest.mark.docker),
    ]
)
def backend(request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a backend that has the image; the process's variables lead to it."""
    monkeypatch.setenv("COMPOSER_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("COMPOSER_BACKEND", request.param)
    if request.param == "docker":
        monkeypatch.setenv("DOCKER_HOST", os.environ["COMPOSER_TEST_DOCKER"])
    saved = tmp_path / "image.tar"
    saved.write_bytes(archive(IMAGE))
    session = Session(dict(os.environ), wanted=request.param)
    try:
        session.backend().load_images(str(saved))
    finally:
        session.close()
    return str(request.param)


@pytest.fixture
def directory(tmp_path: pathlib.Path, backend: str) -> Iterator[pathlib.Path]:
    """A project's directory, with a name of its own."""
    name = f"stk{secrets.token_hex(4)}"
    made = tmp_path / name
    made.mkdir()
    (made / "compose.yaml").write_text(FILE.replace("{name}", name))
    yield made
    session = Session(dict(os.environ), wanted=backend)
    try:
        left = [one.name for one in session.backend().projects() if name in one.name]
    finally:
        session.close()
    assert left == []
