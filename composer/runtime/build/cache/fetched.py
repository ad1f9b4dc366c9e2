"""What builds fetched from elsewhere and keep: files of URLs, and repositories of git remotes; counted, and removed.

    <root>/build/downloads/files/<url>.json, <url>-<digest>      see `context.downloads`
    <root>/build/downloads/git/<remote>, <remote>.lock           see `context.git`

All of it can be fetched again. A repository is removed under its lock; a file at any moment, for who uses it has
another name of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from composer.runtime.base import files, locking, state, trees
from composer.runtime.objects.housekeeping import tree_size

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 4 << 30
"""What is kept after a build; the least recently used goes first."""


class Fetched(NamedTuple):
    """``id`` is the digest of the URL; times count from 1970."""

    id: str
    is_git: bool
    size_bytes: int
    used_ns: int
    in_use: bool


def kept(root: str) -> Iterator[Fetched]:
    """Yield what is kept in the build cache ``root``."""
    for name in state.list_directory(f"{root}/downloads/git"):
        path = f"{root}/downloads/git/{name}"
        if _is_digest(name) and (found := _state(path)) is not None:
            with locking.trying(f"{path}.lock") as is_mine:
                yield Fetched(name, True, tree_size(path), found.st_mtime_ns, not is_mine)
    for name in state.list_directory(f"{root}/downloads/files"):
        id, dash, _ = name.partition("-")
        if _is_digest(id) and dash and (found := _state(f"{root}/downloads/files/{name}")) is not None:
            # another name of it, in a build, is made and removed: that is the time of its last use
            yield Fetched(id, False, found.st_blocks * 512, found.st_ctime_ns, found.st_nlink > 1)


def remove(root: str, id: str, *, is_git: bool) -> bool:
    """Remove a repository or a file; tell whether that could be done now."""
    if is_git:
        path = f"{root}/downloads/git/{id}"
        with locking.trying(f"{path}.lock", removes=True) as is_mine:
            if is_mine:
                trees.put_away(path)
            return is_mine
    files.remove_file(f"{root}/downloads/files/{id}.json")
    for name in state.list_directory(f"{root}/downloads/files"):
        if name.startswith(f"{id}-"):
            files.remove_file(f"{root}/downloads/files/{name}")
    return True


def trim(root: str, most_bytes: int = MOST_BYTES) -> None:
    """Remove the least recently used until no more than ``most_bytes`` are kept."""
    found = sorted(kept(root), key=lambda one: one.used_ns)
    total = sum(one.size_bytes for one in found)
    for one in found:
        if total <= most_bytes:
            return
        if not one.in_use and remove(root, one.id, is_git=one.is_git):
            total -= one.size_bytes


def _is_digest(name: str) -> bool:
    return len(name) == 64 and set(name) <= set("0123456789abcdef")


def _state(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
