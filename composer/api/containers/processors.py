"""Which processors a container may be given: those that this machine has."""

from __future__ import annotations

import pathlib

from composer.api.http.problems import Problem

_ONLINE = pathlib.Path("/sys/devices/system/cpu/online")


def check(wanted: str) -> None:
    """Refuse processors that are not there: the start would fail. Raises Problem."""
    if not wanted:
        return
    available = _ONLINE.read_text().strip()
    if not numbers_of(wanted) <= numbers_of(available):
        raise Problem(400, f"Requested CPUs are not available - requested {wanted}, available: {available}")


def numbers_of(text: str) -> set[int]:
    """Read ``0-2,4``. Raises Problem."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        numbers = (first, last if dash else first)
        if not all(number.isdecimal() and len(number) < 6 for number in numbers):
            raise Problem(400, f"Invalid value {text} for cpuset cpus")
        found.update(range(int(numbers[0]), int(numbers[1]) + 1))
    return found
