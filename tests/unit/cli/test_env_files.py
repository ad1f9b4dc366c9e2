"""The ``.env`` of the working directory and that of the project both count, and options in them as if exported."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.cli.console import Console

SHOWS = "services: {a: {image: i, environment: {A: '${A-}', B: '${B-}', C: '${C-}'}}}"


def values(console: Console, *arguments: str, **environment: Any) -> dict[str, str]:
    result = console(*arguments, "config", "--format", "json", **environment)
    assert result.code == 0, result.err
    found: dict[str, str] = json.loads(result.out)["services"]["a"]["environment"]
    return found


@pytest.fixture
def nested(console: Console) -> Console:
    """A project in ``app/project``, the command called in ``app``."""
    (console.directory / "project").mkdir()
    console.write(SHOWS, "project/compose.yaml")
    console.write("A=here\nB=here\nCOMPOSE_FILE=project/compose.yaml\n", ".env")
    console.write("B=project\nC=project\n", "project/.env")
    return console


def test_the_file_that_is_named_here_brings_its_own(nested: Console) -> None:
    assert values(nested) == {"A": "here", "B": "here", "C": "project"}
    assert values(nested, C="shell") == {"A": "here", "B": "here", "C": "shell"}


def test_one_that_is_exported_does_too(nested: Console) -> None:
    nested.write("A=here\n", ".env")
    found = values(nested, COMPOSE_FILE="project/compose.yaml")
    assert found == {"A": "here", "B": "project", "C": "project"}


def test_with_f_that_of_the_project_alone_counts(nested: Console) -> None:
    assert values(nested, "-f", "project/compose.yaml") == {"A": "", "B": "project", "C": "project"}


def test_an_env_file_that_is_named_stands_for_both(nested: Console) -> None:
    nested.write("A=named\nCOMPOSE_FILE=project/compose.yaml\n", "named.env")
    assert values(nested, "--env-file", "named.env") == {"A": "named", "B": "", "C": ""}


def test_from_a_subdirectory_both_count(console: Console) -> None:
    console.write(SHOWS)
    console.write("A=project\nB=project\n", ".env")
    (console.directory / "below").mkdir()
    console.write("B=here\n", "below/.env")
    console.directory = console.directory / "below"
    assert values(console) == {"A": "project", "B": "here", "C": ""}


@pytest.mark.parametrize("named", [False, True], ids=["default", "named"])
def test_options_in_it_count_as_if_exported(stack: Console, named: bool) -> None:
    file, given = ("opts.env", ("--env-file", "opts.env")) if named else (".env", ())
    stack.write("services: {web: {image: nginx}}")
    stack.write("COMPOSE_REMOVE_ORPHANS=true\nCOMPOSE_PROGRESS=json\n", file)
    result = stack(*given, "up", "-d")
    assert result.code == 0, result.err
    assert sorted(c.name for c in stack.backend.observe("app").containers) == ["app-web-1"]
    assert json.loads(result.err.splitlines()[0])
    plain = stack(*given, "up", "-d", COMPOSE_PROGRESS="plain")
    assert not plain.err.startswith("{")


def test_options_that_are_ignored_in_it(stack: Console) -> None:
    stack.write("services: {web: {image: nginx}}")
    stack.write("COMPOSE_IGNORE_ORPHANS=1\nCOMPOSE_STATUS_STDOUT=1\nCOMPOSE_PARALLEL_LIMIT=2\n", ".env")
    result = stack("up", "-d", "--force-recreate")
    assert "orphan" not in result.err
    assert "Container app-web-1" in result.out, "the progress"


def test_run_takes_a_bare_variable_from_it(stack: Console) -> None:
    stack.write("FROM_FILE=yes\n", ".env")
    assert stack("run", "-d", "-e", "FROM_FILE", "-e", "NOWHERE", "web").code == 0
    (oneoff,) = [c for c in stack.backend.by_id.values() if c.spec.oneoff]
    assert oneoff.spec.attributes["environment"]["FROM_FILE"] == "yes"
    assert "NOWHERE" not in oneoff.spec.attributes["environment"]
