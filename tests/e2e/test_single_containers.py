"""Containers, networks and volumes of no project, from a directory without a compose file, on both real backends."""

from __future__ import annotations

import json
import os
import pathlib
import secrets
from collections.abc import Iterator

import pytest

from tests import forked
from tests.integration.contract.conftest import IMAGE, provide_image, root_archive
from tests.integration.namespace.conftest import wait_for

LABEL = "composer-test"


class Place:
    def __init__(self, directory: pathlib.Path, backend: str) -> None:
        self.directory, self.backend, self.mark = directory, backend, f"s{secrets.token_hex(4)}"

    def __call__(self, *arguments: str, code: int = 0) -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
        environment["COMPOSER_ROOT"] = str(self.directory / "state")
        if self.backend == "docker":
            environment["DOCKER_HOST"] = os.environ["COMPOSER_TEST_DOCKER"]
        words = ["--backend", self.backend, *arguments]
        done = forked.run(words, cwd=self.directory, env=environment, timeout=90)
        assert done.returncode == code, f"composer {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run(self, *arguments: str, code: int = 0) -> str:
        return self("container", "run", "-l", f"{LABEL}={self.mark}", *arguments, code=code)

    def names(self) -> list[str]:
        listed = self(
            "container", "ls", "-a", "--filter", f"label={LABEL}={self.mark}", "--format", "{{.Names}}"
        )
        return sorted(listed.split())


@pytest.fixture
def place(backend: str, tmp_path: pathlib.Path) -> Iterator[Place]:
    directory = tmp_path / "empty"
    directory.mkdir()
    made = Place(directory, backend)
    if backend == "docker":
        provide_image(tmp_path)
    else:
        made("image", "import", root_archive(tmp_path), IMAGE, "--env", "PATH=/bin")
    yield made
    for name in made.names():
        made("container", "rm", "-f", "-v", name)
    made("container", "prune", "-f", "--filter", f"label={LABEL}={made.mark}")
    if backend == "namespace":
        assert made("network", "ls", "-q") == "", "the default network goes with the last that was in it"


def test_a_container_of_no_project_has_a_whole_life(place: Place) -> None:
    one, two, net, volume = (f"{place.mark}-{name}" for name in ("one", "two", "net", "volume"))
    place("network", "create", net)
    place("volume", "create", volume)
    try:
        script = "echo started; echo $LEVEL > /data/level; exec sleep 600"
        options = ["--name", one, "--network", net, "-v", f"{volume}:/data", "-e", "LEVEL=high", "-t"]
        id = place.run("-d", *options, IMAGE, "sh", "-c", script).strip()
        assert place.names() == [one]
        wait_for(lambda: "started" in place("container", "logs", one), what="the output")
        assert place("container", "exec", one, "cat", "/data/level") == "high\n"
        (found,) = json.loads(place("container", "inspect", one))
        assert (found["Id"], found["Name"], found["State"]["Status"]) == (id, f"/{one}", "running")
        assert found["NetworkSettings"]["Networks"][net]["IPAddress"]
        assert "sleep 600" in place("container", "top", one)
        place("container", "rename", one, two)
        assert place.names() == [two]
        place("container", "pause", two)
        assert json.loads(place("container", "inspect", two))[0]["State"]["Paused"]
        place("container", "unpause", two)
        place("network", "disconnect", net, two)
        assert net not in json.loads(place("container", "inspect", two))[0]["NetworkSettings"]["Networks"]
        place("network", "connect", net, two)
        place("container", "stop", "-t", "0", two)
        assert place("container", "wait", two) == "137\n"
        place("container", "restart", "-t", "0", two)
        place("container", "rm", two, code=1)
        place("container", "rm", "-f", two)
        assert place.names() == []
    finally:
        for name in place.names():
            place("container", "rm", "-f", name)
        place("network", "rm", net)
        place("volume", "rm", volume)


def test_its_exit_code_is_ours_and_what_is_to_go_goes(place: Place) -> None:
    assert place.run("--rm", IMAGE, "echo", "hello") == "hello\n"
    place.run("--rm", IMAGE, "sh", "-c", "exit 7", code=7)
    place.run("-d", "--rm", IMAGE, "sleep", "0.1")
    wait_for(lambda: place.names() == [], what="the end of what removes itself")


def test_prune_takes_what_does_not_run_and_carries_the_label(place: Place) -> None:
    place.run("-d", "--name", f"{place.mark}-on", IMAGE, "sleep", "600")
    place("container", "create", "-l", f"{LABEL}={place.mark}", "--name", f"{place.mark}-off", IMAGE, "true")
    gone = place("container", "prune", "-f", "--filter", f"label={LABEL}={place.mark}")
    assert gone.startswith("Deleted Containers:")
    assert place.names() == [f"{place.mark}-on"]


@pytest.mark.root
def test_nobodys_run_state_is_apart_from_every_project(tmp_path: pathlib.Path) -> None:
    """The supervisor of containers of no project has a name that no project can have."""
    place = Place(tmp_path, "namespace")
    place("image", "import", root_archive(tmp_path), IMAGE, "--env", "PATH=/bin")
    name = f"{place.mark}-one"
    place.run("-d", "--name", name, IMAGE, "sleep", "600")
    assert os.listdir(tmp_path / "state/run/projects") == ["@nobody"]
    (tmp_path / "compose.yaml").write_text("services: {a: {image: x}}\n")
    place("-p", "@nobody", "config", code=1)
    assert place("ls", "--format", "json").strip() in ("", "[]"), "it is no project"
    place("container", "rm", "-f", name)
    assert not (tmp_path / "state/run/projects/@nobody").exists()
