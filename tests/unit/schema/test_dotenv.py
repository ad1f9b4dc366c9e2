from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.errors import ConfigError
from composer.schema.dotenv import parse_env, parse_raw

OUTER = {"P": "outer"}


def env(text: str) -> dict[str, str]:
    return parse_env(text, ".env", OUTER.get)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1\nexport B=2\nC: 3\nD = 4 ", {"A": "1", "B": "2", "C": "3", "D": "4"}),
        ("A=a #b\nB=a#b\nC=#c", {"A": "a", "B": "a#b", "C": "#c"}),
        ("# x\n\n  # y\nA=1", {"A": "1"}),
        ("A=\nB=''\nC=\"\"", {"A": "", "B": "", "C": ""}),
        ("P\nQ\nA=1", {"P": "outer", "A": "1"}),
        ("A=1\nB=$A-${P}-${N:-n}", {"A": "1", "B": "1-outer-n"}),
        ("P=own\nB=$P", {"P": "own", "B": "outer"}),
        ("A='$P\\n'\nB='it\\'s'", {"A": "$P\\n", "B": "it's"}),
        ('A="a\\nb\\t\\"$P\\$P"', {"A": 'a\nb\t"outer$P'}),
        ("A='x\ny'\nB=\"p\nq\"", {"A": "x\ny", "B": "p\nq"}),
        ('A="x"y\nB=2', {"A": "x", "B": "2"}),
        ("A=a=b=c", {"A": "a=b=c"}),
        ("A.b-c[0]=1\nÉ=2", {"A.b-c[0]": "1", "É": "2"}),
        ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("=1", {"": "1"}),
        ("", {}),
    ],
)
def test_parse(text: str, values: dict[str, str]) -> None:
    assert env(text) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\nB C=2", ".env:2:5: a variable name cannot contain a space"),
        ("A%=1", ".env:1:2: unexpected character '%' in variable name 'A%=1'"),
        ('A=1\nB="x\ny', '.env:2:1: unterminated quoted value "x'),
        ("A=${N?why}", ".env:1:1: required variable 'N' is missing a value: why"),
        ("A=1\n\nB=${", ".env:3:1: invalid interpolation format '${'"),
    ],
)
def test_refused_at_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        env(text)
    assert str(caught.value) == message


def test_values_know_their_line() -> None:
    assert {key: getattr(value, "line", 0) for key, value in env("A=1\nB='x\ny'\nC=3").items()} == {
        "A": 1,
        "B": 2,
        "C": 4,
    }


def test_raw_takes_everything_as_it_stands() -> None:
    text = 'A="q" #c $P\n# no\nP\nQ\nB=a=b\n'
    assert parse_raw(text, ".env", OUTER.get) == {"A": '"q" #c $P', "P": "outer", "B": "a=b"}


@given(st.text(st.characters(blacklist_characters="'\\\r", blacklist_categories=("Cs",))))  # type: ignore[arg-type]
def test_single_quotes_keep_any_text(text: str) -> None:
    assert env(f"A='{text}'") == {"A": text}


@given(st.text(alphabet="AB=:'\"\\ $#\n{}", max_size=60))
def test_any_file_is_read_or_refused(text: str) -> None:
    try:
        env(text)
    except ConfigError as error:
        assert error.at is not None and 1 <= error.at.line <= text.count("\n") + 1
