"""JSON and numbers of clients, as Go reads them: Docker's clients and its engine agree on that."""

from __future__ import annotations

import json
from typing import Any

from composer.patterns import pattern

LEAST, MOST = -(1 << 63), (1 << 63) - 1
"""The bounds of Go's numbers."""
_LONE = pattern("[\ud800-\udfff]")
_UNKNOWN = "\ufffd"


def document(data: bytes | str) -> Any:
    """Read JSON. What is no character becomes Unicode's sign for that. Raises ValueError, or RecursionError."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    found = json.loads(text.removeprefix("\ufeff"))
    # an escape can say half of a character, which no file and no process can be told
    return _whole(found) if "\\ud" in text or "\\uD" in text else found


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE.sub(_UNKNOWN, value)
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(one) for key, one in value.items()}
    return value


def number(text: str) -> int:
    """Read a number. Raises ValueError, with what is wrong."""
    if not text.isascii() or len(text) > _MOST_DIGITS or "_" in text:
        raise ValueError("invalid syntax")
    try:
        found = int(text)
    except ValueError:
        raise ValueError("invalid syntax") from None
    if not is_in_range(found):
        raise ValueError("value out of range")
    return found


def digits(text: str, most: int = MOST) -> int:
    """Read a number that is nothing but digits, 0 … ``most``. Raises ValueError, with what is wrong."""
    if not text.isdecimal():
        raise ValueError("invalid syntax")
    found = number(text)
    if found > most:
        raise ValueError("value out of range")
    return found


MOST_PORT = (1 << 16) - 1
_MOST_DIGITS = 30


def is_in_range(found: int) -> bool:
    return LEAST <= found <= MOST
