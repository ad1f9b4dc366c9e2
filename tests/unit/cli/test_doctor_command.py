"""``composer doctor``: the table, the choice of a backend and the exit code, with findings that a test makes up."""

from __future__ import annotations

import json
import types

import pytest

from composer import backends
from composer.engine.backend import Finding
from tests.unit.cli.console import Console

GOOD = [Finding("ok", "kernel", "Linux"), Finding("warning", "DNS", "none", "add one")]
BAD = [Finding("missing", "engine", "no engine answers", "start it")]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Finding]]:
    """What each backend finds; a test changes it."""
    found = {"namespace": GOOD, "docker": BAD}

    def module(name: str) -> types.ModuleType:
        made = types.ModuleType(f"made_{name}")
        made.diagnose = lambda environment: found[name]  # type: ignore[attr-defined]
        return made

    for name in found:
        monkeypatch.setitem(__import__("sys").modules, f"made_{name}", module(name))
        monkeypatch.setitem(backends.MODULES, name, f"made_{name}")
    return found


def test_the_first_that_works_is_chosen(console: Console, machine: dict[str, list[Finding]]) -> None:
    result = console("doctor")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "The built-in runtime ('namespace') works"
    assert lines[2:4] == ["  ! DNS     none", "            hint: add one"]
    assert "Docker Engine ('docker') does not work here" in lines
    assert lines[-1] == "New projects use the built-in runtime: it works here."


def test_docker_is_chosen_where_the_runtime_does_not_work(
    console: Console, machine: dict[str, list[Finding]]
) -> None:
    machine.update(namespace=BAD, docker=GOOD)
    found = json.loads(console("doctor", "--json").out)
    assert found["backend"] == "docker"
    assert found["reason"] == "it works here, and the built-in runtime does not"
    assert found["backends"]["namespace"] == {
        "works": False,
        "findings": [
            {"level": "missing", "subject": "engine", "text": "no engine answers", "hint": "start it"}
        ],
    }


def test_none_works(console: Console, machine: dict[str, list[Finding]]) -> None:
    machine.update(namespace=BAD)
    result = console("doctor")
    assert result.code == 1
    assert result.out.splitlines()[-1].startswith("No backend: none works here")


@pytest.mark.parametrize("arguments", [("--backend", "docker", "doctor"), ("doctor",)])
def test_what_was_asked_for_does_not_work(
    console: Console, machine: dict[str, list[Finding]], arguments: tuple[str, ...]
) -> None:
    """The one that works is not taken in its place: `up` would not take it either."""
    result = console(*arguments, COMPOSER_BACKEND="docker")
    assert result.code == 1
    assert "says 'docker', which does not work here" in result.out
