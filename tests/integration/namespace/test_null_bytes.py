"""A text with a null byte cannot reach a program: no container is made with one, and the one that is there stays."""

from __future__ import annotations

import pytest

from .conftest import Stack

pytestmark = pytest.mark.root

PROJECT = """
services:
  web:
    image: host
    command: [sleep, "100"]
    stop_signal: SIGKILL
    {attribute}
"""


def test_what_only_looks_like_one_is_passed_on(stack: Stack) -> None:
    stack.up(PROJECT.format(attribute="environment: {A: 'x\\u0000y'}"))
    assert stack.inside("web", "printenv", "A") == "x\\u0000y\n"


@pytest.mark.parametrize(
    ("attribute", "place"),
    [
        (r'environment: {A: "x\0y"}', "environment variable 'A' has"),
        (r'environment: {"A\0B": "x"}', r"environment variable 'A\0B' has"),
        (r'labels: {shown: "x\0y"}', "has a null byte"),
        (r'entrypoint: ["sleep\0", "100"]', "'process.args' has"),
        (r'working_dir: "/tmp\0x"', "has a null byte"),
        (r'hostname: "a\0b"', "has a null byte"),
    ],
)
def test_no_container_is_made(stack: Stack, attribute: str, place: str) -> None:
    stack.up(PROJECT.format(attribute=""))
    before = stack.out("ps", "-aq")
    stack.write(PROJECT.format(attribute=attribute))
    failed = stack.run("up", "-d", check=False)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert place in failed.stderr
    assert "Traceback" not in failed.stderr
    stack.write(PROJECT.format(attribute=""))
    assert stack.out("ps", "-aq") == before
    stack.run("up", "-d")
    assert stack.out("ps", "-aq") == before
