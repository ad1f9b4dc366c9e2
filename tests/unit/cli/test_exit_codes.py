"""A command that cannot be executed: ``run`` and ``exec`` end with its code, whatever changes a project with 1."""

from __future__ import annotations

import pytest

from composer.backends.memory import Behaviour
from composer.engine.wanted import ExecSpec
from composer.errors import StartFailed
from tests.unit.cli.console import Console

PROJECT = """
    services:
      good: {image: i}
      bad: {image: i, profiles: [broken]}
"""
CODES = pytest.mark.parametrize("code", [126, 127])


@pytest.fixture
def project(console: Console) -> Console:
    console.write(PROJECT)
    return console


def breaks(console: Console, code: int) -> None:
    console.backend.behave("bad", Behaviour(start_error=StartFailed("cannot execute 'x'", code)))


@CODES
def test_what_changes_a_project_ends_with_1(project: Console, code: int) -> None:
    assert project("create", "bad").code == 0
    breaks(project, code)
    for words in ("start bad", "restart bad", "up -d bad", "up -d --wait bad", "up bad", "scale bad=2"):
        result = project(*words.split())
        assert (result.code, "cannot execute 'x'" in result.err) == (1, True), words
    assert project("container", "start", "app-bad-1").code == 1


@CODES
def test_run_ends_with_the_code(project: Console, code: int) -> None:
    breaks(project, code)
    assert project("run", "--rm", "bad").code == code
    assert project("run", "-d", "bad").code == code


@CODES
def test_exec_ends_with_the_code(project: Console, code: int) -> None:
    def fail(_: ExecSpec) -> tuple[int, bytes]:
        raise StartFailed("cannot execute 'x'", code)

    project.backend.behave("good", Behaviour(exec=fail))
    assert project("up", "-d").code == 0
    assert project("exec", "good", "x").code == code
    assert project("container", "exec", "app-good-1", "x").code == code
