"""Waiting for a project's events: its journal is a file, and inotify says when it grows."""

from __future__ import annotations

import json
import os
import select
import time
from typing import TYPE_CHECKING

from composer.backends.namespace import state
from composer.backends.namespace.runtime import syscalls
from composer.engine.backend import Event

if TYPE_CHECKING:
    from composer.backends.namespace.state import Paths

_WATCHED = 0x00000002 | 0x00000100 | 0x00000080  # modify, create, moved to


class ProjectEvents:
    """Events from now on, of one project, or of all that exist now."""

    def __init__(self, paths: Paths, project: str | None) -> None:
        names = [project] if project else state.list_directory(f"{paths.run}/projects")
        self._directories = [paths.project(name) for name in names]
        self._inotify = syscalls.inotify_init()
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._positions: dict[str, int] = {}
        self._pending: list[Event] = []
        self._rests: dict[str, bytes] = {}
        self._closed = False
        for directory in self._directories:
            state.make_directory(directory)
            syscalls.inotify_add_watch(self._inotify, directory, _WATCHED)
            self._positions[directory] = _size(directory)

    def next(self, timeout_s: float | None) -> Event | None:
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._closed:
            self._read()
            if self._pending:
                return self._pending.pop(0)
            left_s = None if deadline_s is None else deadline_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                return None
            ready, _, _ = select.select([self._inotify, self._wake], [], [], left_s)
            if self._inotify in ready:
                os.read(self._inotify, 1 << 16)
        return None

    def _read(self) -> None:
        for directory in self._directories:
            try:
                with open(f"{directory}/events", "rb") as file:
                    file.seek(self._positions[directory])
                    data = self._rests.pop(directory, b"") + file.read()
                    self._positions[directory] = file.tell()
            except FileNotFoundError:
                continue
            *lines, rest = data.split(b"\n")
            if rest:
                self._rests[directory] = rest
            self._pending += [Event(**json.loads(line)) for line in lines if line]

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            os.write(self._waker, b"x")
            for directory in self._directories:
                try:
                    os.rmdir(directory)
                except OSError:
                    pass  # it is in use, or gone

    def __del__(self) -> None:
        for fd in (self._inotify, self._wake, self._waker):
            os.close(fd)


def _size(directory: str) -> int:
    try:
        return os.stat(f"{directory}/events").st_size
    except FileNotFoundError:
        return 0
