"""Where PyYAML was built without libyaml, its own parser reads the same, with the same places; only slower."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from composer.errors import ComposerError
from composer.schema.load import LoadOptions, load
from composer.schema.render import project_json
from composer.schema.source import _parser
from tests.oracle import compare

CASES = Path(__file__).parents[2] / "cases"
DIFFERENT = {"yaml-question"}
"""A text that ends in a question mark, inside of brackets, needs quotes there."""
SOME = sorted(one.name for one in CASES.iterdir() if compare.compose_files(one))[::12]


@pytest.fixture
def no_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml._yaml", None)
    assert type(_parser("a: b")).__name__ == "PureParser"


@pytest.mark.parametrize("case", [name for name in SOME if name not in DIFFERENT])
def test_a_case_is_read_as_ever(case: str, no_libyaml: None) -> None:
    assert compare.compare(CASES / case) == []


def test_values_and_places_are_those_of_libyaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "services:\n  web: &a\n    image: 'é: 😀'\n    command: >-\n      one\n      two\n"
        "    environment: {A: 1.0, B: ~, C: yes}\n  other: {<<: *a, ports: ['80:80']}\n"
    )
    (tmp_path / "compose.yaml").write_text(text)
    options = LoadOptions(working_dir=str(tmp_path), name="app")

    def read() -> tuple[object, list[object]]:
        project = load(options)
        paths = (("services", "web", "command"), ("services", "other", "ports", 0), ("services", "web"))
        return json.loads(project_json(project.tree)), [project.mark(path) for path in paths]

    fast = read()
    monkeypatch.setitem(sys.modules, "yaml._yaml", None)
    assert read() == fast


def test_a_mistake_has_its_place(tmp_path: Path, no_libyaml: None) -> None:
    (tmp_path / "compose.yaml").write_text("services:\n  web: {image: ]}\n")
    with pytest.raises(ComposerError, match=r"compose\.yaml:2:\d+: cannot read YAML"):
        load(LoadOptions(working_dir=str(tmp_path), name="app"))
