"""A part of many cases for each day: all of them take too long for every run, and in a few days each had its turn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TypeVar

_Case = TypeVar("_Case")


def of_today(cases: Sequence[_Case], every: int) -> Sequence[_Case]:
    """Return one of so many cases: others tomorrow."""
    return cases[int(time.time()) // 86_400 % every :: every]
