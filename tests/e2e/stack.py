"""A project on one of the backends, driven by the command."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

from tests import forked
from tests.integration.contract.conftest import IMAGE


class Stack:
    def __init__(self, directory: pathlib.Path, backend: str, name: str) -> None:
        self.directory, self.backend, self.name = directory, backend, name

    def write(self, text: str) -> None:
        """Write the compose file: IMAGE and NAME in it are those of this stack."""
        text = text.replace("IMAGE", IMAGE).replace("NAME", self.name)
        (self.directory / "compose.yaml").write_text(text)

    def command(self, *arguments: str, **variables: str) -> dict[str, Any]:
        """Return what a subprocess of the command is made of."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
        environment |= {"COMPOSER_ROOT": str(self.directory / "state"), **variables}
        if self.backend == "docker":
            environment["DOCKER_HOST"] = os.environ["COMPOSER_TEST_DOCKER"]
        return {
            "args": [sys.executable, "-m", "composer", "--backend", self.backend, *arguments],
            "cwd": self.directory,
            "env": environment,
            "stdin": subprocess.DEVNULL,
        }

    def run(self, *arguments: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        made = self.command(*arguments, **variables)
        done = forked.run(
            made["args"][3:], cwd=made["cwd"], env=made["env"], timeout=90, errors="surrogateescape"
        )
        assert done.returncode == code, f"composer {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done

    def containers(self) -> dict[str, tuple[str, str]]:
        """Return state and id of each container by the name that it has in the project."""
        lines = self.run("ps", "-a", "--format", "json").stdout.splitlines()
        found = [json.loads(line) for line in lines]
        return {one["Name"].removeprefix(f"{self.name}-"): (one["State"], one["ID"]) for one in found}

    def states(self) -> dict[str, str]:
        return {name: state for name, (state, _) in self.containers().items()}
