"""Points in time as documents have them: RFC 3339, to the nanosecond, which ``datetime`` does not keep."""

from __future__ import annotations

import time

_SECOND_NS = 1_000_000_000


def parse_ns(text: str) -> int | None:
    """Return the Unix nanoseconds of a time in RFC 3339; None of what is none. Without a zone it is local time."""
    from datetime import datetime

    head, dot, rest = text.partition(".")
    zone = rest.lstrip("0123456789")
    digits = rest[: len(rest) - len(zone)]
    if dot and (not digits or zone.startswith(".")):
        return None
    try:
        seconds = int(datetime.fromisoformat(head + zone).timestamp())
    except (ValueError, OverflowError):  # a year that is there only in some other zone
        return None
    return seconds * _SECOND_NS + int(digits[:9].ljust(9, "0"))


def utc(seconds: float) -> str:
    """Return Unix seconds as RFC 3339 has them, whole, in UTC."""
    moment = time.gmtime(seconds)
    # glibc's %Y has as many digits as a year needs
    return f"{moment.tm_year:04}{time.strftime('-%m-%dT%H:%M:%SZ', moment)}"


def utc_ns(time_ns: int) -> str:
    """Return Unix nanoseconds in the same way, with all nine digits, as Docker writes them."""
    seconds, rest = divmod(time_ns, _SECOND_NS)
    return f"{utc(seconds)[:-1]}.{rest:09d}Z"
