"""The dev-container CLI of VS Code with a compose file: what it does through compose, and what it asks of docker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.conftest import DEVCONTAINER, Client
from tests.integration.contract.conftest import IMAGE

PROJECT = """
name: NAME
services:
  app:
    build: .
    volumes: [".:/workspace"]
    command: sleep infinity
    depends_on: [db]
  db:
    image: IMAGE
    pull_policy: never
    init: true
    command: sleep 1000
"""
# it looks for the user in /etc/passwd
DOCKERFILE = f"""FROM {IMAGE}
RUN mkdir -p /etc /root /tmp && echo root:x:0:0:root:/root:/bin/sh >/etc/passwd
STOPSIGNAL SIGKILL
"""
CONFIGURATION = {
    "name": "try",
    "dockerComposeFile": "../compose.yaml",
    "service": "app",
    "workspaceFolder": "/workspace",
    "containerEnv": {"OF_CONTAINER": "1"},
    "remoteEnv": {"OF_REMOTE": "2"},
    "postCreateCommand": "echo created >>/workspace/log",
    "postStartCommand": "echo started >>/workspace/log",
}
OF_DOCKER = {"buildx", "-v", "version", "ps", "events", "inspect", "exec", "rm"}
"""What it asks of docker itself: what the built-in runtime has no program for."""


@pytest.fixture
def folder(client: Client) -> list[str | Path]:
    """The options for the folder of a project."""
    client.stack.write(PROJECT)
    client.write("Dockerfile", DOCKERFILE)
    client.write(".devcontainer/devcontainer.json", json.dumps(CONFIGURATION))
    return ["--workspace-folder", client.directory, "--user-data-folder", client.directory / "cli"]


@pytest.mark.parametrize("backend", [pytest.param("docker", marks=pytest.mark.docker)], indirect=True)
def test_up_exec_and_up_again(client: Client, folder: list[str | Path]) -> None:
    said = json.loads(client.run(DEVCONTAINER, "up", *folder).stdout)
    assert said["outcome"] == "success"
    assert (said["composeProjectName"], said["remoteWorkspaceFolder"]) == (client.stack.name, "/workspace")
    assert client.stack.states() == {"app-1": "running", "db-1": "running"}
    assert client.stack.containers()["app-1"][1] == said["containerId"][:12]
    shell = ["sh", "-c", "echo $OF_CONTAINER $OF_REMOTE; pwd"]
    assert client.run(DEVCONTAINER, "exec", *folder, *shell).stdout == "1 2\n/workspace\n"

    client.stack.run("stop", "-t", "0")
    again = json.loads(client.run(DEVCONTAINER, "up", *folder).stdout)
    assert again["containerId"] == said["containerId"], "it was started again, not made again"
    assert (client.directory / "log").read_text().split() == ["created", "started", "started"]

    replaced = json.loads(client.run(DEVCONTAINER, "up", *folder, "--remove-existing-container").stdout)
    assert replaced["containerId"] != said["containerId"]
    assert set(client.docker_calls()) == OF_DOCKER
    client.stack.run("down", "-v", "-t", "0", "--rmi", "local")
    assert client.stack.containers() == {}
