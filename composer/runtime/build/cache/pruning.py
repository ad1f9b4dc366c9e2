"""What the build cache takes on the disk, and making it smaller: the least recently used goes first.

What a running build uses stays: its lease names it. A step is removed under its lock, so that nobody finds it in the
same moment; its files go when no step has them any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from composer.runtime.base import files, state, trees
from composer.runtime.build.cache.cache import Cache
from composer.runtime.images import leases
from composer.runtime.objects.housekeeping import tree_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from composer.runtime.build.cache.cache import Step

_EVERY_S = 3600.0
_LEAST_BYTES = 2 << 30
_BUSY_S = 60.0
"""A snapshot is made, and then its step is written down: what is younger than this may be on its way."""


class Entry(NamedTuple):
    """A step, or the directory of a cache mount. ``shared``: an image has the same files, which would stay."""

    id: str
    kind: str
    what: str
    size_bytes: int
    created_ns: int
    used_ns: int
    shared: bool
    in_use: bool


def entries(cache: Cache, images: str) -> list[Entry]:
    """Return everything in the cache. ``images`` is the directory of the image store."""
    leased = _leased(images)
    found = [_entry(cache, step, leased) for step in cache.steps()]
    return [*found, *_mounts(cache)]


def entries_of(root: str) -> list[Entry]:
    """Return everything in the build cache of a state directory."""
    return entries(Cache(f"{root}/build"), f"{root}/images")


def _entry(cache: Cache, step: Step, leased: set[str]) -> Entry:
    directory = step.snapshot.directory
    return Entry(
        step.key,
        "regular",
        step.what,
        _size_of(cache, step),
        step.snapshot.created_ns,
        step.used_ns,
        os.path.islink(directory),
        directory in leased,
    )


def _size_of(cache: Cache, step: Step) -> int:
    """Return what a step's files take on the disk; counted once, for they do not change."""
    facts = cache.facts(step.snapshot.id)
    if not isinstance(facts.get("size_bytes"), int):
        facts["size_bytes"] = tree_size(os.path.realpath(step.snapshot.directory))
        with contextlib.suppress(FileNotFoundError):
            cache.write_facts(step.snapshot.id, facts)
    return int(facts["size_bytes"])


def _mounts(cache: Cache) -> Iterator[Entry]:
    for name in state.list_directory(f"{cache.root}/mounts"):
        path = f"{cache.root}/mounts/{name}"
        if name.endswith(".lock"):
            continue
        try:
            found = os.stat(path)
        except FileNotFoundError:
            continue
        yield Entry(
            name,
            "exec.cachemount",
            "cache mount",
            tree_size(path),
            found.st_ctime_ns,
            found.st_mtime_ns,
            False,
            _is_locked(f"{path}.lock"),
        )


def prune(
    cache: Cache,
    images: str,
    *,
    everything: bool = False,
    most_bytes: int | None = None,
    unused_for_s: float = 0.0,
    wanted: Callable[[Entry], bool] = lambda entry: True,
) -> tuple[list[str], int]:
    """Remove what nothing uses, the least recently used first; return the ids that are gone, and the bytes freed.

    Without ``everything``, what images share and the directories of cache mounts stay. With ``most_bytes`` it ends as
    soon as the cache is no larger than that.
    """
    found = entries(cache, images)
    total = sum(entry.size_bytes for entry in found if not entry.shared)
    latest_ns = time.time_ns() - int(unused_for_s * 1e9)
    gone: list[str] = []
    freed = 0
    for entry in sorted(found, key=lambda entry: entry.used_ns):
        if most_bytes is not None and total - freed <= most_bytes:
            break
        is_kept = not everything and (entry.shared or entry.kind != "regular")
        if entry.in_use or is_kept or entry.used_ns > latest_ns or not wanted(entry):
            continue
        if _remove(cache, images, entry):
            gone.append(entry.id)
            freed += 0 if entry.shared else entry.size_bytes
    sweep(cache, images)
    return gone, freed


def keep_small(cache: Cache, images: str, most_bytes: int | None = None) -> None:
    """Make the cache no larger than ``most_bytes``, at most once an hour; without it, a tenth of its file system."""
    stamp = f"{cache.root}/collected"
    with contextlib.suppress(FileNotFoundError):
        if time.time() - os.stat(stamp).st_mtime < _EVERY_S:
            return
    with open(stamp, "wb"):
        os.utime(stamp)
    if most_bytes is None:
        found = os.statvfs(cache.root)
        most_bytes = max(_LEAST_BYTES, found.f_blocks * found.f_frsize // 10)
    prune(cache, images, everything=True, most_bytes=most_bytes)


def _remove(cache: Cache, images: str, entry: Entry) -> bool:
    if entry.kind != "regular":
        return _remove_mount(f"{cache.root}/mounts/{entry.id}")
    with cache.trying(entry.id) as is_mine:
        if not is_mine:
            return False
        step = cache.peek(entry.id)
        if step is None or step.snapshot.directory in _leased(images):
            return False
        cache.forget(entry.id)
        cache.remove_snapshot(step.snapshot.id)
        return True


def _remove_mount(path: str) -> bool:
    fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        trees.put_away(path)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def sweep(cache: Cache, images: str) -> None:
    """Remove snapshots that no step has: what a kill left between the two, or what was built anew."""
    known = {step.snapshot.id for step in cache.steps()}
    leased = _leased(images)
    for name in state.list_directory(f"{cache.root}/snapshots"):
        id = name.removesuffix(".json")
        path = f"{cache.root}/snapshots/{id}"
        if id in known or path in leased or _age_s(path) < _BUSY_S:
            continue
        if name.endswith(".json") and not os.path.lexists(path):
            files.remove_file(f"{path}.json")
        elif not name.endswith(".json"):
            cache.remove_snapshot(id)


def _age_s(path: str) -> float:
    try:
        return time.time() - os.lstat(path).st_ctime
    except FileNotFoundError:
        return _BUSY_S


def _leased(images: str) -> set[str]:
    return leases.layers(images)


def _is_locked(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
