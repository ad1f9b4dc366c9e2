"""Clients' regular expressions: they find what Python's own find, and none of them takes long."""

from __future__ import annotations

import random
import re
import time

import pytest

from composer.api.expressions import Expression, Invalid
from composer.api.filters import Filters
from composer.api.http.problems import Problem

_TEXTS = ("", "a", "b", "ab", "ba", "aab", "abc_1", "/web-1", "WEB", "a\nb", "x.y", "[", "12", "aaaa", "é")


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "ab|ba", "^a", "b$", "^$", "a*b", "a+b?", "(ab)+", "(?:a|b){2}", "a{2,}", "a{1,3}b", "[ab]", "[^ab]",
        "[a-c_]+1", r"\d+", r"\w\W", r"\bb", r"a\b", r"\Ba", ".", "a.b", "(?s)a.b", "(?m)^b", "(?i)web", "(?i:w)EB",
        r"x\.y",
        r"\[", r"[\d]", r"[]a]", "[a-]", r"\x61", "a|", "(|a)b", "(?P<n>a)b", "a{", "a{x}", r"\Aa", "^/?web",
        "((a*)*)*b", "é",
        r"[^\w]", "a??b", "(a|b|c)_",
    ],
)  # fmt: skip
def test_it_finds_what_the_other_engine_finds(text: str) -> None:
    expression = Expression(text)
    for one in _TEXTS:
        assert expression.is_in(one) == bool(re.search(text, one, re.ASCII)), one


def test_random_expressions_find_the_same() -> None:
    dice = random.Random(5)
    compared = 0
    while compared < 2000:
        text = "".join(
            dice.choice(["a", "b", "(", ")", "|", "*", "+", "?", "[ab]", "^", "$", ".", "{1,2}"])
            for _ in range(7)
        )
        try:
            theirs, ours = re.compile(text), Expression(text)
        except (re.error, Invalid):
            continue
        compared += 1
        for one in ("", "a", "b", "ab", "bba", "aaabbb"):
            assert ours.is_in(one) == bool(theirs.search(one)), (text, one)


@pytest.mark.parametrize(
    ("text", "found"), [("[[:alpha:]]+1", "a1"), ("[[:^digit:]]", "a"), (r"\Qa.b\E", "a.b"), (r"a\z", "ba")]
)
def test_words_of_the_other_language(text: str, found: str) -> None:
    assert Expression(text).is_in(found) and not Expression(text).is_in("0")


@pytest.mark.parametrize(
    "text", ["(", ")", "[", "a**b**", "*", "a{1001}", "(?=a)", "(?<=a)", r"\1", "(?P=n)", "[b-a]",
    "(" * 200 + ")" * 200, "\\"]
)  # fmt: skip
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Expression(text)


@pytest.mark.parametrize("text", ["(a{1000}){1000}", "((a{100}){100}){100}", "a{1000}" * 500])
def test_it_is_refused_before_it_is_large(text: str) -> None:
    began_s = time.process_time()
    with pytest.raises(Invalid):
        Expression(text)
    assert time.process_time() - began_s < 1


@pytest.mark.parametrize(
    "text",
    [
        "(a+)+$",
        "(a|a)*b",
        "(.*)*x",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "(x+x+)+y",
        "(a*)*(a*)*(a*)*b",
        ".{0,100}.{0,100}!",
    ],
)
def test_none_takes_long(text: str) -> None:
    expression = Expression(text)
    began_s = time.process_time()
    for count in range(20):
        assert not expression.is_in("a" * 230 + f"{count:02} ")
    assert time.process_time() - began_s < 5


def test_a_name_is_looked_for_as_docker_does() -> None:
    names = ("web-1", "/web-1")
    for text, fits in (("web", True), ("^web-1$", True), ("^/web", True), ("^eb", False), ("(a+)+$", False)):
        assert Filters({"name": (text,)}).fits_name("name", names) is fits
    assert Filters({"name": ("[x", "web")}).fits_name("name", names)
    with pytest.raises(Problem, match="too large"):
        Filters({"name": tuple(f"(a{{900}}|x{number})" for number in range(20))}).fits_name("name", names)
