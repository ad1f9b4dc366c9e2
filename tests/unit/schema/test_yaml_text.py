"""How ``config`` writes YAML: as go-yaml does, which was asked for each row."""

from __future__ import annotations

import pytest

from composer.schema.render import to_yaml
from composer.schema.yaml_scalars import sorted_keys


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("=", "="),
        ("<<", "<<"),
        ("1.5", '"1.5"'),
        ("yes", '"yes"'),
        ("12:30", '"12:30"'),
        (" a", "' a'"),
        ("a: b", "'a: b'"),
        ("a #b", "'a #b'"),
        ("it's", "it's"),
        ("[x", "'[x'"),
        ("-x", "-x"),
        ("- x", "'- x'"),
        ("a\tb", '"a\\tb"'),
        ("caf\u00e9", "caf\u00e9"),
        ("\u00a0x", "\u00a0x"),
        ("\U0001f600", '"\\U0001F600"'),
        ("\ufeff-", '"\\uFEFF\\x2D"'),
        ("\x85", '"\\N"'),
        ("a\nb", "|-\n    a\n    b"),
        ("a\nb\n", "|\n    a\n    b"),
        ("a\n\n", "|+\n    a\n"),
        (" a\nb", "|2-\n     a\n    b"),
        ("\na", "|2-\n\n    a"),
        ("a \nb", '"a \\nb"'),
        ("a\n b", "|-\n    a\n     b"),
        (1e20, "1e+20"),
        (1000000.0, "1e+06"),
        (0.00001, "1e-05"),
        (1.5, "1.5"),
        ({}, "{}"),
        ([["a", []], {}], "\n    - - a\n      - []\n    - {}"),
    ],
)
def test_values(value: object, text: str) -> None:
    written = to_yaml({"x-a": {"k": value}})
    assert written == f"x-a:\n  k:{'' if text.startswith(chr(10)) else ' '}{text}\n"


def test_long_keys_and_keys_of_several_lines_stand_after_a_question_mark() -> None:
    assert to_yaml({"x-a": {"k\nl": "v"}}) == "x-a:\n  ? |-\n    k\n    l\n  : v\n"
    assert to_yaml({"x-a": {"k" * 129: "v"}}) == f"x-a:\n  ? {'k' * 129}\n  : v\n"


def test_fields_that_are_all_zero_leave_an_empty_mapping() -> None:
    service = {"deploy": {"resources": {}, "placement": {}}, "ulimits": {"a": {}}}  # type: ignore[var-annotated]
    written = to_yaml({"services": {"a": service}})
    assert written == (
        "services:\n  a:\n    deploy: {}\n    ulimits:\n      a:\n        soft: 0\n        hard: 0\n"
    )


def test_keys_stand_in_natural_order() -> None:
    keys = ["web", "web10", "web2", "A_B", "AB", "A10", "A2", "a-b", "01", "1"]
    assert sorted_keys(sorted(keys)) == ["1", "01", "A_B", "A2", "A10", "AB", "a-b", "web", "web2", "web10"]
    assert sorted_keys(["image", "build"]) == ["image", "build"]


def test_keys_with_thousands_of_digits_are_sorted_too() -> None:
    long = [f"a{digit}{'0' * 5000}" for digit in "129"]
    assert sorted_keys([*long, "a3"]) == [*long, "a3"]  # in a struct's order: they stay
    assert sorted_keys(sorted([*long, "a3"])) == ["a3", *long]
