"""Times as Docker's API has them: RFC 3339 with nanoseconds in answers, Unix seconds or RFC 3339 in questions."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from composer.api.http.problems import Problem
from composer.patterns import pattern
from composer.units import parse_duration_ns

NEVER = "0001-01-01T00:00:00Z"
_UNIX = pattern(r"(\d{1,12})(?:\.(\d{1,18}))?")
_WRITTEN = pattern(
    r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?(Z|[+-]\d\d:\d\d)?", re.ASCII
)


def written(time_ns: int) -> str:
    """Return a time as text, ``2026-01-02T03:04:05.678Z``; Go's zero for 0."""
    if not time_ns:
        return NEVER
    seconds, rest = divmod(time_ns, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{rest:09d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def written_whole(time_ns: int) -> str:
    """Return a time with all nine digits, as log lines have it."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def read(text: str, name: str) -> int | None:
    """Return nanoseconds since 1970; None for an empty text and for 0. Raises Problem."""
    if not text or text == "0":
        return None
    found = _UNIX.fullmatch(text)
    if found:
        fraction = (found[2] or "").ljust(9, "0")[:9]
        return int(found[1]) * 1_000_000_000 + int(fraction)
    written_time = _WRITTEN.fullmatch(text)
    if written_time:
        try:
            return _of_parts(written_time)
        except ValueError:
            raise Problem(400, f"invalid {name}: '{text}' is no time") from None
    try:
        return time.time_ns() - parse_duration_ns(text)
    except ValueError:
        raise Problem(400, f"invalid {name}: '{text}' is no time") from None


def _of_parts(found: re.Match[str]) -> int:
    numbers = [int(found[index] or 0) for index in range(1, 7)]
    zone = found[8] or "Z"
    moment = datetime(*numbers, tzinfo=UTC)  # type: ignore[arg-type,misc]
    seconds = int(moment.timestamp())
    if zone != "Z":
        sign = -1 if zone[0] == "-" else 1
        seconds -= sign * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60)
    return seconds * 1_000_000_000 + int((found[7] or "0").ljust(9, "0")[:9])
