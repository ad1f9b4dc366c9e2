"""Finding a place in a log without reading it: by a time, or so that some last lines follow.

    index   …│record│record│record│…      24 bytes each, in the order of their times
                     ▲ position, time
    data    …─────line─┬───line────┬──…   `ends`: how far each stream had come then, mostly within a line
                  ▲ starts                `starts`: where that line begins

The times of an index never decrease, so a time is found by binary search. They may decrease in a log of an earlier
version, which is read from its beginning where a time is given. For the last lines, the search goes back from the end
by 1, 2, 4, … records until enough lines follow. The cost grows with what is wanted, and hardly with the length of the
log. A place may be earlier than what was asked for, never later: who reads on from it leaves out what comes too
early.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from composer.runtime.streams.generations import RECORD, STREAMS, Generation, generations, is_ordered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_RECORDS_BACK = 128  # what is looked for is mostly near
_MOST_BYTES = RECORD.size << 16
_BACK_BYTES = 1 << 16
_STREAM_AT = 8  # the byte of a record that has its stream, the lowest of eight


class Place(NamedTuple):
    """A place in a log, before a record: the number of its generation, and the record's position in the index.

    For each stream: up to which offset it had come, where the line begins that it was in, and whether the beginning
    of that line has been dropped. ``time_ns`` is that of the record before.
    """

    number: int
    position: int
    time_ns: int
    ends: tuple[int, ...]
    starts: tuple[int, ...]
    torn: tuple[bool, ...]


class Seeker:
    """Looks for places in the log as it is at this moment. Close it, or use it as a context manager."""

    def __init__(self, logs: str) -> None:
        self._open: list[tuple[Generation, tuple[int, int, int], int]] = []
        self._known: dict[tuple[int, int], tuple[int, int, int]] = {}
        self._is_ordered = is_ordered(logs)
        try:
            for one in generations(logs):
                try:
                    fds = one.open()
                except FileNotFoundError:
                    self.close()  # dropped in this moment, and all before it with it
                    self._open = []
                    continue
                size = os.fstat(fds[2]).st_size
                self._open.append((one, fds, max(one.first_record, size - size % RECORD.size)))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Seeker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for _, fds, _ in self._open:
            for fd in fds:
                os.close(fd)
        self._open = []

    # -------------------------------------------------------------- places

    def end(self) -> Place | None:
        """Return the place after which nothing has come yet; None where there is no log."""
        if not self._open:
            return None
        return self._place(len(self._open) - 1, self._open[-1][2])

    def since(self, time_ns: int) -> Place | None:
        """Return a place from which everything follows that came at a time or later; None for the beginning."""
        if not self._open or not self._is_ordered:
            return None
        return self._place(*self._first_from(time_ns))

    def last(self, lines: int, since_ns: int = 0, until_ns: int | None = None) -> Place | None:
        """Return a place after which at least ``lines`` lines end by ``until_ns``.

        Where fewer have come since ``since_ns``, it is the place of ``since_ns``. None is the beginning of the log.
        """
        if not self._open or not (self._is_ordered or (since_ns == 0 and until_ns is None)):
            return None
        first = self._first_from(since_ns) if since_ns else (0, self._open[0][0].first_record)
        stop = (
            (len(self._open) - 1, self._open[-1][2]) if until_ns is None else self._first_from(until_ns + 1)
        )
        stops = self._stops(stop)
        back = 1
        while True:
            at = max(first, self._back(stop, back))
            place = self._place(*at)
            if at <= first or self._count(place, stops, lines) >= lines:
                return place
            back *= 2

    # -------------------------------------------------------------- records

    def _first_from(self, time_ns: int) -> tuple[int, int]:
        """Return the first record that is not earlier than a time, as (index of the generation, position)."""
        at = 0
        for number, (one, fds, size) in enumerate(self._open):
            if one.first_record == size:
                continue
            if time_at(one, fds, one.first_record) >= time_ns:
                break
            at = number
        one, fds, size = self._open[at]
        low, high = one.first_record // RECORD.size, size // RECORD.size
        while low < high:
            middle = (low + high) // 2
            if time_at(one, fds, middle * RECORD.size) < time_ns:
                low = middle + 1
            else:
                high = middle
        return at, low * RECORD.size

    def _back(self, at: tuple[int, int], records: int) -> tuple[int, int]:
        """Return the place so many records before another, or the first there is."""
        index, position = at
        position -= records * RECORD.size
        while position < self._open[index][0].first_record:
            if index == 0:
                return 0, self._open[0][0].first_record
            missing = self._open[index][0].first_record - position
            index -= 1
            position = self._open[index][2] - missing
        return index, position

    # -------------------------------------------------------------- data

    def _place(self, index: int, position: int) -> Place:
        one, fds, _ = self._open[index]
        ends = self._stops((index, position))
        lines = [self._line_start(index, stream, end) for stream, end in enumerate(ends)]
        starts = [end if start is None else start for start, end in zip(lines, ends, strict=True)]
        torn = tuple(start is None for start in lines)
        time_ns = time_at(one, fds, position - RECORD.size)
        return Place(one.number, position, time_ns, ends, tuple(starts), torn)

    def _stops(self, at: tuple[int, int]) -> tuple[int, ...]:
        return tuple(self._end_before(at[0], stream, at[1]) for stream in range(len(STREAMS)))

    def _end_before(self, index: int, stream: int, position: int) -> int:
        """Like `end_before`, but remembers the last answer and the positions for which it holds."""
        one, fds, _ = self._open[index]
        low, high, end = self._known.get((index, stream), (0, 0, 0))
        if not low < position <= high:
            end, low = end_before(one, fds, stream, position)
            self._known[index, stream] = low, position, end
        return end

    def _line_start(self, index: int, stream: int, offset: int) -> int | None:
        """Return where the line begins that an offset is in; None where that has been dropped."""
        for one, fds, _ in reversed(self._open[: index + 1]):
            while offset > one.begins[stream]:
                start = max(one.begins[stream], offset - _BACK_BYTES)
                data = os.pread(fds[stream], offset - start, start - one.bases[stream])
                if (newline := data.rfind(b"\n")) >= 0:
                    return start + newline + 1
                offset = start
            if not one.torn[stream]:
                return offset
        return None

    def _count(self, place: Place, stops: Sequence[int], enough: int) -> int:
        """Count the lines that end between a place and where the streams stop, until there are enough."""
        found = -sum(place.torn)  # a line without its beginning is left out
        for one, fds, _ in reversed(self._open):
            if one.number < place.number:
                break
            for stream in range(len(STREAMS)):
                start = max(place.ends[stream], one.begins[stream]) - one.bases[stream]
                end = min(stops[stream] - one.bases[stream], os.fstat(fds[stream]).st_size)
                while start < end and found < enough:
                    found += os.pread(fds[stream], min(1 << 20, end - start), start).count(b"\n")
                    start += 1 << 20
        return found


def latest(found: Sequence[Generation]) -> int:
    """Return the time of the last record of a log; 0 where there is none."""
    for one in reversed(found):
        try:
            fds = one.open()
        except FileNotFoundError:
            continue
        try:
            size = os.fstat(fds[2]).st_size
            if time_ns := time_at(one, fds, size - size % RECORD.size - RECORD.size):
                return time_ns
        finally:
            for fd in fds:
                os.close(fd)
    return 0


def time_at(one: Generation, fds: Sequence[int], position: int) -> int:
    """Return the time of a record, or of the last one before it that the disk has not torn; 0 where there is none."""
    while position >= one.first_record:
        time_ns, stream, end = RECORD.unpack(os.pread(fds[2], RECORD.size, position))
        if stream < len(STREAMS) and end > one.begins[stream]:
            return int(time_ns)
        position -= RECORD.size
    return 0


def end_before(one: Generation, fds: Sequence[int], stream: int, position: int) -> tuple[int, int]:
    """Return the end offset of a stream before the record at ``position``, and the position of the record that has it.

    The position is -1 where there is none. The records of one stream may be far apart, so whole blocks are searched for
    the stream's byte, and only matches are unpacked.
    """
    size = os.fstat(fds[stream]).st_size
    if one.begins[stream] - one.bases[stream] >= size:
        return one.begins[stream], -1
    wanted = bytes((stream,))
    step = _RECORDS_BACK * RECORD.size
    while position > one.first_record:
        start = max(one.first_record, position - step)
        step = min(2 * step, _MOST_BYTES)
        block = os.pread(fds[2], position - start, start)
        streams = block[_STREAM_AT :: RECORD.size]
        found = len(streams)
        while (found := streams.rfind(wanted, 0, found)) >= 0:
            _, of, end = RECORD.unpack_from(block, found * RECORD.size)
            if of == stream and one.begins[stream] < end <= one.bases[stream] + size:
                return int(end), start + found * RECORD.size  # not one that the disk has torn
        position = start
    return one.begins[stream], -1
