"""Heredocs as a line names them: ``<<EOF``, ``<<-EOF``, ``<<"EOF"``, ``3<<EOF``."""

from __future__ import annotations

import re
from typing import NamedTuple

from composer.patterns import pattern
from composer.runtime.build.dockerfile import words

_WORD = pattern(r"\d*<<(-?)[\t\n\f\r ]*([^<]*)")
_LEADING_TABS = pattern(r"^\t+", re.MULTILINE)


class HeredocWord(NamedTuple):
    """A word that names a heredoc. ``chomps``: leading tabs do not count."""

    name: str
    expands: bool
    chomps: bool


def heredoc_word(word: str) -> HeredocWord | None:
    """Return what a word names, or None where it is no heredoc. Raises WordInvalid for quotes that do not end."""
    match = _WORD.fullmatch(word)
    if match is None or not match[2]:
        return None
    plain = words.raw_words(match[2], keep_quotes=False, keep_escapes=False)
    if len(plain) != 1:
        return None
    (name,) = plain
    raw = "".join(words.raw_words(match[2], keep_escapes=False))
    expands = _quotes(name) == _quotes(raw)
    return HeredocWord(name, expands, match[1] == "-")


def heredoc_words(line: str) -> list[HeredocWord]:
    """Return the heredocs that a line names, in order; none where its quotes do not end."""
    if "<<" not in line:
        return []
    try:
        return [found for word in words.raw_words(line) if (found := heredoc_word(word))]
    except words.WordInvalid:
        return []


def without_tabs(content: str) -> str:
    """Return a content without the tabs that its lines begin with."""
    return _LEADING_TABS.sub("", content)


def _quotes(text: str) -> int:
    return text.count("'") + text.count('"')
