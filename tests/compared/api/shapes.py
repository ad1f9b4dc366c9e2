"""The shape of a document: its fields and their types, what is null, what is empty. Ids and times are not compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_ID = re.compile(r"(sha256:)?[0-9a-f]{12,64}")
_PORT = re.compile(r"\d+(/(tcp|udp|sctp))?")
_OPEN_ENDED = ("stats", "networks")
"""Fields whose keys are the kernel's: what is in them differs from machine to machine."""


def shape(document: Any) -> dict[str, str]:
    """Return the type of each value by its place; of lists the first entry, in one order, stands for all."""
    return dict(_walk(document, ""))


def _walk(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        yield place or ".", "object" if value else "{}"
        if place.rpartition(".")[2] in _OPEN_ENDED:
            return
        for key in sorted(value):
            name = "ID" if _ID.fullmatch(key) else key
            yield from _walk(value[key], f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        yield place or ".", "list" if value else "[]"
        for entry in sorted(value, key=_order)[:1]:
            yield from _walk(entry, f"{place}[]")
    else:
        yield place or ".", _kind(value)


def _order(entry: Any) -> str:
    """Return what brings lists whose order means nothing into one order."""
    if not isinstance(entry, dict):
        return ""
    return " ".join(str(entry.get(key, "")) for key in ("Type", "Destination", "Name", "PrivatePort", "IP"))


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if value else '""'


def differences(theirs: Any, ours: Any) -> list[tuple[str, str, str]]:
    """Return (place, the engine's, ours) of all that differs; ``-`` is what is not there."""
    left, right = shape(theirs), shape(ours)
    found = []
    for place in sorted(left.keys() | right.keys()):
        one, other = left.get(place, "-"), right.get(place, "-")
        if one != other and not _is_below_a_difference(place, left, right):
            found.append((place, one, other))
    return found


def _is_below_a_difference(place: str, left: dict[str, str], right: dict[str, str]) -> bool:
    """Tell whether something above a place differs already: null, an empty list, or another type."""
    parent = place
    while parent:
        parent = parent[:-2] if parent.endswith("[]") else parent.rpartition(".")[0]
        if parent and left.get(parent) != right.get(parent):
            return True
    return False
