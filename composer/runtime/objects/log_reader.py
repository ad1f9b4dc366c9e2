"""Reading what containers wrote: lines with times, merged over containers, and following them.

The format is `runtime.generations`'. A line belongs to the moment at which its end was moved into the log.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from composer.runtime.base import records, status, wire
from composer.runtime.streams import generations, seeking, watching

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from composer.runtime.base.state import Paths

_WATCHED = 0x00000002 | 0x00000100 | 0x00000080 | 0x00000400 | 0x00000800  # modify, create, moved to, gone


class LogPiece(NamedTuple):
    """A part of one output stream: whole lines that came together, or a last line without a newline.

    ``time_ns`` is in ns since the epoch.
    """

    container_id: str
    time_ns: int
    stream: str
    data: bytes


class _Reader:
    """One container's log, read from where the last call stopped."""

    def __init__(self, id: str, directory: str) -> None:
        self.id = id
        self.directory = directory
        meta = records.meta(directory)
        # One that removes itself goes in the moment in which it ends, with its last lines.
        self._cursor = generations.Cursor(f"{directory}/logs", hold=meta is not None and meta["auto_remove"])
        self._latest_ns = 0
        self._rests: list[list[bytes]] = [[], []]
        """Pieces of each stream's last line, which has no end yet: joined once, however many they are."""
        self._torn = [False, False]

    def begin(self, since_ns: int, until_ns: int | None, tail: int | None) -> None:
        """Pass over what is not wanted, or most of it, without reading it."""
        with seeking.Seeker(f"{self.directory}/logs") as seeker:
            place = seeker.since(since_ns) if tail is None else seeker.last(tail, since_ns, until_ns)
        if place is None or not self._cursor.seek(place.number, place.position, place.ends):
            return  # nothing has come yet, or the oldest of it has just been dropped
        self._latest_ns, self._torn = place.time_ns, list(place.torn)
        for stream, (start, end) in enumerate(zip(place.starts, place.ends, strict=True)):
            if start < end:
                at, begun = generations.read_at(f"{self.directory}/logs", stream, start, end - start)
                self._rests[stream] = [begun] if at == start else []
                self._torn[stream] = at != start

    def new_lines(self) -> Iterator[LogPiece]:
        """Yield complete lines that have come since the last call."""
        for chunk in self._cursor.chunks():
            # The order of the index is the order in which things came, whatever a clock that was set says.
            self._latest_ns = max(self._latest_ns, chunk.time_ns)
            yield from self._lines(chunk)

    def _lines(self, chunk: generations.Chunk) -> Iterator[LogPiece]:
        stream, data = chunk.stream, chunk.data
        if chunk.gap:
            self._rests[stream], self._torn[stream] = [], chunk.torn
        if self._torn[stream]:
            # The line whose beginning was dropped is left out.
            _, newline, data = data.partition(b"\n")
            self._torn[stream] = not newline
        end = data.rfind(b"\n") + 1
        rest = self._rests[stream]
        if end:
            self._rests[stream] = [data[end:]] if end < len(data) else []
            lines = b"".join((*rest, data[:end]))
            yield LogPiece(self.id, self._latest_ns, generations.STREAMS[stream], lines)
        elif data:
            rest.append(data)

    def rest(self) -> Iterator[LogPiece]:
        """Yield the last line of each stream where it has no end; for when no more can come."""
        for stream, rest in enumerate(self._rests):
            if rest:
                self._rests[stream] = []
                yield LogPiece(self.id, self._latest_ns, generations.STREAMS[stream], b"".join(rest))

    def close(self) -> None:
        self._cursor.close()


class Logs:
    """Lines of several containers by time. Following ends when none of them can write any more, or on `close`."""

    def __init__(
        self,
        paths: Paths,
        ids: Sequence[str],
        *,
        follow: bool,
        since_ns: int,
        until_ns: int | None,
        tail: int | None,
        reader: int = -1,
    ) -> None:
        """``reader`` is the connection of whoever reads: following ends when it does, and at ``until_ns``."""
        self._reader = reader
        found = [(id, paths.container(id)) for id in ids]
        self._readers = [_Reader(id, bundle) for id, bundle in found if not _is_silent(bundle)]
        self._follow = follow
        self._since_ns = since_ns
        self._until_ns = until_ns
        self._tail = tail
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._closed = False

    def __iter__(self) -> Iterator[LogPiece]:
        watch = self._watch() if self._follow else None
        try:
            yield from self._past(last=not self._follow)
            while self._follow and not self._closed:
                active = self._any_active()
                fresh = sorted(self._fresh(last=not active), key=lambda piece: piece.time_ns)
                yield from (piece for piece in fresh if self._is_wanted(piece))
                if not active or watch is None or not self._await(watch):
                    return
        finally:
            if watch is not None:
                watch.close()

    def _await(self, watch: watching.Watch) -> bool:
        """Wait for something new; return False where nothing of it is wanted any more."""
        poll = select.poll()
        for fd in (watch.fd, self._wake):
            poll.register(fd, select.POLLIN)
        if self._reader >= 0:
            poll.register(self._reader, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        left_ms = None if self._until_ns is None else max(0, (self._until_ns - time.time_ns()) // 1_000_000)
        ready = [fd for fd, _ in poll.poll(None if left_ms is None else min(left_ms, wire.LONGEST_MS))]
        if watch.fd in ready:
            watch.drain()
        has_time = bool(ready) or (left_ms or 0) > wire.LONGEST_MS
        return has_time and self._reader not in ready

    def _watch(self) -> watching.Watch:
        watch = watching.watch()
        for reader in self._readers:
            try:
                # Not makedirs: of a container that has been removed it would make half of one again.
                if not os.path.isdir(f"{reader.directory}/logs"):
                    os.mkdir(f"{reader.directory}/logs", 0o700)
            except FileExistsError:
                pass  # its supervisor made it in this moment
            except FileNotFoundError:
                continue  # it has been removed: there is nothing to follow
            for path in (reader.directory, f"{reader.directory}/logs"):
                try:
                    watch.add(path, _WATCHED)
                except FileNotFoundError:
                    continue  # it has just gone
        return watch

    def _past(self, *, last: bool) -> Iterator[LogPiece]:
        sources = [self._of(reader, last=last) for reader in self._readers]
        if len(sources) == 1:
            return sources[0]
        return heapq.merge(*sources, key=lambda piece: piece.time_ns)

    def _of(self, reader: _Reader, *, last: bool) -> Iterator[LogPiece]:
        if self._tail is not None or self._since_ns:
            reader.begin(self._since_ns, self._until_ns, self._tail)
        found = self._up_to_the_last(reader, last=last)
        return found if self._tail is None else iter(_last_lines(found, self._tail))

    def _up_to_the_last(self, reader: _Reader, *, last: bool) -> Iterator[LogPiece]:
        for piece in itertools.chain(reader.new_lines(), reader.rest() if last else ()):
            if self._is_wanted(piece):
                yield piece
            elif last and self._until_ns is not None and piece.time_ns > self._until_ns:
                return  # all that follows came later

    def _is_wanted(self, piece: LogPiece) -> bool:
        return piece.time_ns >= self._since_ns and (self._until_ns is None or piece.time_ns <= self._until_ns)

    def _fresh(self, *, last: bool) -> Iterator[LogPiece]:
        for reader in self._readers:
            yield from reader.new_lines()
            if last:
                yield from reader.rest()

    def _any_active(self) -> bool:
        for reader in self._readers:
            current = records.state(reader.directory)
            if current is not None and current.get("status") in status.ACTIVE:
                return True
        return False

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            os.write(self._waker, b"x")

    def __del__(self) -> None:
        os.close(self._wake)
        os.close(self._waker)
        for reader in self._readers:
            reader.close()


def _is_silent(bundle: str) -> bool:
    config = records.config(bundle)
    return config is not None and records.is_silent(config)


def _last_lines(pieces: Iterable[LogPiece], count: int) -> deque[LogPiece]:
    """Return the last lines, however they came together. A line without end is one too."""
    found: deque[LogPiece] = deque()
    counts: deque[int] = deque()
    total = 0
    for piece in pieces:
        found.append(piece)
        counts.append(max(1, piece.data.count(b"\n")))
        total += counts[-1]
        while found and total - counts[0] >= count:
            total -= counts.popleft()
            found.popleft()
    if found and total > count:
        found[0] = found[0]._replace(data=found[0].data.split(b"\n", total - count)[-1])
    return found
