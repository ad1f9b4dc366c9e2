"""The three that are compared, each with a project folder of its own for each scenario."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from typing import Any, NamedTuple

IMAGE = "composer-contract"
_TIMEOUT_S = 90


class Done(NamedTuple):
    code: int
    out: str
    err: str
    took_s: float


class Place:
    """One command on one engine. ``folder`` is the scenario's own and starts empty."""

    title = ""
    command: tuple[str, ...] = ()

    def __init__(self, folder: pathlib.Path, name: str) -> None:
        self.folder, self.name = folder, name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def write(self, text: str, name: str = "compose.yaml") -> None:
        (self.folder / name).write_text(text.replace("IMAGE", IMAGE))

    def run(self, *arguments: str) -> Done:
        return self.start([*self.command, "-p", self.name, *arguments])

    def start(self, command: list[str]) -> Done:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
        began_s = time.monotonic()
        done = subprocess.run(
            command, cwd=self.folder, env=kept, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr, time.monotonic() - began_s)

    def up(self, *arguments: str) -> Done:
        return self.run("up", "-d", *arguments)

    def must_up(self, *arguments: str) -> Done:
        """Start what the scenario begins with. A failure here is one of the scenario, not a result."""
        done = self.up(*arguments)
        if done.code:
            raise SystemExit(f"{self.title}: up failed\n{done.err}")
        return done

    def containers(self) -> list[dict[str, Any]]:
        """Return what ``ps -a`` says, in either of the two forms that JSON comes in there."""
        text = self.run("ps", "-a", "--format", "json").out.strip()
        if text.startswith("["):
            found: list[dict[str, Any]] = json.loads(text)
            return found
        return [json.loads(line) for line in text.splitlines()]

    def states(self) -> dict[str, str]:
        return {
            str(one["Name"]).removeprefix(f"{self.name}-"): str(one["State"]) for one in self.containers()
        }

    def ids(self) -> dict[str, str]:
        return {str(one["Name"]): str(one["ID"]) for one in self.containers()}

    def inside(self, service: str, script: str) -> str:
        return self.run("exec", "-T", service, "sh", "-c", script).out.strip()

    def close(self) -> None:
        self.run("down", "-v", "-t", "0", "--remove-orphans")


class DockerCompose(Place):
    title = "docker compose"
    command = ("docker", "compose")


class OnDocker(Place):
    title = "composer on Docker Engine"
    command = (sys.executable, "-m", "composer", "--backend", "docker")


class BuiltIn(Place):
    title = "composer's own runtime"
    command = (sys.executable, "-m", "composer", "--backend", "namespace")


PLACES = (DockerCompose, OnDocker, BuiltIn)


def versions() -> str:
    def first(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    engine = first("docker", "version", "--format", "{{.Server.Version}}")
    return f"docker compose {first('docker', 'compose', 'version', '--short')}, Docker Engine {engine}"
