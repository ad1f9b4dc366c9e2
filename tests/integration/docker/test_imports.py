"""The Docker SDK is imported where there is something to do, and nowhere else."""

from __future__ import annotations

import json
import sys

import pytest

from tests.integration.docker.conftest import Stack

pytestmark = pytest.mark.docker

PROGRAM = """
import json, os, sys
from composer.cli.main import run
code = run(["--backend", "docker", *sys.argv[1:]], dict(os.environ))
heavy = {"docker", "requests", "urllib3", "ssl", "http"}
print("=====" + json.dumps([code, sorted(heavy & {name.partition(".")[0] for name in sys.modules})]))
"""
ONE = """
services:
  a: {image: IMAGE, command: [sleep, '600'], stop_signal: SIGKILL, volumes: ['data:/v']}
volumes: {data: {}}
"""


def imported(stack: Stack, *arguments: str) -> set[str]:
    """Run a command and return what of the SDK it imported."""
    result = stack.run([sys.executable, "-c", PROGRAM], *arguments)
    code, modules = json.loads(result.stdout.rpartition("=====")[2])
    assert code == 0, result.stderr
    return set(modules)


def test_only_an_effect_imports_the_sdk(stack: Stack) -> None:
    stack.write(ONE)
    assert imported(stack, "plan") == set()
    assert "docker" in imported(stack, "up", "-d")
    for verb in (("up", "-d"), ("plan",), ("ps",), ("ps", "-a", "--format", "json"), ("logs",), ("images",)):
        assert imported(stack, *verb) == set(), verb
    assert "docker" in imported(stack, "exec", "-T", "a", "true")
    assert "docker" in imported(stack, "down", "-v")
