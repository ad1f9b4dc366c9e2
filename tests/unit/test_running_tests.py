"""How the tests are run: the verdict over parts, which tests a part has, other interpreters, versions of the oracle."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import everything, interpreters
from tests.everything import Result
from tests.oracle import versions


def result(code: int) -> Result:
    return Result("part", code, "1 passed", 1.0)


@pytest.mark.parametrize(
    ("codes", "verdict"),
    [
        ((0, 0), 0),
        ((0, 1), 1),
        ((1, 0), 1),
        ((0, 5), 0),  # nothing to run in one part, as with TESTS=tests/unit
        ((5, 5), 5),
        ((5, 1), 1),
        ((0, -9), 9),
        ((0, 2), 2),
    ],
)
def test_the_worst_part_decides(codes: tuple[int, ...], verdict: int) -> None:
    assert everything.verdict([result(code) for code in codes]) == verdict


def test_every_test_is_in_one_part() -> None:
    assert {part.chosen for part in everything.parts()} == {
        "docker and not beside and not clients",
        "not docker and not beside and not clients",
    }


def interpreter(directory: Path, name: str, says: str) -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    return path


def test_of_each_version_the_newest_finished_one_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {
        "python3.11": "echo 3 11 2 final",
        "python3.12": "echo 3 12 1 final",
        "python3.12b": "echo 3 12 7 final",
        "python3.15": "echo 3 15 0 alpha",
        "python3.10": "echo 3 10 9 final",
        "python3.13": "echo no module named venv >&2; exit 1",
        "python3.14": "",
    }
    paths = {name: interpreter(tmp_path, name, says) for name, says in made.items()}
    monkeypatch.setattr(interpreters, "candidates", lambda: [*paths.values(), tmp_path / "gone"])
    assert interpreters.interpreters() == {(3, 11): paths["python3.11"], (3, 12): paths["python3.12b"]}


def test_a_commit_decides_which_interpreter_it_is_tried_on(tmp_path: Path) -> None:
    found: dict[tuple[int, ...], Path] = {(3, 12): tmp_path / "a", (3, 13): tmp_path / "b"}
    picked = [next(iter(interpreters.chosen(found, commit))) for commit in ("0a", "0b", "0c")]
    assert picked == [(3, 12), (3, 13), (3, 12)]
    assert interpreters.chosen({}, "0a") == {}


def test_interpreters_are_looked_for_in_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = interpreter(tmp_path, "python3.99", "")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert path in interpreters.candidates()


@pytest.mark.parametrize(("version", "known"), [((2, 40, 3), True), ((5, 0, 0), True), ((2, 39, 9), False)])
def test_a_difference_is_known_of_versions(version: tuple[int, ...], known: bool) -> None:
    difference = "job: refused: additional properties 'pre_start' not allowed"
    assert versions.is_known(difference, version) is known
    assert not versions.is_known("job: .services.a.image: missing", version)
