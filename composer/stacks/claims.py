"""Names that one process has at a time, of all processes of a user; the kernel takes them back when it ends."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Claim:
    """A name that nobody else has until it is released: a lock on a file of this name."""

    def __init__(self, name: str, path: str, fd: int) -> None:
        self.name, self._path, self._fd = name, path, fd

    def release(self) -> None:
        """Give the name back; once more is no error."""
        if self._fd >= 0:
            os.unlink(self._path)
            os.close(self._fd)
            self._fd = -1


def first(directory: str, names: Iterable[str]) -> Claim | None:
    """Claim the first name that nobody has; None where all are taken."""
    os.makedirs(directory, 0o700, exist_ok=True)
    for name in names:
        path = f"{directory}/{name}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if _lock(fd) and is_still(fd, path):
            return Claim(name, path, fd)
        os.close(fd)
    return None


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_still(fd: int, path: str) -> bool:
    """Tell whether a path still leads to an open file: whoever released it has removed it."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
