"""The report of ``docker buildx build --call=check,format=json``: findings, and why nothing can be built."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

_BY_DIRECTIVE = "lint violation found"


class Checked(NamedTuple):
    """``findings`` are lines ``FILE:LINE: RULE: DETAIL``. ``error`` is what keeps the Dockerfile from being built."""

    findings: list[str]
    error: str


def read(text: str) -> Checked:
    """Raises ValueError where the text is no such report."""
    try:
        return _checked(json.loads(text))
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"it is not as expected: {error!r}") from error


def _checked(found: dict[str, Any]) -> Checked:
    sources = found.get("sources") or ()
    findings = [
        f"{_place(sources, one.get('location'))}{one.get('ruleName')}: {one.get('detail')}"
        for one in found.get("warnings") or ()
    ]
    error = found.get("buildError") or {}
    message = str(error.get("message") or "")
    if message.startswith(_BY_DIRECTIVE):
        message = ""  # check=error=true: a check shows the findings either way
    return Checked(findings, f"{_place(sources, error.get('location'))}{message}" if message else "")


def _place(sources: Any, location: Any) -> str:
    """Return ``FILE:LINE: ``, or nothing where there is no line."""
    location = location or {}
    ranges, index = location.get("ranges") or (), location.get("sourceIndex") or 0
    if not ranges or index >= len(sources):
        return ""
    return f"{sources[index].get('filename')}:{ranges[0]['start']['line']}: "
