"""Waiting for a project's events: its journal is a file, and inotify says when it grows."""

from __future__ import annotations

import collections
import json
import os
import time
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from composer.runtime.base import files, records, shapes, state, wire
from composer.runtime.streams import watching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.runtime.base.state import Paths

_MOVED = b'{"moved":true,'
_COMES = 0x00000100 | 0x00000080 | 0x01000000  # create, moved to; only a directory
_WATCHED = 0x00000002 | 0x00000100 | 0x00000080 | 0x00000400  # modify, create, moved to, the directory went


class Event(NamedTuple):
    """Something that happened. ``action`` is Docker's word; ``attributes`` have the name and the container's labels."""

    time_ns: int
    kind: str
    action: str
    id: str
    attributes: Mapping[str, str]


class ProjectEvents:
    """Events from now on, of one project or of all; with ``since_ns`` those in the journals too."""

    def __init__(
        self, paths: Paths, project: str | None, since_ns: int | None = None, until_ns: int | None = None
    ) -> None:
        self._since_ns, self._until_ns = since_ns or 0, until_ns
        self._moved_since_ns = since_ns
        if since_ns is None and project is None:
            self._moved_since_ns = time.time_ns()
        everybody = {*state.list_directory(f"{paths.run}/projects"), records.NOBODY}
        names = [project] if project else sorted(everybody)
        self._paths, self._follows_all = paths, project is None
        self._journals: list[_Journal] = []
        self._watch = watching.watch()
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._pending: list[Event] = []
        self._closed = False
        if self._follows_all:
            # whoever comes later is heard from the begin on
            self._watch_for_others()
        for name in names:
            self._journals.append(_Journal(self._watch, paths.project(name), whole=since_ns is not None))

    def _watch_for_others(self) -> None:
        directory = state.make_directory(f"{self._paths.run}/projects")
        self._watch.add(directory, _COMES)

    def _take_others(self) -> None:
        """Follow the journals of projects that have come since the last look."""
        known = {journal.directory for journal in self._journals}
        for name in state.list_directory(f"{self._paths.run}/projects"):
            directory = self._paths.project(name)
            if directory not in known:
                self._journals.append(_Journal(self._watch, directory, whole=True))

    def fileno(self) -> int:
        """Return what is readable when something may have happened."""
        return self._watch.fd

    def next(self, timeout_s: float | None) -> Event | None:
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._closed:
            if self._follows_all:
                self._take_others()
            for journal in self._journals:
                self._pending += self._new(journal)
            self._pending.sort(key=lambda event: event.time_ns)
            if self._pending:
                event = self._pending.pop(0)
                return event if self._until_ns is None or event.time_ns <= self._until_ns else None
            if timeout_s == 0 and self._drain_notes():
                continue
            left_s = None if deadline_s is None else deadline_s - time.monotonic()
            if self._until_ns is not None:
                until_s = (self._until_ns - time.time_ns()) / 1e9
                left_s = until_s if left_s is None else min(left_s, until_s)
            if left_s is not None and left_s <= 0:
                return None
            if self._watch.fd in wire.await_readable((self._watch.fd, self._wake), left_s):
                self._watch.drain()
        return None

    def _new(self, journal: _Journal) -> list[Event]:
        """Return what a journal has now. What a project left in nobody's counts, unless it was read there."""
        events, moved = journal.read()
        found = [event for event in events if event.time_ns >= self._since_ns]
        if self._moved_since_ns is None:
            return found
        known = {time_ns for other in self._journals for time_ns in other.latest_ns} if moved else set()
        return found + [
            event for event in moved if event.time_ns >= self._moved_since_ns and event.time_ns not in known
        ]

    def left_ms(self) -> int | None:
        """Return how long to wait for events that may still come, 0 at the end; None for ever."""
        if self._until_ns is None:
            return None
        return min(max(0, (self._until_ns - time.time_ns()) // 1_000_000), wire.LONGEST_MS)

    def _drain_notes(self) -> bool:
        """Take what inotify has told; return whether there was something."""
        if not wire.is_readable(self._watch.fd):
            return False
        self._watch.drain()
        return True

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            os.write(self._waker, b"x")
            for journal in self._journals:
                state.remove_directory(journal.directory)

    def __del__(self) -> None:
        for journal in self._journals:
            journal.close()  # not before: another thread may be reading
        self._watch.close()
        for fd in (self._wake, self._waker):
            os.close(fd)


def _event(line: bytes) -> Event | None:
    """Read a line of the journal. Return None for a damaged line."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return Event(**{key: found[key] for key in Event._fields}) if _is_event(found) else None


_is_event = shapes.like(
    time_ns=shapes.is_number,
    kind=shapes.is_text,
    action=shapes.is_text,
    id=shapes.is_text,
    attributes=shapes.is_labels,
)


class _Journal:
    """One project's journal, from now on or ``whole``, across the end of the project and its return.

    ``down`` takes the journal away with its directory. The open descriptor still has its last lines, and the
    directory is made anew, so that whatever comes next is seen.
    """

    def __init__(self, watch: watching.Watch, directory: str, *, whole: bool = False) -> None:
        self._watch = watch
        self.directory = directory
        self._file: BinaryIO | None = None
        self._rest = b""
        self.latest_ns: collections.deque[int] = collections.deque(maxlen=files.MOVED_EVENTS)
        """The times of as many events as may come again, in nobody's journal, when the project ends."""
        self._follow()
        if self._file is not None and not whole:
            self._file.seek(0, os.SEEK_END)

    def read(self) -> tuple[list[Event], list[Event]]:
        """Return the new events, and those that were moved here from the journals of projects that ended."""
        lines = self._drain()
        if self._file is None or os.fstat(self._file.fileno()).st_nlink == 0:
            lines += self._drain()  # what was written between the two looks
            self._follow()
            lines += self._drain()
        own = [event for line in lines if not line.startswith(_MOVED) and (event := _event(line)) is not None]
        moved = [event for line in lines if line.startswith(_MOVED) and (event := _event(line)) is not None]
        self.latest_ns.extend(event.time_ns for event in own)
        return own, moved

    def _follow(self) -> None:
        """Watch the directory that is there now, and open its journal from the begin, if there is one yet."""
        if self._file is not None:
            self._file.close()
        self._file, self._rest = None, b""
        while True:
            state.make_directory(self.directory)
            try:
                self._watch.add(self.directory, _WATCHED)
                break
            except FileNotFoundError:
                continue  # taken away between the two calls
        try:
            self._file = open(f"{self.directory}/events", "rb", buffering=0)  # noqa: SIM115 - read for long
        except FileNotFoundError:
            return  # the watch says when it comes

    def _drain(self) -> list[bytes]:
        if self._file is None:
            return []
        if files.skip_hole(self._file.fileno()):
            self._rest = b""  # what was there has been dropped, with the begin of the first line that is left
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return lines

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
