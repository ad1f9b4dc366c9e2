"""Contexts of clients elsewhere, kept between builds: the next time, they send what has changed.

    contexts/<key>/          the files, as they came last
    contexts/<key>.lock      held by the build that uses them; its time is that of the last use

A client that says nothing of who it is, or builds the same directory twice at once, has a directory for one build.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple

from composer.runtime.base import locking, state, trees

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = ".lock"


class Kept(NamedTuple):
    """A kept context. ``path`` is the directory, ``used_ns`` when a build had it last."""

    id: str
    path: str
    used_ns: int


def _directory(root: str) -> str:
    return f"{root}/contexts"


@contextlib.contextmanager
def using(root: str, *parts: str) -> Iterator[str | None]:
    """Yield the directory of a context, which has what came last time; None where another build has it.

    ``parts`` are what it is known by.
    """
    above = state.make_directory(_directory(root))
    name = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
    with locking.trying(f"{above}/{name}{_LOCK}") as is_mine:
        if not is_mine:
            yield None
            return
        os.utime(f"{above}/{name}{_LOCK}")
        os.makedirs(f"{above}/{name}", 0o755, exist_ok=True)
        yield f"{above}/{name}"


def entries(root: str) -> Iterator[Kept]:
    """Yield all that are kept."""
    above = _directory(root)
    for name in state.list_directory(above):
        if name.endswith(_LOCK):
            continue
        with contextlib.suppress(FileNotFoundError):
            yield Kept(name, f"{above}/{name}", os.stat(f"{above}/{name}{_LOCK}").st_mtime_ns)


def is_used(path: str) -> bool:
    with locking.trying(f"{path}{_LOCK}") as is_mine:
        return not is_mine


def remove(root: str, id: str) -> bool:
    """Remove one, unless a build has it; return whether it is gone."""
    path = f"{_directory(root)}/{id}"
    with locking.trying(f"{path}{_LOCK}", removes=True) as is_mine:
        if is_mine:
            trees.put_away(path)
        return is_mine
