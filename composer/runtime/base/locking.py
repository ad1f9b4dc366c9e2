"""Files that are there to be locked (flock), and that may be removed by who has the lock.

Who waited for one that was removed meanwhile has a lock on nothing: it is looked whether the file is still at its path,
and tried again where it is not.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from composer.runtime.base import files

if TYPE_CHECKING:
    from collections.abc import Iterator

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


@contextlib.contextmanager
def locked(path: str, *, shared: bool = False, removes: bool = False) -> Iterator[None]:
    """Wait for the lock on a file, and hold it; with ``removes`` the file goes at the end."""
    fd = _taken(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        yield
    finally:
        if removes:
            files.remove_file(path)
        os.close(fd)


@contextlib.contextmanager
def trying(path: str, *, removes: bool = False) -> Iterator[bool]:
    """Hold the lock on a file where nobody has it; yield whether that is so. With ``removes`` the file goes then."""
    try:
        fd = _taken(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        if removes:
            files.remove_file(path)
        os.close(fd)


def _taken(path: str, kind: int) -> int:
    """Return the file, locked. Raises BlockingIOError."""
    while True:
        fd = os.open(path, _FLAGS, 0o600)
        try:
            fcntl.flock(fd, kind)
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # whoever had it removed it
