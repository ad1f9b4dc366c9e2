"""A stack that several processes use, however they end: each holds a lock that the kernel takes back.

<directory>/<stack>.users   everybody who uses the stack holds a shared lock on it
<directory>/<stack>.gate    who brings it up or takes it down holds this one, alone
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from composer.stacks.claims import is_still

if TYPE_CHECKING:
    from collections.abc import Iterator


class Lease:
    """One process's use of a stack."""

    def __init__(self, directory: str, stack: str) -> None:
        self.directory, self.stack = directory, stack
        self._users = -1

    def _open(self, kind: str) -> int:
        os.makedirs(self.directory, 0o700, exist_ok=True)  # the last user of another stack has removed it
        return os.open(f"{self.directory}/{self.stack}.{kind}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextmanager
    def gate(self) -> Iterator[None]:
        """Hold others back who would bring the stack up, or take it down."""
        while True:
            fd = self._open("gate")
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                if not is_still(fd, f"{self.directory}/{self.stack}.gate"):
                    continue  # the last user has removed it meanwhile
                yield
                return
            finally:
                os.close(fd)

    def take(self) -> None:
        """Use the stack from now on. Behind the gate."""
        self._users = self._open("users")
        fcntl.flock(self._users, fcntl.LOCK_SH)

    def release(self) -> bool:
        """Use it no more; return whether nobody does. Behind the gate."""
        if self._users >= 0:
            os.close(self._users)
            self._users = -1
        return not self.is_used()

    def remove(self) -> None:
        """Remove the files: the stack has gone. Behind the gate."""
        for kind in ("users", "gate"):
            os.unlink(f"{self.directory}/{self.stack}.{kind}")
        try:
            os.rmdir(self.directory)
        except OSError:
            return  # there are others of this run

    def is_used(self) -> bool:
        """Tell whether another process uses the stack."""
        fd = self._open("users")
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(fd)
