"""Fields, secrets and contents: what a label keeps, and what a difference says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.engine import labels
from composer.engine.observe import contents
from composer.engine.resolving import compare
from composer.errors import ConfigError, Mark
from composer.graph import Dependency
from tests.unit.engine.stage import KEY, Stage


def differences(had: dict[str, object], wants: dict[str, object]) -> list[str] | None:
    return compare.differences(compare.fields_label(had, KEY), wants, KEY, lambda path: Mark("f", 3, 5), ())


@pytest.mark.parametrize(
    ("had", "wants", "sentences"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": "1"}, ['a: 1 → "1" (f:3:5)']),
        ({"a": True}, {"a": 1}, ["a: true → 1 (f:3:5)"]),
        ({"a": None}, {}, []),
        ({"a": {}}, {}, []),
        ({}, {"a": {"b": [1, 2]}}, ['a.b: added [1, 2] (f:3:5)']),
        ({"a": ["x"]}, {"a": ["x", "y"]}, ['a: ["x"] → ["x", "y"] (f:3:5)']),
        ({"p": [{"t": 1}]}, {"p": [{"t": 2}, {"t": 3}]}, ["p[0].t: 1 → 2 (f:3:5)", 'p[1]: added {"t": 3} (f:3:5)']),
        ({"p": [{"t": 1}]}, {}, ['p: removed, was [{"t": 1}]']),
        ({"deploy": {"replicas": 1}}, {"deploy": {"replicas": 2}}, []),
        ({"deploy": {"labels": {"a": "b"}}}, {}, ['deploy.labels: removed, was {"a": "b"}']),
        ({"depends_on": {"a": {}}, "build": {"context": "."}}, {}, []),
        ({"environment": {"API_TOKEN": "one"}}, {"environment": {"API_TOKEN": "two"}}, ["environment.API_TOKEN: changed (f:3:5)"]),  # noqa: E501
        ({"environment": {"X": "1"}}, {"environment": {"X": None}}, ['environment.X: "1" → null (f:3:5)']),
    ],
)  # fmt: skip
def test_a_difference_has_a_name(
    had: dict[str, object], wants: dict[str, object], sentences: list[str]
) -> None:
    assert differences(had, wants) == sentences


@given(st.text(min_size=6), st.sampled_from(["DB_PASSWORD", "SecretKey", "AUTH", "MY_TOKEN"]))
def test_no_secret_is_in_the_label(value: str, name: str) -> None:
    label = compare.fields_label({"environment": {name: f"#{value}#"}}, KEY)
    written = json.dumps(value)[1:-1]
    assert f"#{written}" not in label and f"{written}#" not in label
    assert differences({"environment": {name: value}}, {"environment": {name: value}}) == []


def test_credentials_in_an_address_are_secret() -> None:
    assert "hunter2" not in compare.fields_label({"environment": {"URL": "postgres://me:hunter2@db/x"}}, KEY)


def test_the_digest_depends_on_the_key() -> None:
    assert compare.keyed_digest(b"a", [b"x"]) != compare.keyed_digest(b"b", [b"x"])
    assert compare.keyed_digest(b"a", [b"x", b"y"]) == compare.keyed_digest(b"a", [b"xy"])


@pytest.mark.parametrize("label", ["", "{", "[]", "null", '"x"'])
def test_a_label_of_somebody_else_means_that_nothing_is_known(label: str) -> None:
    assert compare.differences(label, {"a": 1}, KEY, lambda path: None, ()) is None


def test_many_differences_are_cut_short() -> None:
    assert compare.summary(["a", "b", "c", "d", "e"]) == "a; b; c; and 2 more"


SECRET = "services: {web: {image: i, secrets: [pw]}}\nsecrets: {pw: {file: ./pw}}"


def test_contents_of_pipes_and_directories_are_not_read(stage: Stage, tmp_path: Path) -> None:
    os.mkfifo(stage.directory / "pw")
    assert contents(stage.project(SECRET), KEY) == {}
    (stage.directory / "pw").unlink()
    (stage.directory / "pw").mkdir()
    assert contents(stage.project(SECRET), KEY) == {}


def test_a_missing_file_is_told_with_its_place(stage: Stage) -> None:
    with pytest.raises(ConfigError) as caught:
        contents(stage.project(SECRET), KEY)
    assert caught.value.at is not None
    assert (caught.value.at.line, caught.value.hint) == (2, "create the file, or correct its path")


def test_depends_on_label_goes_both_ways() -> None:
    written = labels.write_depends_on(
        [Dependency("a", "service_healthy", restart=True), Dependency("b", implicit=True)]
    )
    assert written == "a:service_healthy:true,b:service_started:false"
    assert labels.read_depends_on({labels.DEPENDS_ON: written}) == (
        ("a", "service_healthy", True),
        ("b", "service_started", False),
    )
    assert labels.read_depends_on({labels.DEPENDS_ON: "old-style"}) == (
        ("old-style", "service_started", False),
    )
    assert labels.read_depends_on({}) == ()


def test_the_name_of_a_replacement() -> None:
    name = labels.replacement_name("0123456789abcdef", "app_web-1")
    assert name == "0123456789ab_app_web-1"
    assert labels.final_name(name) == "app_web-1"
    assert labels.final_name("app_web-1") == "app_web-1"
