"""Which processors and memory nodes a container may be given: those that this machine has."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from composer.api.http import reading
from composer.api.http.problems import Problem

if TYPE_CHECKING:
    from composer.api.models import containers as models

_PROCESSORS = pathlib.Path("/sys/devices/system/cpu/online")
_NODES = pathlib.Path("/sys/devices/system/node/online")
_MOST = 99_999
"""More than any machine has of them; a range up to it is made here."""


def check(asked: models.Resources) -> None:
    """Refuse processors and memory nodes that are not there: the start would fail. Raises Problem."""
    for wanted, place, field, what in (
        (asked.CpusetCpus, _PROCESSORS, "cpuset cpus", "CPUs"),
        (asked.CpusetMems, _NODES, "cpuset mems", "memory nodes"),
    ):
        if wanted:
            available = _read(place)
            if not numbers_of(wanted, field) <= numbers_of(available, field):
                raise Problem(
                    400, f"Requested {what} are not available - requested {wanted}, available: {available}"
                )


def _read(place: pathlib.Path) -> str:
    try:
        return place.read_text().strip()
    except FileNotFoundError:
        return "0"  # the kernel knows of no parts of the machine: then there is one


def numbers_of(text: str, field: str) -> set[int]:
    """Read ``0-2,4``. Raises Problem."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            numbers = [reading.digits(one, _MOST) for one in ((first, last) if dash else (first,))]
        except ValueError:
            numbers = []
        if not numbers or numbers[-1] < numbers[0]:
            raise Problem(400, f"Invalid value {text[:100]} for {field}")
        found.update(range(numbers[0], numbers[-1] + 1))
    return found
