"""What the build cache takes on the disk, and making it smaller: the least recently used goes first.

What a running build uses stays: its lease names it. A step is removed under its lock, so that nobody finds it in the
same moment; its files go when no step has them any more.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from composer.patterns import pattern
from composer.runtime.base import files, locking, state, trees
from composer.runtime.build.cache import fetched, kept
from composer.runtime.build.cache.cache import Cache
from composer.runtime.images import leases
from composer.runtime.objects.housekeeping import tree_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from composer.runtime.build.cache.cache import Step

_EVERY_S = 3600.0
_LEAST_BYTES = 2 << 30
_GIT, _FILE, _CONTEXT = "source.git.checkout", "source.http", "source.local"
"""What BuildKit calls the kinds of what was fetched, and of what clients sent."""


_WRITTEN = pattern(r"\.([0-9]+)\.[0-9a-f]+\.tmp$")
"""A record on its way (`files.write_json`), by which process."""


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
    return [*found, *_mounts(cache), *_fetched(cache), *_contexts(cache)]


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
            found = os.lstat(path)
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


def _fetched(cache: Cache) -> Iterator[Entry]:
    for one in fetched.kept(cache.root):
        kind = _GIT if one.is_git else _FILE
        what = "git repository" if one.is_git else "download"
        yield Entry(one.id, kind, what, one.size_bytes, one.used_ns, one.used_ns, False, one.in_use)


def _contexts(cache: Cache) -> Iterator[Entry]:
    for one in kept.entries(cache.root):
        size = tree_size(one.path)
        what = "local source for context"
        yield Entry(one.id, _CONTEXT, what, size, one.used_ns, one.used_ns, False, kept.is_used(one.path))


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
    if everything and most_bytes is None:
        for name in state.list_directory(f"{cache.root}/times"):
            files.remove_file(f"{cache.root}/times/{name}")
    return gone, freed


def keep_small(cache: Cache, images: str, most_bytes: int | None = None) -> None:
    """Make the cache no larger than ``most_bytes``, at most once an hour; without it, a tenth of its file system."""
    if not os.path.isdir(cache.root):
        return
    stamp = f"{cache.root}/collected"
    with contextlib.suppress(FileNotFoundError):
        if time.time() - os.stat(stamp).st_mtime < _EVERY_S:
            return
    # a full disk is what this is to mend, and the build has its own error
    with contextlib.suppress(OSError), open(stamp, "wb"):
        os.utime(stamp)
    if most_bytes is None:
        found = os.statvfs(cache.root)
        most_bytes = max(_LEAST_BYTES, found.f_blocks * found.f_frsize // 10)
    prune(cache, images, everything=True, most_bytes=most_bytes)


def _remove(cache: Cache, images: str, entry: Entry) -> bool:
    if entry.kind in (_GIT, _FILE):
        return fetched.remove(cache.root, entry.id, is_git=entry.kind == _GIT)
    if entry.kind == _CONTEXT:
        return kept.remove(cache.root, entry.id)
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
    with locking.trying(f"{path}.lock", removes=True) as is_mine:
        if is_mine:
            trees.put_away(path)
        return is_mine


def sweep(cache: Cache, images: str) -> None:
    """Remove what no step has: snapshots that a kill left, or that were made anew, and half written records.

    In this order nothing is missed that is on its way: a snapshot is leased before it has its name, and its step is
    written down before the lease ends.
    """
    names = state.list_directory(f"{cache.root}/snapshots")
    leased = _leased(images)
    known = {step.snapshot.id for step in cache.steps()}
    for name in names:
        id = name.partition(".")[0]
        path = f"{cache.root}/snapshots/{id}"
        if id and id not in known and path not in leased:
            if name == id:
                cache.remove_snapshot(id)
            else:
                files.remove_file(f"{cache.root}/snapshots/{name}")
    for part in ("steps", "snapshots", "times", "downloads/files"):
        for name in state.list_directory(f"{cache.root}/{part}"):
            writer = _WRITTEN.search(name)
            if writer is not None and files.start_time(int(writer[1])) is None:
                files.remove_file(f"{cache.root}/{part}/{name}")
    for part in ("locks", "mounts"):
        for name in state.list_directory(f"{cache.root}/{part}"):
            path = f"{cache.root}/{part}/{name}"
            if part == "locks" or (name.endswith(".lock") and not os.path.lexists(path[:-5])):
                with locking.trying(path, removes=True):
                    pass  # a kill left it


def _leased(images: str) -> set[str]:
    return leases.layers(images)


def _is_locked(path: str) -> bool:
    if not os.path.exists(path):
        return False
    with locking.trying(path) as is_mine:
        return not is_mine
