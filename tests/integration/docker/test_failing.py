"""What goes wrong on an engine: one clear line with the remedy, and the next run goes on from there."""

from __future__ import annotations

import json
import socket

import pytest

from tests.integration.contract.conftest import IMAGE
from tests.integration.docker.conftest import Stack

pytestmark = pytest.mark.docker

TWO = """
services:
  a: {image: IMAGE, command: [sleep, '600'], stop_signal: SIGKILL}
  b: {image: IMAGE, command: [sleep, '600'], stop_signal: SIGKILL, depends_on: [a]%s}
"""


def fails(stack: Stack, *words: str) -> str:
    """Run ``up`` and return its error, which has these words, is one line and has a remedy."""
    result = stack.ours("up", "-d", check=False)
    assert result.returncode != 0
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, result.stderr
    assert all(word in errors[0] for word in words), errors[0]
    assert "hint: " in result.stderr
    assert "Traceback" not in result.stderr
    return errors[0]


def converges(stack: Stack, text: str) -> None:
    stack.write(text)
    stack.ours("up", "-d")
    assert stack.plan() == ""


def test_an_engine_that_is_down(stack: Stack) -> None:
    stack.write(TWO % "")
    result = stack.ours("up", "-d", check=False, DOCKER_HOST=f"unix://{stack.directory}/none.sock")
    assert result.returncode == 1
    assert "cannot connect to the Docker Engine at" in result.stderr
    assert "hint: start it" in result.stderr


def test_a_port_that_is_taken(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack.write(TWO % f", ports: ['127.0.0.1:{port}:80']")
        fails(stack, str(port), "already in use")
    converges(stack, TWO % f", ports: ['127.0.0.1:{port}:80']")


def test_an_image_that_is_nowhere(stack: Stack) -> None:
    stack.write(TWO.replace("b: {image: IMAGE", "b: {image: 127.0.0.1:1/nowhere") % "")
    fails(stack, "127.0.0.1:1/nowhere")
    converges(stack, TWO % "")


def test_a_name_that_is_taken(stack: Stack) -> None:
    other = f"{stack.name}-taken"
    stack.engine("create", "--name", other, IMAGE, "true")
    try:
        stack.write(TWO % f", container_name: {other}")
        fails(stack, f'container name "{other}" is already in use by container')
    finally:
        stack.engine("rm", other)
    converges(stack, TWO % f", container_name: {other}")


def test_a_command_that_is_not_there(stack: Stack) -> None:
    stack.write(TWO.replace("[a]%s", "[a], entrypoint: /nowhere"))
    fails(stack, "command not found in the image: /nowhere")
    converges(stack, TWO % "")


def test_an_attribute_that_the_engine_cannot_express(stack: Stack) -> None:
    stack.write(TWO % ", credential_spec: {file: x.json}")
    fails(stack, "credential_spec", "Windows")
    assert stack.ids() == []


def test_a_half_made_stack_is_completed(stack: Stack) -> None:
    stack.write(TWO % "")
    stack.ours("create")
    stack.engine("rm", f"{stack.name}-b-1")
    converges(stack, TWO % "")
    states = [json.loads(line)["State"] for line in stack.ours("ps", "--format", "json").stdout.splitlines()]
    assert states == ["running", "running"]
