"""testcontainers' DockerCompose: https://testcontainers-python.readthedocs.io, compose."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.clients.conftest import PYTHON, Client
from tests.integration.contract.conftest import IMAGE

PROGRAM = Path(__file__).parent / "programs/compose_class.py"
PROJECT = """
name: NAME
services:
  web:
    build: .
    ports: ["80", "81"]
    volumes: ["data:/data"]
    healthcheck: {test: [CMD, wget, -qO-, "http://127.0.0.1/"], interval: 0.2s, retries: 50}
  ticker:
    image: IMAGE
    pull_policy: never
    init: true
    command: [sh, -c, "while true; do echo tick; sleep 0.2; done"]
  later:
    image: IMAGE
    pull_policy: never
    init: true
    command: [sleep, "1000"]
    profiles: [late]
volumes: {data: {}}
"""
DOCKERFILE = """FROM IMAGE
RUN mkdir /www && echo hello >/www/index.html
CMD ["sh", "-c", "echo web; exec httpd -f -p 80 -h /www"]
STOPSIGNAL SIGKILL
"""
PARTS = ["documented", "services_apart", "kept_volumes", "profiles"]


@pytest.mark.parametrize("word", ["-", "composer"])
def test_the_class_does_what_its_documentation_says(client: Client, word: str) -> None:
    """With the launcher that stands for docker, and with ``docker_command_path``."""
    client.stack.write(PROJECT)
    client.write("Dockerfile", DOCKERFILE.replace("IMAGE", IMAGE))
    command = word if word == "-" else str(Path(sys.executable).with_name(word))
    assert client.run(PYTHON, PROGRAM, client.directory, command).stdout.split() == PARTS
    assert client.stack.containers() == {}
    client.stack.run("down", "-v", "--rmi", "local")
