from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.schema.interpolate import (
    CastError,
    TemplateError,
    substitute,
    to_bool,
    to_float,
    to_int,
    variables_in,
)

VALUES = {"X": "v", "E": "", "D": "$Z", "Z": "z"}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("$X ${X}", "v v"),
        ("$$X $$$X", "$X $v"),
        ("$ $1 $- $(X) a$", "$ $1 $- $(X) a$"),
        ("${E:-d}|${E-d}|${E:+r}|${E+r}", "d|||r"),
        ("${N:-d}|${N-d}|${N:+r}|${N+r}", "d|d||"),
        ("${X:-d}|${X-d}|${X:+r}|${X+r}", "v|v|r|r"),
        ("${N:-${M:-z}}${N:-a}b", "zab"),
        ("${N:-{}}|${N:-a:-b}|${N-:?foo}", "{}|a:-b|:?foo"),
        ("${D} ${N:-$D}", "$Z $Z"),
        ("${E?m}", ""),
        ("${N:-$$X}", "$X"),
    ],
)
def test_substitute(template: str, text: str) -> None:
    assert substitute(template, VALUES.get) == text


@pytest.mark.parametrize(
    "template", ["${", "${}", "${1}", "${X", "${X.y}", "${ X}", "${X:=d}", "${X:}", "${N:-a\nb}"]
)
def test_invalid(template: str) -> None:
    with pytest.raises(TemplateError, match="invalid interpolation"):
        substitute(template, VALUES.get)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("${N?}", "required variable 'N' is missing a value"),
        ("${E:?need $X}", "required variable 'E' is missing a value: need v"),
    ],
)
def test_required(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        substitute(template, VALUES.get)
    assert str(caught.value) == message


def test_what_is_wrong_in_an_operand_is_wrong_though_it_is_not_used() -> None:
    for template in ("${X:-${Y:?e}}", "${X-${}}", "${N:+${Y:?e}}", "${X:?${}}"):
        with pytest.raises(TemplateError):
            substitute(template, VALUES.get)


def test_missing_are_named_once_per_use_without_default() -> None:
    missing: list[str] = []
    substitute("$N ${N} ${M:-d} ${L:+r}", VALUES.get, missing.append)
    assert missing == ["N", "N"]


def test_variables_are_found_in_defaults_too() -> None:
    assert variables_in("$A ${B:-${C:?no}} $$D ${E+$F}") == [
        ("A", "", ""),
        ("B", ":-", "${C:?no}"),
        ("C", ":?", "no"),
        ("E", "+", "$F"),
        ("F", "", ""),
    ]


@given(st.text())
def test_doubled_dollars_come_back(text: str) -> None:
    assert substitute(text.replace("$", "$$"), {}.get) == text  # type: ignore[arg-type]


@given(st.text(alphabet="${}:-+?XYa\n", max_size=40))
def test_any_text_is_replaced_or_refused(text: str) -> None:
    try:
        result = substitute(text, VALUES.get)
    except TemplateError:
        return
    if "$" not in text:
        assert result == text


def test_casts() -> None:
    assert to_int("-07") == -7
    assert to_float("1e3") == 1000.0
    assert [to_bool(word) for word in ("TRUE", "y", "On", "false", "N", "off")] == [True] * 3 + [False] * 3
    for cast, text in ((to_int, "1.0"), (to_int, "9" * 30), (to_float, "x"), (to_bool, "1"), (to_bool, "")):
        with pytest.raises(CastError):
            cast(text)
