"""``current -> releases/1``: the directory that the shell shows is the project's, as with Docker Compose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.console import Console, states

ROOT = Path(__file__).parents[3]
STACK = """
    services:
      web: {image: nginx, volumes: ["data:/data", "./src:/src"], build: {context: ./b}}
    volumes: {data: {}}
"""


def run(directory: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
    return subprocess.run(
        [sys.executable, "-m", "composer", *arguments],
        cwd=directory,
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with two releases, and ``current`` that leads to the first one."""
    for name in ("one", "two"):
        directory = tmp_path / "releases" / name
        (directory / "src").mkdir(parents=True)
        (directory / "sub").mkdir()
        (directory / "compose.yaml").write_text(
            "services: {web: {image: i, volumes: ['./src:/src', '../up:/up']}}"
        )
    (tmp_path / "current").symlink_to("releases/one")
    (tmp_path / "other").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("cwd", "shown", "arguments", "name", "sources"),
    [
        ("current", "current", (), "current", ("current/src", "up")),
        ("current", "current", ("-f", "compose.yaml"), "current", ("current/src", "up")),
        ("current", "current", ("-f", "../current/compose.yaml"), "current", ("current/src", "up")),
        ("current", "current", ("--project-directory", "."), "current", ("current/src", "up")),
        ("current/sub", "current/sub", (), "current", ("current/src", "up")),
        ("current/sub", "current/sub/.", (), "current", ("current/src", "up")),
        ("current/sub", "current/sub/../sub", (), "current", ("current/src", "up")),
        ("other", "other", ("-f", "../current/compose.yaml"), "current", ("current/src", "up")),
        ("other", "other", ("--project-directory", "../current"), "current", ("current/src", "up")),
        # what PWD says is another directory, or none
        ("releases/one", "other", (), "one", ("releases/one/src", "releases/up")),
        ("releases/one", "nowhere", (), "one", ("releases/one/src", "releases/up")),
    ],
)
def test_the_directory_that_the_shell_shows(
    place: Path, cwd: str, shown: str, arguments: tuple[str, ...], name: str, sources: tuple[str, str]
) -> None:
    """The cases are docker compose's answers."""
    result = run(place / cwd, *arguments, "config", "--format", "json", PWD=f"{place}/{shown}")
    assert result.returncode == 0, result.stderr
    model = json.loads(result.stdout)
    assert model["name"] == name
    binds = [mount["source"] for mount in model["services"]["web"]["volumes"]]
    assert binds == [f"{place}/{source}" for source in sources]


def test_a_relative_pwd_says_nothing(place: Path) -> None:
    assert "name: one" in run(place / "releases/one", "config", PWD="current").stdout


def test_dots_behind_a_link_are_not_cut_out_of_the_text(place: Path) -> None:
    """``current/..`` is the directory of the releases; without the two words it would be another one."""
    (place / "releases/compose.yaml").write_text("services: {web: {image: i}}")
    result = run(place / "releases", "config", PWD=f"{place}/current/..")
    assert "name: releases" in result.stdout, result


def test_the_hash_is_the_same_in_the_next_release(place: Path) -> None:
    first = run(place / "current", "config", "--hash", "*", PWD=f"{place}/current").stdout
    (place / "current").unlink()
    (place / "current").symlink_to("releases/two")
    assert run(place / "current", "config", "--hash", "*", PWD=f"{place}/current").stdout == first


def test_a_directory_that_is_gone(place: Path) -> None:
    program = "import os, sys; os.rmdir(os.getcwd()); from composer.__main__ import main; sys.argv[1:] = ['ps']; main()"
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=place / "other",
        env={**os.environ, "PYTHONPATH": str(ROOT), "PWD": f"{place}/other"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr.splitlines()[0]) == (
        1,
        "error: the current directory does not exist anymore",
    )


@pytest.fixture
def linked(console: Console) -> Console:
    """A console in a directory that is reached by a link, where an earlier version made a stack."""
    console.write(STACK)
    assert console("up", "-d").code == 0
    link = console.directory.parent / "current"
    link.symlink_to("app")
    console.directory = link
    return console


def test_the_stack_of_an_earlier_version_is_not_doubled(linked: Console) -> None:
    for verb in (("up", "-d"), ("create",), ("run", "web"), ("scale", "web=2"), ("plan",)):
        result = linked(*verb)
        assert result.code == 1, verb
        assert "this directory already has the project 'app'" in result.err
        assert "-p app" in result.err
    assert states(linked) == {"app-web-1": "running"}
    assert [v.name for v in linked.backend.volumes()] == ["app_data"]


def test_what_only_looks_names_it(linked: Console) -> None:
    result = linked("ps")
    assert result.code == 0
    assert "project 'app'" in result.err
    assert "this directory already has the project 'app'" in linked("down").err
    assert states(linked) == {"app-web-1": "running"}


def test_its_volumes_alone_are_found_too(linked: Console) -> None:
    assert linked("-p", "app", "down").code == 0
    assert "project 'app'" in linked("up", "-d").err
    assert [v.name for v in linked.backend.volumes()] == ["app_data"]


def test_a_name_that_is_given_or_written_is_that(linked: Console) -> None:
    assert linked("-p", "app", "up", "-d").code == 0
    assert linked("-p", "new", "up", "-d").code == 0
    linked.write("name: written\nservices: {web: {image: nginx}}\n")
    assert linked("up", "-d").code == 0


def test_a_stack_of_its_own_is_no_question(linked: Console) -> None:
    assert linked("-p", "current", "up", "-d").code == 0
    result = linked("up", "-d")
    assert (result.code, "physical" in result.err) == (0, False)


def test_a_stack_of_another_directory_with_that_name_is_not_ours(linked: Console, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "current"
    (tmp_path / "elsewhere" / "real" / "app").mkdir(parents=True)
    other.symlink_to("real/app")
    linked.directory = other
    linked.write(STACK)
    assert linked("up", "-d").code == 0
    assert "current-web-1" in {c.name for c in linked.backend.observe("current").containers}
