"""Layers that somebody uses for a while, without a container or an image that has them: a build in progress.

One file per lease, in ``<root>/images/leases``, locked as long as its holder lives: a kill ends the lease.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from typing import TYPE_CHECKING

from composer.runtime.base import files, state

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Lease:
    """What one holder uses. Safe for threads."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._paths: set[str] = set()

    def add(self, layers: Iterable[str]) -> None:
        """Use these directories of layers until the end. Call it while the store's lock keeps them from going."""
        with self._lock:
            new = set(layers) - self._paths
            if new:
                self._paths |= new
                # appended, a list a line: half a line, after a kill, is of a lease that has ended
                os.write(self._fd, f"{json.dumps(sorted(new))}\n".encode())


@contextlib.contextmanager
def leasing(root: str) -> Iterator[Lease]:
    """Yield a lease on layers of the image store ``root``."""
    directory = state.make_directory(f"{root}/leases")
    path = f"{directory}/{os.urandom(8).hex()}"
    while True:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.path.exists(path) and os.path.samestat(os.fstat(fd), os.stat(path)):
            break
        os.close(fd)  # who looked for dead leases took it for one before it was locked
    try:
        yield Lease(fd)
    finally:
        files.remove_file(path)
        os.close(fd)


def layers(root: str) -> set[str]:
    """Return the directories that are leased; leases of dead holders are removed. Under the store's exclusive lock."""
    found: set[str] = set()
    for name in state.list_directory(f"{root}/leases"):
        path = f"{root}/leases/{name}"
        try:
            with open(path, encoding="utf-8") as file:
                if _is_held(file.fileno()):
                    for line in file:
                        for one in json.loads(line) if line.endswith("\n") else ():
                            found.update((one, os.path.realpath(one)))
                    continue
        except FileNotFoundError:
            continue
        files.remove_file(path)
    return found


def _is_held(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
