"""Messages to bytes and back, and bytes that are none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.api.buildkit import messages
from composer.api.buildkit.protobuf import DATA, FLAG, NUMBER, TEXT, Invalid, Message, by_name, inner, many

PART = Message(name=(1, TEXT), size=(2, NUMBER))
WHOLE = Message(
    number=(1, NUMBER),
    flag=(2, FLAG),
    text=(3, TEXT),
    data=(4, DATA),
    part=(5, inner(PART)),
    parts=(6, many(inner(PART))),
    numbers=(7, many(NUMBER)),
    texts=(16, by_name(TEXT)),
    named=(2000, by_name(inner(PART))),
)
_numbers = st.integers(-(2**63), 2**63 - 1)
_parts = st.fixed_dictionaries({"name": st.text(), "size": _numbers})
_values = st.fixed_dictionaries(
    {
        "number": _numbers,
        "flag": st.booleans(),
        "text": st.text(),
        "data": st.binary(),
        "part": st.none() | _parts,
        "parts": st.lists(_parts, max_size=3),
        "numbers": st.lists(_numbers, max_size=3),
        "texts": st.dictionaries(st.text(), st.text(), max_size=3),
        "named": st.dictionaries(st.text(), _parts, max_size=3),
    }
)


@given(_values)
def test_what_is_written_is_read(value: dict[str, Any]) -> None:
    assert WHOLE.decode(WHOLE.encode(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_invalid(data: bytes) -> None:
    for kind in (WHOLE, messages.SOLVE, messages.PACKET, messages.RETURN):
        try:
            kind.decode(data)
        except Invalid:
            continue


@pytest.mark.parametrize(
    ("value", "data"),
    [
        # from the encoding's own description, and as protoc writes them
        ({"number": 150}, "089601"),
        ({"number": -2}, "08feffffffffffffffff01"),
        ({"text": "testing"}, "1a0774657374696e67"),
        ({"part": {"size": 150}}, "2a03109601"),
        ({"part": {}}, "2a00"),
        ({"texts": {"a": "b"}}, "820106" + "0a0161" + "120162"),
        ({}, ""),
    ],
)
def test_bytes_are_those_of_the_description(value: dict[str, Any], data: str) -> None:
    assert WHOLE.encode(value).hex() == data


def test_numbers_may_come_packed_and_fields_that_nobody_knows_are_skipped() -> None:
    found = WHOLE.decode(bytes.fromhex("3a06038e029ea705" + "f83f01" + "f93f" + "00" * 8 + "fd3f" + "00" * 4))
    assert found["numbers"] == [3, 270, 86942]


@pytest.mark.parametrize("data", ["08", "0880", "1a05aa", "0b", "0f", "1801", "08" + "ff" * 11])
def test_what_breaks_off_is_invalid(data: str) -> None:
    with pytest.raises(Invalid):
        WHOLE.decode(bytes.fromhex(data))


def test_nesting_has_an_end() -> None:
    deep = Message()
    deep.fields = {1: ("more", inner(deep))}
    deep._defaults = {"more": None}
    data = b""
    for _ in range(50):
        data = b"\x0a" + len(data).to_bytes(1, "big") + data
    with pytest.raises(Invalid, match="deep"):
        deep.decode(data)


def test_a_field_that_is_none_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError, match="nothing"):
        WHOLE.encode({"nothing": 1})
