"""Patterns of paths: Go's filepath.Match, and lists of patterns as .dockerignore has them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.errors import BuildFailed
from composer.runtime.build.context.ignore import Ignore
from composer.runtime.build.context.patterns import BadPattern, Patterns, glob, has_wildcards


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("abc", ["abc"], ["ab", "abcd", "ABC"]),
        ("*", ["", "abc", ".hid"], ["a/b", "/"]),
        ("*c", ["abc", "c"], ["abcd"]),
        ("a*b?c*x", ["abxbbxdbxebxczzx"], ["abxbcxx", "abxbdx"]),
        ("a?", ["ab", "aü"], ["a", "a/", "abc"]),
        ("[ab]x", ["ax", "bx"], ["cx", "x"]),
        ("[^ab]x", ["cx", "-x"], ["ax", "/x"]),
        ("[\\]a]", ["]", "a"], ["\\"]),
        ("[\\-x]", ["-", "x"], ["\\"]),
        ("[!a]", ["!", "a"], ["b"]),
        ("[z-a]", [], ["z", "a", "m"]),
        ("a\\*b", ["a*b"], ["axb", "a\\*b"]),
        ("a.c", ["a.c"], ["abc"]),
        ("(a|b)+$", ["(a|b)+$"], ["a", "ab"]),
        ("**", ["ab"], ["a/b"]),
        ("a\nb", ["a\nb"], ["a b"]),
        ("*b", ["a\nb"], []),
    ],
)
def test_matches_names_as_go_does(pattern: str, matching: list[str], others: list[str]) -> None:
    matches = glob(pattern)
    assert [name for name in matching if not matches(name)] == []
    assert [name for name in others if matches(name)] == []


@pytest.mark.parametrize(
    "pattern", ["[", "a[", "[]", "[]a]", "[a", "[a-", "[a-]", "[a-c-e]", "[-x]", "[^]", "a\\", "[a\\"]
)
def test_a_malformed_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern):
        glob(pattern)
    with pytest.raises(BadPattern):
        Patterns([pattern])


@pytest.mark.parametrize(
    ("text", "has"),
    [("a", False), ("a*", True), ("a\\*", False), ("a\\\\*", True), ("a\\\\\\*", False), ("x[", True)],
)
def test_wildcards_are_found(text: str, has: bool) -> None:
    assert has_wildcards(text) is has


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("a", ["a", "a/b", "a/b/c"], ["b", "b/a", "ab"]),
        ("a/b", ["a/b", "a/b/c"], ["a", "a/bc", "x/a/b"]),
        ("*", ["a", "a/b"], []),
        ("*/*", ["a/b", "a/b/c"], ["a"]),
        ("**", ["a", "a/b"], []),
        ("**/a", ["a", "x/a", "x/y/a", "x/a/y"], ["ba", "x/ba"]),
        ("**a", ["a", "ba", "x/ba"], ["ab", "b"]),
        ("**a?", ["ab", "x/ab"], ["xab"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("a**", ["a", "ab", "ab/c"], ["b", "x/a"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b", "a/b/c"], ["ab", "a/xb", "b"]),
        ("a**b", ["ab", "axy/b", "a/b"], ["acb"]),
        ("**/a/**/b", ["a/b", "x/a/y/b", "x/y/a/b"], ["b", "a", "b/a"]),
        ("**/*.go", ["x.go", "a/x.go", "a/b/.go"], ["xgo", "a/go"]),
        ("**/**/x", ["x", "a/x", "a/b/x"], ["ax"]),
        ("a/./b/../c", ["a/c"], ["a/b"]),
        ("a//b/", ["a/b"], ["a"]),
        (".", [], ["a", "a/b"]),
        ("..", [], ["a"]),
        ("", [], ["a"]),
    ],
)
def test_a_list_of_one(pattern: str, matching: list[str], others: list[str]) -> None:
    patterns = Patterns([pattern])
    assert [path for path in matching if not patterns.descend(path)[0]] == []
    assert [path for path in others if patterns.descend(path)[0]] == []


@pytest.mark.parametrize(
    ("text", "left_out", "kept"),
    [
        ("*\n!keep", ["a", "a/b"], ["keep", "keep/q"]),
        ("d\n!d/y", ["d", "d/x"], ["d/y", "d/y/z"]),
        ("d/*\n!d/y\nd/y/k", ["d/x", "d/y/k"], ["d", "d/y", "d/y/z"]),
        ("!a\na", ["a"], ["b"]),
        ("a\n!a\na", ["a"], []),
        ("a*\n!ab\n!ac\nabc", ["a", "abc"], ["ab", "ac"]),
        ("*\n!**/*.txt", ["a", "d/a.md"], ["x.txt", "d/e/x.txt"]),
        ("/a", ["a"], ["b/a"]),
        ("///a/", ["a", "a/b"], []),
        ("! keep\n", [], ["keep", "a"]),
        ("*\n! keep\n", ["a"], ["keep"]),
        ("#a\n # b\n", ["# b"], ["#a", "a"]),
        ("\ufeffa\n", ["a"], []),
        ("  a\t\r\n\r\nb\r\n", ["a", "b"], []),
        ("!!a\n", [], ["a", "!a"]),
        ("a b\n", ["a b"], ["a", "b"]),
        ("\\!a\n", ["!a"], ["a"]),
        ("\\#a\n", ["#a"], ["a"]),
    ],
)
def test_ignore_files(text: str, left_out: list[str], kept: list[str]) -> None:
    ignore = Ignore.parse(text)
    assert [path for path in left_out if not ignore.excludes(path)] == []
    assert [path for path in kept if ignore.excludes(path)] == []


@pytest.mark.parametrize(
    ("text", "pruned", "entered"),
    [
        ("d", ["d", "d/e"], ["a"]),
        ("*\n!keep/me", ["d", "keep/x", "keepsake"], ["keep"]),
        ("*\n!*/b/c", ["d/a"], ["d", "d/b"]),
        ("*\n!**/x", [], ["d", "d/e/f"]),
        ("*\n!d/**", ["e"], ["d"]),
        ("*\n!a[b]c/x", [], ["abc"]),
        ("**\n!d", ["e", "d2"], []),
    ],
)
def test_what_a_walk_need_not_enter(text: str, pruned: list[str], entered: list[str]) -> None:
    ignore = Ignore.parse(text)
    assert [path for path in pruned if not ignore.prunes(path)] == []
    assert [path for path in entered if ignore.prunes(path)] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n\nb[\n", ".dockerignore:3: invalid pattern 'b[': syntax error in pattern"),
        ("!\n", ".dockerignore:1: invalid pattern '!': illegal exclusion pattern: \"!\""),
        ("a\\", ".dockerignore:1: invalid pattern 'a\\': syntax error in pattern"),
        ("a\n" * 10_001, ".dockerignore:10001: too many patterns (limit: 10000)"),
    ],
)
def test_a_malformed_line_is_named(text: str, message: str) -> None:
    with pytest.raises(BuildFailed) as caught:
        Ignore.parse(text)
    assert str(caught.value) == message


def test_no_pattern_takes_long() -> None:
    """Each of these makes a matcher that goes back and forth try more ways than there are seconds in a year."""
    assert not glob("*a" * 40 + "b")("a" * 255)
    assert not glob("a*" * 40 + "b")("a" * 255)
    assert not Patterns(["**/a/" * 12 + "b"]).step("a/" * 1000 + "c", ())[0]
    assert not Patterns(["**/*a*a*a*a/" * 8 + "b"]).step(("a" * 60 + "/") * 30 + "c", ())[0]
    assert not Patterns(["**/" * 100 + "b", "!**/x"]).step("a/" * 1000 + "c", ())[0]


_COMPONENT = st.text("ab*?", min_size=1, max_size=4) | st.just("**")


@given(
    st.lists(_COMPONENT, min_size=1, max_size=5),
    st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=6),
)
def test_agrees_with_a_plain_expression(components: list[str], names: list[str]) -> None:
    """Compare with a translation that may go back: ``**`` as a component, or no ``**`` at all."""
    components = [one if one == "**" else re.sub(r"\*+", "*", one) for one in components]
    expression = ""
    for number, component in enumerate(components):
        if component == "**":
            expression += ".*" if number == len(components) - 1 else "(?:.*/)?"
        else:
            slash = "/" if number < len(components) - 1 else ""
            expression += component.replace("*", "[^/]*").replace("?", "[^/]") + slash
    path = "/".join(names)
    expected = re.fullmatch(expression, path) is not None
    assert Patterns(["/".join(components)]).step(path, ())[0] is expected


@given(
    st.lists(
        st.sampled_from(["a", "b", "*", "**", "a/b", "a/*", "**/b", "!a", "!a/b", "!**/b", "!b", "!a/*"]),
        max_size=6,
    ),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=4),
)
def test_what_is_pruned_has_nothing_to_keep(lines: list[str], names: list[str]) -> None:
    ignore = Ignore.parse("\n".join(lines))
    path = "/".join(names)
    for end in range(1, len(names)):
        if ignore.prunes("/".join(names[:end])):
            assert ignore.excludes(path)
