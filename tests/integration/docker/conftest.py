"""A project on a real engine, driven by the command and by docker compose in turn; nothing of it may stay."""

from __future__ import annotations

import json
import os
import pathlib
import secrets
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests import forked
from tests.integration.contract.conftest import IMAGE, provide_image

COMMAND = [sys.executable, "-m", "composer", "--backend", "docker"]
PEER = ["docker", "compose"]


class Stack:
    def __init__(self, directory: pathlib.Path, name: str) -> None:
        self.directory, self.name = directory, name
        # the first three numbers of addresses that no other test on the same engine has
        self.subnet = f"10.{64 + secrets.randbelow(64)}.{secrets.randbelow(256)}"

    def write(self, text: str) -> None:
        text = text.replace("IMAGE", IMAGE).replace("SUBNET", self.subnet)
        (self.directory / "compose.yaml").write_text(text)

    def run(
        self, command: list[str], *arguments: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
        own = {
            "COMPOSE_PROJECT_NAME": self.name,
            "COMPOSER_ROOT": str(self.directory / "state"),
            "DOCKER_HOST": os.environ["COMPOSER_TEST_DOCKER"],
        }
        variables = {**kept, **own, **environment}
        if command == COMMAND:
            words = [*command[3:], *arguments]
            result = forked.run(words, cwd=self.directory, env=variables, timeout=60)
        else:
            result = subprocess.run(
                [*command, *arguments],
                cwd=self.directory,
                env=variables,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        if check and result.returncode:
            pytest.fail(f"{' '.join([*command, *arguments])}: exit {result.returncode}\n{result.stderr}")
        return result

    def ours(
        self, *arguments: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return self.run(COMMAND, *arguments, check=check, **environment)

    def theirs(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(PEER, *arguments, check=check)

    def engine(self, *arguments: str) -> str:
        return self.run(["docker"], *arguments).stdout

    def ids(self) -> list[str]:
        """Return the ids of the project's containers, and of its networks and the names of its volumes."""
        only = ("--filter", f"label=com.docker.compose.project={self.name}")
        found = self.engine("ps", "-aq", "--no-trunc", *only).split()
        found += self.engine("network", "ls", "-q", "--no-trunc", *only).split()
        return sorted(found + self.engine("volume", "ls", "-q", *only).split())

    def inspect(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.engine("inspect", f"{self.name}-{service}-1"))[0]
        return found

    def plan(self) -> str:
        """Return what would be done: nothing, when there is nothing to do."""
        text = self.ours("plan").stdout.strip()
        return "" if text.startswith("nothing to do") else text


@pytest.fixture
def stack(tmp_path: pathlib.Path) -> Iterator[Stack]:
    provide_image(tmp_path)
    directory = tmp_path / "project"
    directory.mkdir()
    made = Stack(directory, f"d{secrets.token_hex(4)}")
    yield made
    # by the name alone: a file that the test changed last declares fewer volumes than there are
    made.ours("-f", "none.yaml", "down", "-v", "-t", "0", "--remove-orphans", check=False)
    assert made.ids() == [], "something is left behind"
