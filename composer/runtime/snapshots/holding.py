"""Starts of containers, and copies of the data that they write to: each waits for the other.

Who copies or replaces data says so first, by a note in ``frozen/`` or a journal in ``placing/``. Then it waits for the
starts that are under way, each of which has a shared lock on its container's directory. A start that comes later takes
this lock, finds the note, lets go of the lock, and waits for who has left the note. So nobody who waits has what the
other waits for.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextlib.contextmanager
def starting(bundle: str) -> Iterator[None]:
    """Mark a container as being started for the block. One that has just been removed is none to wait for."""
    fd = _locked(bundle, fcntl.LOCK_SH)
    try:
        yield
    finally:
        if fd >= 0:
            os.close(fd)


def await_starts(bundles: Iterable[str]) -> None:
    """Wait for the starts of containers that are under way."""
    for bundle in bundles:
        fd = _locked(bundle, fcntl.LOCK_EX)
        if fd >= 0:
            os.close(fd)


def _locked(bundle: str, kind: int) -> int:
    """Return a container's directory, locked; -1 where there is none."""
    try:
        fd = os.open(bundle, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1
    try:
        fcntl.flock(fd, kind)
    except BaseException:
        os.close(fd)
        raise
    return fd
