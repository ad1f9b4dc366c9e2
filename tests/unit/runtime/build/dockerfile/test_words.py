"""Words: quotes, escapes, and every form of a variable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.runtime.build.dockerfile.words import (
    MAX_DEPTH,
    MAX_LENGTH,
    WordInvalid,
    expand,
    expand_content,
    expand_shown,
    expand_words,
)

VALUES = {
    "name": "web",
    "empty": "",
    "path": "/usr/lib/x.so.1",
    "spaced": " one  two ",
    "lines": "aXb\naYb",
    "star": "a*c*",
    "größe": "10",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$name", "web"),
        ("${name}s", "webs"),
        ("$names", ""),
        ("$größe", "10"),
        ("a$", "a$"),
        ("$.x", "$.x"),
        ("$1st", "st"),
        ("$$name", "name"),
        ("$@x", "x"),
        # quotes and escapes
        ("'$name'", "$name"),
        ('"$name"', "web"),
        ("\"'$name'\"", "'web'"),
        (r"\$name", "$name"),
        (r"\\$name", r"\web"),
        (r'"\$name \" \\ \n"', r'$name " \ \n'),
        (r"'\n'", r"\n"),
        (r"a\ b", "a b"),
        ("end\\", "end"),
        ("'a'\"b\"c", "abc"),
        # defaults and alternatives
        ("${none:-x}", "x"),
        ("${none-x}", "x"),
        ("${empty:-x}", "x"),
        ("${empty-x}", ""),
        ("${name:-x}", "web"),
        ("${none:+x}", ""),
        ("${none+x}", ""),
        ("${empty:+x}", ""),
        ("${empty+x}", "x"),
        ("${name:+x}", "x"),
        ("${name:?gone}", "web"),
        ("${empty?gone}", ""),
        ("${none:-${empty:-${name}}}", "web"),
        ("${none:-'}'}", "}"),
        (r"${none:-\}}", "}"),
        ("${none:-}", ""),
        ("${name}}", "web}"),
        # patterns
        ("${path#*/}", "usr/lib/x.so.1"),
        ("${path##*/}", "x.so.1"),
        ("${path%.*}", "/usr/lib/x.so"),
        ("${path%%.*}", "/usr/lib/x"),
        ("${path#/???}", "/lib/x.so.1"),
        ("${path%no}", "/usr/lib/x.so.1"),
        ("${none#x}", ""),
        (r"${star#a\*}", "c*"),
        ("${star#a*}", "*c*"),
        ("${star##a*}", ""),
        ("${lines#a*b}", "\naYb"),
        ("${lines##a*b}", "\naYb"),
        ("${path/lib/bin}", "/usr/bin/x.so.1"),
        (r"${path/\//:}", ":usr/lib/x.so.1"),
        (r"${path//\//:}", ":usr:lib:x.so.1"),
        ("${path//.*/}", "/usr/lib/x"),
        ("${lines//a*b/Q}", "Q\nQ"),
        ("${lines/a*b/Q}", "Q\naYb"),
        ("${name//?/<$name>}", "<web><web><web>"),
        ("${name//*/x}", "x"),
        ("${name///-}", "-w-e-b-"),
        (r"${name/e/\}}", r"w\}b"),
    ],
)
def test_one_word(text: str, expected: str) -> None:
    assert expand(text, VALUES).text == expected


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("a'b", 1, "single quote has no end"),
        ('ab"c', 2, "double quote has no end"),
        ('"${none:-"}', 9, "double quote has no end"),
        ("a${name", 1, "substitution has no '}'"),
        ("${", 0, "substitution has no '}'"),
        ("a${}", 1, "substitution '${}' is unknown"),
        ("${{name}}", 0, "substitution '${{' is unknown"),
        ("${:-x}", 0, "substitution '${:' is unknown"),
        ("${name:=x}", 0, "substitution '${name:=' is unknown"),
        ("${name:x}", 0, "substitution '${name:x' is unknown"),
        ("${name:#x}", 0, "substitution '${name:#' is unknown"),
        ("${name^}", 0, "substitution '${name^' is unknown"),
        ("${name/x}", 9, "substitution has no '/'"),
        ("${name/x/y", 10, "substitution has no '}'"),
        ("x${none:?not $name}", 1, "variable 'none' is unset: not web"),
        ("${empty:?}", 0, "variable 'empty' is empty"),
        (r"${name#\x}", 0, "pattern '\\x' has a backslash before 'x'"),
    ],
)
def test_what_is_wrong_and_where(text: str, offset: int, message: str) -> None:
    with pytest.raises(WordInvalid) as caught:
        expand(text, VALUES)
    assert str(caught.value).startswith(message)
    assert caught.value.offset == offset


def test_a_backtick_escapes_where_the_file_says_so() -> None:
    assert expand(r"C:\`$name`'", VALUES, "`").text == r"C:\$name'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", ["a", "b"]),
        (" a\t b ", ["a", "b"]),
        ("'a b' \"c d\" e\\ f", ["a b", "c d", "e f"]),
        ('"" a', ["a"]),
        ("x$spaced", ["x", "one", "two"]),
        ("x${spaced}y", ["x", "one", "two", "y"]),
        ('x"$spaced"', ["x one  two "]),
        ("8${none:-0 8}1", ["80", "81"]),
        ("<< EOF cat", ["<< EOF", "cat"]),
        ("$empty", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert list(expand_words(text, VALUES).words) == expected


def test_what_was_used_and_what_was_not_set() -> None:
    found = expand("$name ${none:-$empty} '$quoted' ${other+x}", VALUES)
    assert found.used == {"name", "empty"}
    assert found.unset == {"none", "other"}


def test_contents_of_a_heredoc_keep_their_quotes() -> None:
    assert expand_content('it\'s "$name" \\$name\n', VALUES).text == 'it\'s "web" $name\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("echo '$name' \"$name\" $none ${none:-x}", "echo '$name' \"web\" $none ${none:-x}"),
        ("${none} ${none/a/b} ${path##*/}", "${none} ${none/a/b} x.so.1"),
        ("it's $name", "it's $name"),
    ],
)
def test_what_is_shown_of_a_command(text: str, expected: str) -> None:
    assert expand_shown(text, VALUES) == expected


def test_deep_and_long_results_have_a_limit() -> None:
    deep = "${a:-" * MAX_DEPTH + "}" * MAX_DEPTH
    assert expand(deep, {}).text == ""
    with pytest.raises(WordInvalid, match="nested more than"):
        expand("${a:-" * 100_000, {})
    big = {"a": "x" * (MAX_LENGTH // 2), "b": "y" * 1000}
    with pytest.raises(WordInvalid, match="longer than"):
        expand("$a$a$a", big)
    with pytest.raises(WordInvalid, match="longer than"):
        expand("${a//x/$b}", big)


def test_patterns_with_many_stars_end() -> None:
    value = {"a": "a" * 20_000}
    assert expand("${a%%" + "*a" * 30 + "b}", value).text == value["a"]
    assert expand("${a//" + "a*" * 30 + "b/x}", value).text == value["a"]


_PIECES = st.lists(
    st.sampled_from(
        [
            "a",
            " ",
            "'",
            '"',
            "\\",
            "$",
            "{",
            "}",
            "$name",
            "${name",
            ":",
            "-",
            "+",
            "?",
            "#",
            "%",
            "/",
            "*",
            "<<",
        ]
    ),
    max_size=14,
).map("".join)


@given(_PIECES, st.sampled_from("\\`"))
def test_nothing_but_its_own_error_is_raised(text: str, escape: str) -> None:
    for function in (expand, expand_words):
        try:
            function(text, VALUES, escape)
        except WordInvalid as error:
            assert 0 <= error.offset <= len(text)


@given(st.text(alphabet=st.characters(exclude_characters="$'\"\\<")))
def test_text_without_special_characters_is_itself(text: str) -> None:
    assert expand(text, {}).text == text
