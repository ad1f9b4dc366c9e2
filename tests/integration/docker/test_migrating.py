"""Projects that move: images and volumes from Docker Engine to the built-in runtime, and back."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stack import Stack
from tests.integration.contract.conftest import provide_image

pytestmark = [pytest.mark.docker, pytest.mark.root]

PROJECT = """
name: NAME
services:
  db: {image: IMAGE, command: [sleep, "600"], volumes: [data:/d], stop_signal: SIGKILL}
volumes: {data: {labels: {kept: "yes"}}}
"""
FILL = (
    "cd /d && mkdir -p a/b && echo text > a/f && ln a/f a/g && ln -s f a/l && mkfifo a/p && chown 5:6 a/f"
    " && chmod 4751 a/f && for n in 1 2 3 4 5 6; do dd if=/dev/urandom of=big$n bs=1M count=4 2>/dev/null; done"
    " && chown 70:71 /d && chmod 2700 /d"
)
SUM = (
    'cd /d && find . | sort | while read -r p; do stat -c \'%n %F %a %u %g %h\' "$p"; readlink "$p"; done;'
    " find . -type f | sort | xargs md5sum; find . -type f | sort | xargs stat -c '%n %Y'; true"
)


class Moving(Stack):
    """A project that is on both backends in turn; the state of the built-in runtime is its own."""

    def on(self, backend: str, *arguments: str, code: int = 0) -> str:
        self.backend = backend
        done = self.run(*arguments, code=code)
        return done.stdout + done.stderr

    def contents(self, backend: str) -> str:
        return self.on(backend, "exec", "-T", "db", "sh", "-c", SUM)

    def migration(self, origin: str, *arguments: str) -> dict[str, Any]:
        """Return the command of a migration; no backend is asked for: it goes to the other one."""
        self.backend = "docker"  # whose engine it has to reach
        command = self.command("migrate", "--from", origin, *arguments)
        at = command["args"].index("--backend")
        del command["args"][at : at + 2]
        return command

    def migrate(self, origin: str, *arguments: str, code: int = 0) -> str:
        command = self.migration(origin, *arguments)
        done = subprocess.run(**command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Moving]:
    directory = tmp_path / "project"
    directory.mkdir()
    made = Moving(directory, "docker", f"m{os.urandom(4).hex()}")
    provide_image(tmp_path)
    made.write(PROJECT)
    made.on("docker", "up", "-d")
    made.on("docker", "exec", "-T", "db", "sh", "-c", FILL)
    yield made
    for backend in ("namespace", "docker"):
        made.on(backend, "down", "-v", "-t", "0")


def test_there_and_back_again(project: Moving) -> None:
    before = project.contents("docker")
    assert "4751 5 6 2" in before
    refused = project.migrate("docker", code=1)
    assert f"is used by running containers: {project.name}-db-1" in refused
    project.on("docker", "stop")
    assert f"copy volume {project.name}_data" in project.migrate("docker", "--dry-run")
    told = project.migrate("docker")
    assert f" Volume {project.name}_data Copied" in told
    assert "Remove its containers and networks first: composer --backend docker down" in told
    project.on("namespace", "up", "-d")
    assert project.contents("namespace") == before
    assert "nothing to do" in project.on("namespace", "plan")
    volume = json.loads(project.on("namespace", "volume", "inspect", f"{project.name}_data"))[0]
    assert volume["Labels"]["kept"] == "yes"
    # the source is as it was
    project.on("docker", "start")
    assert project.contents("docker") == before

    # and back, with what was changed there
    project.on("docker", "down", "-v")
    project.on("namespace", "exec", "-T", "db", "sh", "-c", "echo more > /d/more")
    changed = project.contents("namespace")
    project.on("namespace", "stop")
    project.migrate("namespace")
    project.on("docker", "up", "-d")
    assert project.contents("docker") == changed
    assert "nothing to do" in project.on("docker", "plan")


def test_what_is_there_already_is_not_overwritten(project: Moving) -> None:
    project.on("docker", "stop")
    project.on("namespace", "volume", "create", f"{project.name}_data")
    refused = project.migrate("docker", code=1)
    assert "exists on the target already" in refused
    # on the source the same command would remove what is to be copied
    removal = f"composer --backend namespace volume rm {project.name}_data"
    assert removal in refused
    project.on("namespace", "volume", "rm", f"{project.name}_data")
    project.migrate("docker")
    project.migrate("docker")  # again: it is there, and equal
    project.on("docker", "start")
    project.on("docker", "exec", "-T", "db", "sh", "-c", "echo new > /d/new")
    project.on("docker", "stop")
    refused = project.migrate("docker", code=1)
    assert "has changed on the source since then" in refused
    assert removal in refused


def test_one_that_was_killed_goes_on(project: Moving) -> None:
    before = project.contents("docker")
    project.on("docker", "stop")
    dice = random.Random(3)
    for _ in range(6):
        command = project.migration("docker")
        with subprocess.Popen(**command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(dice.uniform(0.1, 0.6))
            process.send_signal(signal.SIGKILL)
    project.migrate("docker")
    project.on("namespace", "up", "-d")
    assert project.contents("namespace") == before


def test_one_that_was_killed_before_the_volume_had_anything_goes_on(project: Moving) -> None:
    """The volume is there, and of its making nothing is known but that it was begun."""
    before = project.contents("docker")
    project.on("docker", "stop")
    project.migrate("docker")
    (record,) = Path(project.command()["env"]["COMPOSER_ROOT"]).glob("migrations/*.json")
    name = f"{project.name}_data"
    begun = json.dumps({name: {"state": "begun", "digest": ""}})
    record.write_text(begun)
    assert "was not copied completely before" in project.migrate("docker", code=1)  # it has files
    project.on("namespace", "volume", "rm", name)
    project.on("namespace", "volume", "create", name)
    record.write_text(begun)
    project.migrate("docker")
    project.on("namespace", "up", "-d")
    assert project.contents("namespace") == before


def test_a_volume_whose_files_are_elsewhere_is_made_again_and_not_read(project: Moving) -> None:
    outside = project.directory / "outside"
    outside.mkdir()
    (outside / "file").write_text("as it is")
    project.on("docker", "down", "-v", "-t", "0")
    options = f"{{type: none, o: bind, device: {outside}}}"
    project.write(PROJECT.replace('labels: {kept: "yes"}', f"driver_opts: {options}"))
    project.on("docker", "up", "-d")
    project.on("docker", "stop")
    project.migrate("docker")
    (outside / "file").write_text("changed meanwhile")
    project.migrate("docker")  # again: nothing of it was copied
    project.on("namespace", "up", "-d")
    assert project.on("namespace", "exec", "-T", "db", "cat", "/d/file") == "changed meanwhile"


def test_a_half_of_it_that_was_used_is_not_thrown_away(project: Moving) -> None:
    project.on("docker", "stop")
    project.migrate("docker")
    (record,) = Path(project.command()["env"]["COMPOSER_ROOT"]).glob("migrations/*.json")
    text = record.read_text().replace('"done"', '"begun"')
    record.write_text(text)
    project.on("namespace", "up", "-d")
    refused = project.migrate("docker", code=1)
    assert f"it is used by {project.name}-db-1" in refused
    project.on("namespace", "down")
    assert "it was created anew since then" in project.migrate("docker", code=1)
