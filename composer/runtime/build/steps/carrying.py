"""Carrying out one step, unless the cache has what it leaves."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

from composer.runtime.build.steps import looking

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.runtime.build.cache.cache import Snapshot, Step
    from composer.runtime.build.steps.stage import Stage
    from composer.runtime.build.steps.work import Work
    from composer.runtime.build.telling import Showing


class Made(NamedTuple):
    """What a step left: its key, and its files."""

    key: str
    snapshot: Snapshot


def carry_out(
    work: Work, stage: Stage, shown: Showing, key: str, what: str, make: Callable[[], Made]
) -> Made:
    """Return a step's result from the cache, or from ``make``.

    The key that ``make`` gives is the one that counts: it is another where the user changed the files meanwhile.
    """
    base = stage.files.key
    is_uncached = work.ignores_cache(stage.name)
    # without the cache nothing of another build would be taken: only steps of this one are waited for
    with work.cache.carrying_out(work.own(key) if is_uncached else key):
        found = None if is_uncached and key not in work.made else _found(work, key)
        if found is not None:
            work.lease.add([found.snapshot.directory])
            work.used(key, found.snapshot, what, base, found.seconds)
            shown.cached()
            return Made(key, found.snapshot)
        if work.request.only_looks:
            raise looking.Unbuilt(looking.reason(work.cache, base, what))
        return _made(work, stage, shown, what, make, is_locked=not is_uncached)


def _made(
    work: Work, stage: Stage, shown: Showing, what: str, make: Callable[[], Made], *, is_locked: bool
) -> Made:
    begun_s = time.monotonic()
    with shown.running():
        made = make()
    seconds = time.monotonic() - begun_s
    base = stage.files.key
    # a prune removes a step under its lock: none comes between what is kept and the lease of it
    with nullcontext() if is_locked else work.cache.carrying_out(made.key):
        work.cache.keep(made.key, made.snapshot, what=what, base=base, seconds=seconds)
        work.made.add(made.key)
        work.lease.add([made.snapshot.directory])
    work.used(made.key, made.snapshot, what, base, seconds)
    return made


def _found(work: Work, key: str) -> Step | None:
    """Return a step of the cache, or of a cache elsewhere."""
    found = work.cache.find(key)
    if found is None and not work.request.only_looks and work.imports.bring(key):
        return work.cache.find(key)
    return found


def advance(stage: Stage, made: Made, created_by: str) -> None:
    """Put a step's files over those of the stage."""
    stage.files = stage.files.over(made.key, made.snapshot)
    stage.note(created_by, created_ns=made.snapshot.created_ns)
