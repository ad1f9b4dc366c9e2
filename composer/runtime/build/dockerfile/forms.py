"""The forms that arguments take: flags, exec form, words with quotes, fields with commas. Nothing is expanded."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from composer.patterns import pattern
from composer.runtime.build.dockerfile.words import BLANKS
from composer.runtime.build.spaces import lstrip, strip

_SEPARATORS = pattern(r"[\t\v\f\r ]+")
_NOT_BLANK = pattern(f"[^{BLANKS}]")
_HEREDOCS = ("ADD", "COPY", "RUN")
_SURROGATE = pattern("[\ud800-\udfff]")


class Token(NamedTuple):
    """A piece of a line. ``offset`` is where it begins."""

    text: str
    offset: int


class Split(NamedTuple):
    """An instruction in its parts: ``flags`` begin with two dashes and have no quotes any more."""

    keyword: Token
    flags: tuple[Token, ...]
    arguments: Token


class NotStrings(ValueError):
    """A JSON array has other elements than strings."""


def split_instruction(line: str, escape: str, offset: int = 0) -> Split:
    """Return the parts of an instruction on one line; offsets count from ``offset`` before its beginning."""
    start = len(line) - len(lstrip(line))
    text = strip(line)
    separator = _SEPARATORS.search(text)
    if separator is None:
        return Split(Token(text, start + offset), (), Token("", start + len(text) + offset))
    keyword = Token(text[: separator.start()], start + offset)
    flags, position = _flags(text, separator.end(), escape)
    rest = text[position:]
    position += len(rest) - len(lstrip(rest))
    moved = tuple(Token(flag.text, flag.offset + start + offset) for flag in flags)
    return Split(keyword, moved, Token(strip(rest), position + start + offset))


def _flags(text: str, position: int, escape: str) -> tuple[list[Token], int]:
    """Return the words from ``position`` on that begin with two dashes, and where they end; ``--`` ends them too."""
    flags: list[Token] = []
    while (found := _NOT_BLANK.search(text, position)) and text.startswith("--", found.start()):
        word, position = _unquoted(text, found.start(), escape)
        if word == "--":
            return flags, position
        flags.append(Token(word, found.start()))
    return flags, found.start() if found else len(text)


def _unquoted(text: str, position: int, escape: str) -> tuple[str, int]:
    """Return a word without quotes and escape characters, and where it ends; a quote may miss its end."""
    special = re.compile(f"[{BLANKS}'\"{re.escape(escape)}]")
    pieces, quote = [], ""
    while match := special.search(text, position):
        pieces.append(text[position : match.start()])
        character, position = match[0], match.end()
        if character == escape:
            pieces.append(text[position : position + 1])
            position += 1
        elif character == quote:
            quote = ""
        elif quote:
            pieces.append(character)
        elif character in "'\"":
            quote = character
        else:
            return "".join(pieces), match.start()
    return "".join((*pieces, text[position:])), len(text)


def takes_heredocs(line: str, escape: str) -> bool:
    """Tell whether ``<<`` in an instruction begins a heredoc."""
    parts = split_instruction(line, escape)
    if parts.keyword.text.upper() == "ONBUILD":
        parts = split_instruction(parts.arguments.text, escape)
    if parts.keyword.text.upper() not in _HEREDOCS:
        return False
    try:
        return exec_form(parts.arguments.text) is None
    except NotStrings:
        return False


def exec_form(text: str) -> tuple[str, ...] | None:
    """Return the arguments of a JSON array of strings, or None where the text is none. Raises NotStrings."""
    text = lstrip(text)
    if not text.startswith("["):
        return None
    try:
        # numbers are none of ours, however long: they are not read
        found = json.loads(text, parse_int=str.__len__, parse_float=str.__len__, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(element, str) for element in found):
        raise NotStrings("JSON array has an element that is no string")
    return tuple(_SURROGATE.sub("\ufffd", element) for element in found)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def blank_separated(text: str, offset: int = 0) -> list[Token]:
    """Return the words between blanks; quotes mean nothing here."""
    if not text:
        return []
    tokens, position = [], 0
    for match in _SEPARATORS.finditer(text):
        tokens.append(Token(text[position : match.start()], position + offset))
        position = match.end()
    return [*tokens, Token(text[position:], position + offset)]


def quoted_words(text: str, escape: str, offset: int = 0) -> list[Token]:
    """Return the words between blanks that no quotes hold; quotes and escape characters are kept."""
    special = re.compile(f"[{BLANKS}'\"{re.escape(escape)}]")
    closing = {"'": re.compile("'"), '"': re.compile(f'["{re.escape(escape)}]')}
    words: list[Token] = []
    start, position = -1, 0
    while position < len(text):
        match = special.search(text, position)
        end = match.start() if match else len(text)
        if end > position and start < 0:
            start = position
        position = end
        if match is None:
            break
        character = match[0]
        if character not in f"'\"{escape}":
            if start >= 0:
                words.append(Token(text[start:position], start + offset))
            start, position = -1, position + 1
            continue
        start = position if start < 0 else start
        position = (
            position + 2 if character == escape else _end_of_quote(text, position, closing[character], escape)
        )
    if start >= 0:
        last = text[start:]
        last = last[:-1] if _ends_escaped(last, escape) else last
        if last:
            words.append(Token(last, start + offset))
    return words


def _end_of_quote(text: str, position: int, closing: re.Pattern[str], escape: str) -> int:
    """Return where a quote ends that begins at ``position``; the end of the text where it has none."""
    position += 1
    while match := closing.search(text, position):
        if match[0] != escape:
            return match.end()
        position = match.end() + 1
    return len(text)


def _ends_escaped(text: str, escape: str) -> bool:
    """Tell whether a text ends with an escape character that has nothing to escape."""
    return (len(text) - len(text.rstrip(escape))) % 2 == 1


def key_values(text: str, escape: str, offset: int = 0) -> tuple[list[tuple[Token, Token | None]], bool]:
    """Return the ``name=value`` of ENV and LABEL, and whether they are in the legacy form ``name value``.

    A value is None where a word has no equals sign, or the legacy form no value.
    """
    words = quoted_words(text, escape, offset)
    if words and "=" not in words[0].text:
        parts = _SEPARATORS.split(text, maxsplit=1)
        name = Token(parts[0], offset)
        if len(parts) < 2:
            return [(name, None)], True
        return [(name, Token(parts[1], offset + len(text) - len(parts[1])))], True
    return [name_value(word) for word in words], False


def name_value(word: Token) -> tuple[Token, Token | None]:
    """Return the name and the value of ``name=value``; None where there is no equals sign."""
    name, equals, value = word.text.partition("=")
    if not equals:
        return word, None
    return Token(name, word.offset), Token(value, word.offset + len(name) + 1)


def comma_separated(text: str) -> list[str]:
    """Return the fields of one line of CSV. Raises ValueError with the reason."""
    fields, position = [], 0
    while True:
        if text.startswith('"', position):
            field, position = _quoted_field(text, position + 1)
        else:
            end = text.find(",", position)
            end = len(text) if end < 0 else end
            field, position = text[position:end], end
            if '"' in field:
                raise ValueError('quote within a field: put the whole field into quotes, as in "source=a,b"')
        fields.append(field)
        if position >= len(text):
            return fields
        position += 1


def _quoted_field(text: str, position: int) -> tuple[str, int]:
    pieces = []
    while True:
        end = text.find('"', position)
        if end < 0:
            raise ValueError("quoted field has no end")
        pieces.append(text[position:end])
        position = end + 1
        if not text.startswith('"', position):
            break
        pieces.append('"')
        position += 1
    if position < len(text) and text[position] != ",":
        raise ValueError("quoted field is followed by more than a comma")
    return "".join(pieces), position
