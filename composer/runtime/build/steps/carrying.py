"""Carrying out one step, unless the cache has what it leaves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from composer.runtime.build.steps import looking

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.runtime.build.cache.cache import Snapshot
    from composer.runtime.build.steps.stage import Stage
    from composer.runtime.build.steps.work import Work
    from composer.runtime.build.telling import Showing


class Made(NamedTuple):
    """What a step left: its key, and its files."""

    key: str
    snapshot: Snapshot


def carry_out(
    work: Work, stage: Stage, shown: Showing, key: str, what: str, make: Callable[[], Snapshot]
) -> Made:
    """Return a step's result from the cache, or from ``make``."""
    base = stage.files.key
    with work.cache.carrying_out(key):
        found = None if work.ignores_cache(stage.name) else work.cache.find(key)
        if found is not None:
            work.lease.add([found.snapshot.directory])
            shown.cached()
            return Made(key, found.snapshot)
        if work.request.only_looks:
            raise looking.Unbuilt(looking.reason(work.cache, base, what))
        begun_s = time.monotonic()
        with shown.running():
            snapshot = make()
        work.cache.keep(key, snapshot, what=what, base=base, seconds=time.monotonic() - begun_s)
        work.lease.add([snapshot.directory])
    return Made(key, snapshot)


def advance(stage: Stage, made: Made, created_by: str) -> None:
    """Put a step's files over those of the stage."""
    stage.files = stage.files.over(made.key, made.snapshot)
    stage.note(created_by, created_ns=made.snapshot.created_ns)
