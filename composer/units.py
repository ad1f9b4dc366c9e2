"""Durations and sizes as Compose writes them, shared by the loader and the backends.

Go's duration grammar plus ``d`` and ``w``; docker/go-units' binary sizes. Knows nothing of YAML or of files:
callers add the place to the ValueError.
"""

from __future__ import annotations

import re

from composer.patterns import pattern

_DURATION_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
}
_DURATION_PART = pattern(r"(\d+(?:\.\d*)?|\.\d+)([a-zµμ]+)", re.ASCII)
_SIZE = pattern(
    r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?) ?(?:([kmgtp])(?:i?b)?|b)?", re.IGNORECASE | re.ASCII
)
_SIZE_FACTOR = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


def parse_duration_ns(text: str) -> int:
    """Return the nanoseconds of a duration such as ``1m30s``, ``0.5s``, ``1d12h`` or ``0``.

    Raises ValueError with the reason, worded for the end of a sentence.
    """
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    total, position = 0, 0
    for match in _DURATION_PART.finditer(rest):
        if match.start() != position or match[2] not in _DURATION_UNITS_NS:
            break
        total += _nanoseconds(match[1], _DURATION_UNITS_NS[match[2]])
        position = match.end()
    if not rest or position != len(rest):
        raise ValueError(f"invalid duration '{text}': use a number and a unit, such as 30s, 1m30s or 500ms")
    return sign * total


def _nanoseconds(number: str, unit: int) -> int:
    """Return a decimal number of units, cut to whole nanoseconds as Go's time.ParseDuration does."""
    whole, _, fraction = number.partition(".")
    fraction = fraction[:18]  # what more there is Go leaves out: it would not fit into 64 bits
    return int(whole or 0) * unit + int(int(fraction or 0) * (unit / 10 ** len(fraction)))


def format_duration(nanoseconds: int) -> str:
    """Return a duration as Go prints it: ``1m30s``, ``500ms``, ``0s``."""
    if nanoseconds < 0:
        return "-" + format_duration(-nanoseconds)
    if nanoseconds < 1_000_000_000:
        for unit, factor in (("ms", 1_000_000), ("µs", 1_000)):
            if nanoseconds >= factor:
                return f"{_decimal(nanoseconds, factor)}{unit}"
        return f"{nanoseconds}ns" if nanoseconds else "0s"
    minutes, rest_ns = divmod(nanoseconds, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest_ns, 1_000_000_000)}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _decimal(value: int, unit: int) -> str:
    whole, fraction = divmod(value, unit)
    digits = str(fraction).rjust(len(str(unit)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if fraction else str(whole)


def parse_size_bytes(text: str) -> int:
    """Return the bytes of a size such as ``64m``, ``1.5GB``, ``512`` or ``-1``; units are binary.

    Raises ValueError with the reason, worded for the end of a sentence.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(
            f"invalid size '{text}': use a number with a unit (b, k, m, g, t), such as 512m or 1.5g"
        )
    number = float(match[1]) * _SIZE_FACTOR[(match[2] or "").lower()]
    if not -(2.0**63) <= number < 2.0**63:
        raise ValueError(f"size '{text}' is out of range (64 bits)")
    return int(number)


_HUMAN_UNITS = ((1, "hour"), (24, "day"), (24 * 7, "week"), (24 * 30, "month"), (24 * 365, "year"))
"""Hours. A unit counts from two of it on: 47 hours are hours."""


def human_duration(seconds: float) -> str:
    """Return a duration as go-units' HumanDuration: ``About a minute``, ``5 hours``, ``6 years``."""
    if seconds < 1:
        return "Less than a second"
    if 60 <= seconds < 120:
        return "About a minute"
    if seconds < 3600:
        return _counted(int(seconds), "second") if seconds < 60 else _counted(int(seconds / 60), "minute")
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    for unit_h, unit in _HUMAN_UNITS:
        if hours < 2 * unit_h:
            break
        found = _counted(hours // unit_h, unit)
    return found


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}{'s' if count != 1 else ''}"
