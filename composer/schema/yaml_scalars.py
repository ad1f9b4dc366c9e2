"""How go-yaml writes a scalar: plain, in one kind of quotes or the other, or as a literal block. And how it sorts keys.

Its encoder decides what a text would be read as, its emitter (libyaml's) what each style can hold. Widths are not
limited, and everything printable is written as it is.
"""

from __future__ import annotations

from functools import cmp_to_key
from typing import TYPE_CHECKING, NamedTuple

from composer.patterns import pattern
from composer.schema.source import resolve_scalar

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_SIMPLE_KEY = 128
_NATURAL_ANYWAY = pattern("[a-z_]*")
_OLD_BOOLS = frozenset(
    word
    for lower in ("y", "yes", "on", "n", "no", "off")
    for word in (lower, lower.capitalize(), lower.upper())
)
_BASE_60 = pattern(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_BREAKS = "\r\n\x85\u2028\u2029"
_BLANKS = " \t" + _BREAKS
_INDICATORS = frozenset("#,[]{}&*!|>'\"%@`")
_SPACE_BREAK = pattern(f" [{_BREAKS}]")
_BREAK_SPACE = pattern(f"[{_BREAKS}] ")
_INDICATED = pattern(f"(?:^[-?:]|:)(?:[{_BLANKS}]|$)|(?:^|[{_BLANKS}])#")
_UNPRINTABLE = pattern("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
_ESCAPES = {
    "\0": "\\0",
    "\x07": "\\a",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\x0b": "\\v",
    "\f": "\\f",
    "\r": "\\r",
    "\x1b": "\\e",
    '"': '\\"',
    "\\": "\\\\",
    "\x85": "\\N",
    "\u2028": "\\L",
    "\u2029": "\\P",
}


class _Possible(NamedTuple):
    """The styles that can hold a text."""

    plain: bool
    single: bool
    block: bool


def _possible(text: str) -> _Possible:
    special = _UNPRINTABLE.search(text) is not None
    space_break = _SPACE_BREAK.search(text) is not None
    outer = bool(text) and (text[0] in " " + _BREAKS or text[-1] in " " + _BREAKS)
    indicated = text.startswith(("---", "...")) or text[:1] in _INDICATORS or bool(_INDICATED.search(text))
    single = not (special or space_break or "\t" in text or _BREAK_SPACE.search(text))
    plain = single and not (outer or indicated or is_multiline(text))
    return _Possible(plain, single, not (special or space_break or text.endswith(" ") or not text))


def is_multiline(text: str) -> bool:
    """Tell whether a text has a line break, of any of the five kinds."""
    return any(char in text for char in _BREAKS)


def is_simple_key(text: str) -> bool:
    """Tell whether a key can stand before its colon; others are written after a question mark."""
    return not is_multiline(text) and len(text.encode(errors="replace")) <= _MAX_SIMPLE_KEY


def scalar(text: str, depth: int, *, key: bool = False) -> str:
    """Return a text as go-yaml writes it ``depth`` levels deep; ``key``: before a colon."""
    possible = _possible(text)
    if "\n" in text:
        return _block(text, depth) if possible.block and not key else _double(text)
    if type(resolve_scalar(text)) is not str or _BASE_60.fullmatch(text) or text in _OLD_BOOLS:
        return _double(text)
    if key and text == "<<":
        return _double(text)  # go-yaml does not, and what it writes is another mapping
    if possible.plain:
        return text
    return "'" + text.replace("'", "''") + "'" if possible.single and "\u2028" not in text else _double(text)


def _double(text: str) -> str:
    # a byte order mark at the beginning has everything after it escaped
    every = text.startswith("\ufeff")
    return f'"{"".join(_escaped(char, every) for char in text)}"'


def _escaped(char: str, every: bool) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if not every and not _UNPRINTABLE.match(char):
        return char
    code = ord(char)
    return f"\\x{code:02X}" if code < 256 else f"\\u{code:04X}" if code < 65536 else f"\\U{code:08X}"


def _block(text: str, depth: int) -> str:
    """Return a text of several lines as a literal block."""
    hint = "2" if text[0] in " " + _BREAKS else ""
    chomp = "" if text[-1] in _BREAKS else "-"
    if not chomp and (len(text) == 1 or text[-2] in _BREAKS):
        chomp = "+"
    pad = "  " * depth
    lines = (text if chomp == "-" else text[:-1]).split("\n")
    return f"|{hint}{chomp}\n" + "\n".join(pad + line if line else "" for line in lines)


def sorted_keys(keys: Iterable[str]) -> list[str]:
    """Return keys that are in order of their characters in go-yaml's: ``a2`` before ``a10``, ``A_B`` before ``AB``.

    Keys in any other order are a struct's, and stay.
    """
    found = list(keys)
    if all(map(_NATURAL_ANYWAY.fullmatch, found)) or found != sorted(found):
        return found
    return sorted(found, key=cmp_to_key(_compare))


def _compare(left: str, right: str) -> int:
    """Compare as go-yaml does: numbers by value; a letter comes after what is none, but before it after a digit."""
    at = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), None)
    if at is None:
        return len(left) - len(right)
    a, b = left[at], right[at]
    if a.isalpha() != b.isalpha():
        in_number = at > 0 and left[at - 1].isdigit()
        return -1 if a.isalpha() == in_number else 1
    if not a.isalpha():
        numbers = _number(left, at, b), _number(right, at, a)
        if numbers[0] != numbers[1]:
            return -1 if numbers[0] < numbers[1] else 1
    return -1 if a < b else 1


def _number(text: str, at: int, other: str) -> tuple[int, str, int]:
    """Return the number that begins at an index, as its length and its digits, and where it ends.

    A zero among digits counts them. Not as an int: Python makes none of thousands of digits.
    """
    end = at
    while end < len(text) and text[end].isdigit():
        end += 1
    start = at
    while start and text[start - 1].isdigit():
        start -= 1
    leading = "0" in (text[at], other) and text[start:at].strip("0") != ""
    found = "".join(str(int(digit)) for digit in text[at:end] if digit.isdecimal())
    number = f"1{found}" if leading else found.lstrip("0")
    return len(number), number, end
