"""Who supervises a project: a directory below ``lib``, which no cleaner of temporary files empties.

    <root>/supervision/<project>/              the directory itself is locked by who connects, or ends (flock)
    <root>/supervision/<project>/keeper        locked by the keeper as long as it lives
    <root>/supervision/<project>/supervisor    locked by the supervisor as long as it lives
    <root>/supervision/<project>/keeper.json   the keeper's pid and start time

The two are locks of a process (POSIX): the kernel takes them back with it, however it ended, and no child inherits
them. So there is never a second supervisor, whatever happens to the run state.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time

_FLOCK = struct.Struct("hhqqi4x")  # struct flock of fcntl(2) where pointers have 64 bits
_ATTEMPTS, _PAUSE_S = 100, 0.02


def directory(root: str, project: str) -> str:
    return f"{root}/supervision/{project}"


def claim(root: str, project: str, role: str, *, attempts: int = _ATTEMPTS) -> bool:
    """Become a project's keeper or supervisor, until this process ends; False when another one lives.

    One that was killed is waited for: it may not have ended altogether. For a process that serves nobody yet.
    """
    place = directory(root, project)
    os.makedirs(place, 0o700, exist_ok=True)
    fd = os.open(f"{place}/{role}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for attempt in range(attempts):
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True  # the descriptor stays open: closing it would give the lock back
        except (BlockingIOError, PermissionError):
            if attempt + 1 < attempts:
                time.sleep(_PAUSE_S)
    os.close(fd)
    return False


def is_claimed(root: str, project: str, role: str) -> bool:
    """Tell whether a project has a keeper or supervisor that lives."""
    try:
        fd = os.open(f"{directory(root, project)}/{role}", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        asked = fcntl.fcntl(fd, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        return bool(_FLOCK.unpack(asked)[0] != fcntl.F_UNLCK)
    finally:
        os.close(fd)
