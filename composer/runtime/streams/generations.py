"""The files of a container's log, generation by generation, and reading across them.

    <container>/logs/stdout, stderr     the bytes as they came, and
    <container>/logs/index              24-byte records: time (ns), stream, end offset: the first generation
    <container>/logs/<n>/               the same three and ``base``, from the n-th change of files on
    <container>/logs/start              where each of the three begins: of a log that an earlier version has emptied
    <container>/logs/ordered            says that no time of the index is less than the one before it

Offsets count from the first byte that the container ever wrote; ``base`` has the one at which a generation begins, and
whether that is inside a line. A generation that has one after it is never written again; one that has no ``index`` is
half removed, and is none.
"""

from __future__ import annotations

import errno
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RECORD = struct.Struct("<QQQ")
STREAMS = ("stdout", "stderr")
_BASE = struct.Struct("<QQ??")
_START = struct.Struct("<QQQ")
_RECORDS_AT_ONCE = 4096
_WINDOW_BYTES = 1 << 16


class Generation:
    """Files of one generation. ``bases``: the offsets of their first bytes; ``begins``: of the first that is kept."""

    __slots__ = ("bases", "begins", "directory", "first_record", "number", "torn")

    def __init__(self, logs: str, number: int) -> None:
        self.number = number
        self.directory = f"{logs}/{number}" if number else logs
        self.bases, self.torn, self.first_record = (0, 0), (False, False), 0
        self.begins = self.bases
        if number:
            with open(f"{self.directory}/base", "rb") as file:
                data = file.read(_BASE.size)
            if len(data) != _BASE.size:
                raise FileNotFoundError(errno.ENOENT, "it is incomplete", file.name)  # the disk was full
            stdout, stderr, *torn = _BASE.unpack(data)
            self.bases = self.begins = (stdout, stderr)
            self.torn = (torn[0], torn[1])
        else:
            self._read_start()

    def _read_start(self) -> None:
        try:
            with open(f"{self.directory}/start", "rb") as file:
                stdout, stderr, self.first_record = _START.unpack(file.read(_START.size))
        except (FileNotFoundError, struct.error):
            return
        self.begins, self.torn = (stdout, stderr), (stdout > 0, stderr > 0)

    def open(self, flags: int = os.O_RDONLY) -> tuple[int, int, int]:
        """Open stdout, stderr and index, all of them or none."""
        opened: list[int] = []
        try:
            opened += (
                os.open(f"{self.directory}/{name}", flags | os.O_CLOEXEC, 0o600)
                for name in (*STREAMS, "index")
            )
        except OSError:
            for fd in opened:
                os.close(fd)
            raise
        return opened[0], opened[1], opened[2]


def base(offsets: Sequence[int], torn: Sequence[bool]) -> bytes:
    """Return what a generation's ``base`` has in it."""
    return _BASE.pack(*offsets, *torn)


def numbers(logs: str) -> list[int]:
    """Return the numbers of all generations, the oldest first."""
    try:
        found = sorted(int(name) for name in os.listdir(logs) if name.isdecimal())
    except FileNotFoundError:
        return []
    present = [number for number in found if _is_whole(f"{logs}/{number}")]
    return [0, *present] if os.path.exists(f"{logs}/index") else present


def _is_whole(directory: str) -> bool:
    """Tell whether there is a generation: one that a kill or a power cut left in parts is removed by the writer."""
    try:
        return os.path.exists(f"{directory}/index") and os.path.getsize(f"{directory}/base") == _BASE.size
    except FileNotFoundError:
        return False


def mark_ordered(logs: str) -> None:
    """Say of a new log that its times do not fall. Those of earlier versions do, where a clock was set back."""
    os.close(os.open(f"{logs}/ordered", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def begin(logs: str) -> None:
    """Make the files of the first generation of a log that has none yet."""
    if not numbers(logs):
        mark_ordered(logs)
        for fd in Generation(logs, 0).open(os.O_RDWR | os.O_CREAT):
            os.close(fd)


def is_ordered(logs: str) -> bool:
    return os.path.exists(f"{logs}/ordered")


def generations(logs: str) -> list[Generation]:
    found = []
    for number in numbers(logs):
        try:
            found.append(Generation(logs, number))
        except FileNotFoundError:
            continue  # dropped in this moment
    return found


class Chunk:
    """Data that arrived together on one stream. ``gap``: earlier data was dropped; ``torn``: starts within a line."""

    __slots__ = ("data", "gap", "stream", "time_ns", "torn")

    def __init__(self, time_ns: int, stream: int, data: bytes, *, gap: bool, torn: bool) -> None:
        self.time_ns, self.stream, self.data = time_ns, stream, data
        self.gap, self.torn = gap, torn


class Cursor:
    """Reads a log on from where the last call stopped, through its generations as they come and go.

    ``hold``: keep the files open, of a container that is removed in the moment in which it ends.
    """

    def __init__(self, logs: str, *, hold: bool = False) -> None:
        self._logs = logs
        self._hold = hold
        self._held: tuple[int, int, int] | None = None
        self._at: Generation | None = None
        self._position = 0
        self._ends = [0, 0]
        self._gaps = [False, False]
        self._windows = [(0, b""), (0, b"")]

    def seek(self, number: int, position: int, ends: Sequence[int]) -> bool:
        """Start at a byte position in the index of a generation, with each stream at its offset in ``ends``.

        Call it before the first read. Return False, and change nothing, when the generation has just been dropped. What
        lies before the offsets is not reported as a gap.
        """
        if not self._enter(number):
            return False
        self._position = max(self._position, position)
        self._ends = [max(end, begin) for end, begin in zip(ends, self._ends, strict=True)]
        self._gaps = [False, False]
        return True

    def hold(self) -> None:
        """Open the files now: what comes is read even if the container is removed before the first look."""
        self._hold = True
        if self._at is None:
            found = numbers(self._logs)
            if not found or not self._enter(found[0]):
                return
        if self._at is not None and self._held is None:
            self._held = self._at.open()

    def chunks(self) -> Iterator[Chunk]:
        """Yield what has come since the last call."""
        while True:
            # Listed before it is read: where there is a next one now, nothing is added to this one any more.
            found = numbers(self._logs)
            later = [number for number in found if self._at is None or number > self._at.number]
            is_known = self._at is not None and (self._at.number in found or self._held is not None)
            if is_known or (later and self._enter(later.pop(0))):
                try:
                    yield from self._read()
                except FileNotFoundError:
                    if not later:
                        return  # the container was removed
            if not later or not self._leave(later[0]):
                return

    def _enter(self, number: int) -> bool:
        """Go to a generation; False when it has just been dropped."""
        try:
            entered = Generation(self._logs, number)
        except FileNotFoundError:
            return False
        self._at, self._position = entered, entered.first_record
        self._windows = [(0, b""), (0, b"")]
        for stream, begin in enumerate(entered.begins):
            if begin > self._ends[stream]:
                self._ends[stream], self._gaps[stream] = begin, True
        return True

    def _leave(self, number: int) -> bool:
        """Go on to the next generation: this one has been read to its end, or is gone."""
        self.close()
        while not self._enter(number):
            later = [later for later in numbers(self._logs) if later > number]
            if not later:
                return False
            number = later[0]
        return True

    def _read(self) -> Iterator[Chunk]:
        assert self._at is not None
        fds = self._held or self._at.open()
        if self._hold:
            self._held = fds
        try:
            while True:
                data = os.pread(fds[2], RECORD.size * _RECORDS_AT_ONCE, self._position)
                whole = len(data) - len(data) % RECORD.size
                if not whole:
                    return
                # after the records, whose data is written before them
                ends = [base + os.fstat(fd).st_size for base, fd in zip(self._at.bases, fds, strict=False)]
                for record in RECORD.iter_unpack(data[:whole]):
                    self._position += RECORD.size
                    chunk = self._chunk(fds, ends, record)
                    if chunk is not None:
                        yield chunk
        finally:
            if not self._hold:
                for fd in fds:
                    os.close(fd)

    def _chunk(self, fds: Sequence[int], ends: Sequence[int], record: tuple[int, int, int]) -> Chunk | None:
        assert self._at is not None
        time_ns, stream, end = record
        if stream >= len(STREAMS):
            return None  # no record of ours: the disk has torn it
        start = self._ends[stream]
        end = min(end, ends[stream])  # a damaged record may say anything
        if end <= start:
            return None  # dropped, by a version that emptied a log from its front
        data = self._data(fds[stream], stream, (start, end, ends[stream]))
        gap, self._gaps[stream] = self._gaps[stream], False
        self._ends[stream] = end
        return Chunk(time_ns, stream, data, gap=gap, torn=gap and self._at.torn[stream])

    def _data(self, fd: int, stream: int, part: tuple[int, int, int]) -> bytes:
        """Return the bytes of a stream for ``part``: (start, end, end of the data on disk), all offsets.

        Small records are read many at a time, in windows of 64 KiB.
        """
        assert self._at is not None
        start, end, limit = part
        base = self._at.bases[stream]
        if end - start >= _WINDOW_BYTES:
            return os.pread(fd, end - start, start - base)
        begin, window = self._windows[stream]
        if not begin <= start <= end <= begin + len(window):
            begin, window = start, os.pread(fd, min(_WINDOW_BYTES, limit - start), start - base)
            self._windows[stream] = begin, window
        return window[start - begin : end - begin]

    def close(self) -> None:
        if self._held is not None:
            for fd in self._held:
                os.close(fd)
            self._held = None


def read_at(logs: str, stream: int, offset: int, count: int) -> tuple[int, bytes]:
    """Return (offset, bytes) of a stream from an offset on, or from the first that is kept."""
    data = b""
    for one in generations(logs):
        at = max(offset, one.begins[stream]) if not data else offset + len(data)
        try:
            with open(f"{one.directory}/{STREAMS[stream]}", "rb", buffering=0) as file:
                local = at - one.bases[stream]
                if local > os.fstat(file.fileno()).st_size:
                    continue
                piece = os.pread(file.fileno(), count - len(data), local)
        except FileNotFoundError:
            continue  # dropped in this moment
        if piece and not data:
            offset = at
        data += piece
        if len(data) >= count:
            break
    return offset, data
