from __future__ import annotations

from typing import Any

import pytest

from composer.schema.problems import Problems
from composer.schema.source import Timestamp, parse, remove_paths, resolve_scalar
from composer.schema.tree import find, mark_at, plain


def tree_of(text: str) -> Any:
    problems = Problems()
    documents = parse(text, "f.yaml", problems)
    assert not problems.errors, problems.errors
    return documents[0].tree


def messages(text: str) -> list[str]:
    problems = Problems()
    parse(text, "f.yaml", problems)
    return [str(error) for error in problems.errors]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:22", "22:22"),
        ("190:20:30", "190:20:30"),
        ("yes", "yes"),
        ("off", "off"),
        ("=", "="),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("1e3", 1000.0),
        ("08", 8.0),
        ("010", 8),
        ("0o17", 15),
        ("0x1F", 31),
        ("-0b11", -3),
        ("+5", 5),
        ("1_000", 1000),
        (".5", 0.5),
        ("1.", 1.0),
        ("-", "-"),
        ("+", "+"),
        (".", "."),
        ("1.2.3", "1.2.3"),
        ("0x", "0x"),
        ("18446744073709551616", 18446744073709551616.0),
        ("9" * 5000, "9" * 5000),
        ("1e400", "1e400"),
    ],
)
def test_scalar(text: str, value: Any) -> None:
    resolved = resolve_scalar(text)
    assert resolved == value
    assert type(resolved) is type(value)


def test_dates_are_told_apart() -> None:
    assert type(resolve_scalar("2020-01-01")) is Timestamp
    assert type(resolve_scalar("2020-01-01T10:00:00Z")) is Timestamp
    assert type(resolve_scalar("2020-01")) is str


def test_every_child_has_its_place() -> None:
    tree = tree_of("services:\n  web:\n    ports:\n      - '80'\n      - '81'\n")
    assert str(mark_at(tree, ("services", "web", "ports", 1))) == "f.yaml:5:9"
    assert str(mark_at(tree, ("services", "web", "ports"), key=True)) == "f.yaml:3:5"


def test_merge_keys_keep_the_place_of_the_value() -> None:
    tree = tree_of("x-a: &a {k: v}\nb: {<<: *a, l: w}\n")
    assert plain(tree["b"]) == {"l": "w", "k": "v"}
    assert str(mark_at(tree, ("b", "k"))) == "f.yaml:1:13"


def test_own_keys_win_over_merged_and_earlier_sources_over_later() -> None:
    tree = tree_of("a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b], y: 9}\n")
    assert plain(tree["c"]) == {"y": 9, "x": 1, "z": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: duplicate key 'a', already defined at line 1"),
        ("1: x\n", "f.yaml:1:1: key '1' must be a string"),
        ("a: *b\n", "f.yaml:1:4: unknown anchor 'b'"),
        ("a: &a [*a]\n", "f.yaml:1:8: anchor '&a' contains itself"),
        ("a: {<<: x}\n", "f.yaml:1:5: '<<' must be a mapping or a list of mappings"),
        ("a: !!int x\n", "f.yaml:1:4: cannot read 'x' as !!int"),
    ],
)
def test_refused(text: str, message: str) -> None:
    assert messages(text) == [message]


def test_what_came_before_an_error_is_returned() -> None:
    problems = Problems()
    documents = parse("a: 1\n---\nb: [\n", "f.yaml", problems)
    assert [plain(document.tree) for document in documents] == [{"a": 1}]
    assert len(problems.errors) == 1


def test_reset_and_override_leave_paths() -> None:
    (document,) = parse("a: {b: !reset 1, c: !override {d: 2}, e: [!reset x, y]}", "f", Problems())
    assert plain(document.tree) == {"a": {"c": {"d": 2}, "e": ["y"]}}
    assert document.resets == (("a", "b"), ("a", "c"))
    below = tree_of("a: {b: 1, c: {x: 1}, f: 3}")
    assert plain(remove_paths(below, document.resets)) == {"a": {"f": 3}}
    assert find(below, ("a", "b")) == 1, "the tree that was passed in is not changed"
