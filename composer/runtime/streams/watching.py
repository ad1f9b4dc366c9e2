"""Being told when directories change: by an inotify of one's own or, in a server, by one that all share.

A user has 128 instances of inotify as a rule (fs.inotify.max_user_instances): a server with as many clients that wait
would use them up, and others' programs would get none. With `share` each watch is an eventfd, which one thread rings.
"""

from __future__ import annotations

import errno
import os
import select
import struct
import threading

from composer.runtime.base import syscalls

_HEAD = struct.Struct("iIII")  # inotify(7): wd, mask, cookie, len
_ADD = 0x20000000  # IN_MASK_ADD: what others want to hear of the same directory stays
_IGNORED, _OVERFLOW = 0x00008000, 0x00004000
_READ_BYTES = 1 << 16
_UNUSED_MS = 5000


class Watch:
    """Directories that are watched. ``fd`` is readable when something has happened; reading it takes the notes."""

    def __init__(self, fd: int, hub: _Hub | None = None) -> None:
        self.fd, self._hub = fd, hub

    def add(self, path: str, mask: int) -> None:
        """Watch a directory. Raises FileNotFoundError, OSError."""
        if self._hub is None:
            syscalls.inotify_add_watch(self.fd, path, mask)
        else:
            self._hub.add(self, path, mask)

    def drain(self) -> None:
        """Take the notes: the next look begins."""
        try:
            os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return  # another look has taken them

    def close(self) -> None:
        if self.fd >= 0:
            if self._hub is not None:
                self._hub.forget(self)
            os.close(self.fd)
            self.fd = -1


class _Hub:
    """One inotify for many watches. Its thread runs while there are any."""

    def __init__(self) -> None:
        self._fd = syscalls.inotify_init()
        self._lock = threading.Lock()
        self._watches: dict[int, set[Watch]] = {}
        self._running = False

    def add(self, watch: Watch, path: str, mask: int) -> None:
        with self._lock:
            number = syscalls.inotify_add_watch(self._fd, path, mask | _ADD)
            self._watches.setdefault(number, set()).add(watch)
            if not self._running:
                threading.Thread(target=self._run, name="inotify", daemon=True).start()
                self._running = True

    def forget(self, watch: Watch) -> None:
        with self._lock:
            for number, watches in list(self._watches.items()):
                watches.discard(watch)
                if not watches:
                    del self._watches[number]
                    syscalls.inotify_rm_watch(self._fd, number)

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        while True:
            data = os.read(self._fd, _READ_BYTES) if poll.poll(_UNUSED_MS) else b""
            with self._lock:
                if not self._watches:
                    self._running = False
                    return
                for number in _numbers(data):
                    everybody = self._watches if number < 0 else (number,)
                    for one in everybody:
                        for watch in self._watches.get(one, ()):
                            _ring(watch.fd)
                self._drop_gone(data)

    def _drop_gone(self, data: bytes) -> None:
        """Forget directories that are gone: the kernel has, and their numbers may come again."""
        for number, mask in _notes(data):
            if mask & _IGNORED:
                self._watches.pop(number, None)


def _notes(data: bytes) -> list[tuple[int, int]]:
    found, at = [], 0
    while at + _HEAD.size <= len(data):
        number, mask, _, size = _HEAD.unpack_from(data, at)
        found.append((number, mask))
        at += _HEAD.size + size
    return found


def _numbers(data: bytes) -> list[int]:
    """Return whose directories something happened to; -1 for all, where notes were lost."""
    return [-1 if mask & _OVERFLOW else number for number, mask in _notes(data)]


def _ring(fd: int) -> None:
    try:
        os.eventfd_write(fd, 1)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.EAGAIN):
            raise


_shared: list[_Hub] = []


def share() -> None:
    """Let all watches of this process share one inotify from now on."""
    if not _shared:
        _shared.append(_Hub())


def watch() -> Watch:
    """Return a watch. Raises OSError."""
    if _shared:
        return Watch(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK), _shared[0])
    return Watch(syscalls.inotify_init())
