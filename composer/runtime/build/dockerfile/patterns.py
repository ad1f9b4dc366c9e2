"""Patterns of ``${name#pattern}``, ``${name%pattern}`` and ``${name/pattern/text}``: ``*`` and ``?``, within a line.

Matching is linear, whatever the pattern: of the stars between two texts each takes as little as it can and nobody tries
again, for what comes behind fits no better further on. Only the last one decides how long a match is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANY = None
"""What stands for ``*`` in a list of parts."""


def without_prefix(pattern: str, value: str, *, longest: bool) -> str:
    """Return a value without what matches at its beginning. Raises ValueError for a wrong pattern."""
    match = re.compile(_expression(_parts(pattern), longest=longest)).match(value)
    return value[match.end() :] if match else value


def without_suffix(pattern: str, value: str, *, longest: bool) -> str:
    """Return a value without what matches at its end. Raises ValueError for a wrong pattern."""
    backwards = [part and part[::-1] for part in reversed(_parts(pattern))]
    match = re.compile(_expression(backwards, longest=longest)).match(value[::-1])
    return value[: len(value) - match.end()] if match else value


def replaced(pattern: str, value: str, text: str, *, every: bool, limit: int) -> str:
    """Return a value with the first match, or every one, replaced; of several from one place the longest counts.

    Raises ValueError for a wrong pattern, and before the result gets longer than ``limit`` characters.
    """
    done: list[str] = []
    position = size = 0
    for start, end in _matches(_parts(pattern), value):
        done += (value[position:start], text)
        size += start - position + len(text)
        if size > limit:
            raise ValueError(f"replaced text is longer than {limit} characters")
        position = end
        if not every:
            break
    return "".join((*done, value[position:]))


def _matches(parts: list[list[str] | None], value: str) -> Iterator[tuple[int, int]]:
    """Yield the places of all matches from left to right; an empty one right behind another is none."""
    whole = re.compile(_expression(parts, longest=True))
    if _ANY not in parts:
        yield from (match.span() for match in whole.finditer(value))
        return
    first = re.compile(_expression(parts[: parts.index(_ANY)], longest=True))
    position, last = 0, -1
    while position <= len(value) and (found := _leftmost(first, whole, value, position)):
        start, end = found
        if (start, end) != (last, last):
            yield found
        position = last = end
        position += start == end


def _leftmost(
    first: re.Pattern[str], whole: re.Pattern[str], value: str, position: int
) -> tuple[int, int] | None:
    """Return the first match from ``position`` on. Where the rest does not fit once, it does not on this line."""
    while start := first.search(value, position):
        if match := whole.match(value, start.start()):
            return match.span()
        end = value.find("\n", start.end())
        if end < 0:
            return None
        # a text that has an end of line itself may begin before it
        position = max(start.start() + 1, end + 1 - (start.end() - start.start()))
    return None


def _parts(pattern: str) -> list[list[str] | None]:
    """Return texts, as expressions for each of their characters, with ``_ANY`` for each star between them."""
    parts: list[list[str] | None] = [[]]
    characters = iter(pattern)
    for character in characters:
        if character == "*":
            if parts[-1] != [] or len(parts) == 1:
                parts += [_ANY, []]
            continue
        if character == "\\":
            character = next(characters, "")
            if character not in ("*", "?", "\\", "}", "/"):
                raise ValueError(
                    f"pattern '{pattern[:80]}' has a backslash before '{character}': "
                    "it goes before *, ?, a slash, a closing brace or another backslash"
                )
            expression = re.escape(character)
        else:
            expression = "." if character == "?" else re.escape(character)
        last = parts[-1]
        if last is not None:
            last.append(expression)
    return parts


def _expression(parts: list[list[str] | None], *, longest: bool) -> str:
    texts = ["".join(part) for part in parts if part is not None]
    if len(texts) == 1:
        return texts[0]
    middle = "".join(f"(?>.*?{text})" for text in texts[1:-1])
    return f"{texts[0]}{middle}.*{'' if longest else '?'}{texts[-1]}"
