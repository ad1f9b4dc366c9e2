"""Where versions of docker compose differ from what composer does, by the versions in which it is so.

The oracle may be any version from 2.40 on. The recorded verdicts are those of 2.40; what another version makes of a
case belongs here when it is no fault of ours: which versions, which cases, and why.
"""

from __future__ import annotations

import re
from typing import NamedTuple

Version = tuple[int, ...]


class Difference(NamedTuple):
    """What a difference looks like (``case: place: words``), and the versions that have it: from, and below."""

    pattern: str
    since: Version
    before: Version
    why: str


ANY_LATER: Version = (1_000_000,)
DIFFERENCES = (
    Difference(
        r"pre_start", (2, 40), ANY_LATER, "in the specification, and unknown to the versions seen so far"
    ),
)


def is_known(difference: str, version: Version) -> bool:
    """Tell whether a difference is one that this version of docker compose is known for."""
    return any(
        entry.since <= version < entry.before and re.search(entry.pattern, difference)
        for entry in DIFFERENCES
    )
