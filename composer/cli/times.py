"""Points in time as people write them, and as tables show them."""

from __future__ import annotations

import time

import click

from composer import dates
from composer.units import parse_duration_ns


def moment(text: str | None, option: str, now_ns: int) -> int | None:
    """Read a point in time: RFC 3339, Unix seconds, or a duration before now. Returns Unix nanoseconds."""
    if not text:
        return None
    try:
        return now_ns - parse_duration_ns(text)
    except ValueError:
        pass  # no duration: then it is a time
    try:
        return int(float(text) * 1_000_000_000)
    except ValueError:
        pass  # nor seconds
    found = dates.parse_ns(text)
    if found is None:
        raise click.BadParameter(
            f"'{text}' must be a time: use 2026-01-02T13:23:37Z, or 42m for 42 minutes ago", param_hint=option
        )
    return found


def age(text: str) -> str:
    """Return how long ago an image was created; ``N/A`` where nothing says so, as with a build without times."""
    found = dates.parse_ns(text) if text else None
    return ago(text) if found is not None and found >= 0 else "N/A"


def ago(text: str) -> str:
    """Return how long ago a date in RFC 3339 was; nothing where there is none."""
    from composer.cli import table

    found = dates.parse_ns(text) if text else None
    return f"{table.duration((time.time_ns() - found) / 1e9)} ago" if found is not None else ""
