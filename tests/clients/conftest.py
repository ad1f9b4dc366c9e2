"""Where the programs of others are, and a project on each backend for them to run.

``make clients`` puts them into a virtual environment of their own, ``.venv-clients``: pytest-docker is a plugin of
every pytest beside it. A program that looks for ``docker`` finds a launcher that gives ``docker compose`` to composer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import backend, empty
from tests.e2e.stack import Stack

__all__ = ["backend", "empty"]

CLIENTS = Path(__file__).parents[2] / ".venv-clients"
PYTHON = CLIENTS / "bin/python"
DEVCONTAINER = CLIENTS / "node_modules/.bin/devcontainer"
LAUNCHER = """#!/bin/sh
if [ "$1" = compose ]; then
    exec COMPOSER "$@"
fi
echo "$1" >>CALLS
exec DOCKER "$@"
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.clients)


class Client:
    """A program of others, in the directory of a project."""

    def __init__(self, stack: Stack, docker: str) -> None:
        self.stack, self.directory, self.backend = stack, stack.directory, stack.backend
        self.calls = stack.directory.parent / "calls"
        programs = stack.directory.parent / "programs"
        programs.mkdir()
        text = LAUNCHER.replace("COMPOSER", f"{sys.executable} -m composer")
        (programs / "docker").write_text(text.replace("CALLS", str(self.calls)).replace("DOCKER", docker))
        (programs / "docker").chmod(0o755)
        self._programs = programs

    def write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program; what it starts takes the backend from the environment, and the project from its file."""
        environment = dict(self.stack.command()["env"])
        environment |= {
            "COMPOSER_BACKEND": self.backend,
            "TMPDIR": str(self.directory.parent),  # some leave files there
            "PATH": f"{self._programs}:{os.environ['PATH']}",
        }
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done

    def docker_calls(self) -> list[str]:
        """Return the commands of docker itself that were run, each once, in the order of the first times."""
        return list(dict.fromkeys(self.calls.read_text().splitlines()))


@pytest.fixture
def client(empty: Stack) -> Client:
    if not PYTHON.exists():
        pytest.skip("needs the programs of others: make clients")
    docker = "/bin/false"
    if empty.backend == "docker":
        docker = shutil.which("docker") or docker
    return Client(empty, docker)
