"""Container output: from a FIFO into a file by splice, with an index of times beside it.

    <container>/logs/stdout, stderr     the bytes as they came
    <container>/logs/index              24-byte records: time (ns), stream, end offset in its file
    <container>/logs/start              where each of the three begins, once something has been dropped

A log that has a limit is not rotated but emptied from its front, by holes: every offset stays what it was, so that
whoever is reading or following goes on, and a kill at any moment leaves nothing to mend.
No byte passes through our memory, so no byte can be lost with us: what the kernel has moved is in the file, what
it has not is in the FIFO. A record that was not written before a kill is written again from the file's length.
"""

from __future__ import annotations

import errno
import os
import struct
import time

from composer.backends.namespace.runtime import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

RECORD = struct.Struct("<QQQ")
STREAMS = ("stdout", "stderr")
_START = struct.Struct("<QQQ")
_SPLICE_BYTES = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def fifo_path(bundle: str, stream: str) -> str:
    return f"{bundle}/{stream}.fifo"


class Log:
    """The output of one container, over all its starts. Owned by the supervisor; one writer at a time.

    ``limits``: ``most`` bytes are kept, and when there are more all but the last ``least`` are dropped; ``keep``
    False keeps nothing.
    """

    __slots__ = (
        "_directory",
        "_fifos",
        "_files",
        "_index",
        "_keep",
        "_least",
        "_most",
        "_offsets",
        "_starts",
    )

    def __init__(self, bundle: str, limits: Mapping[str, Any] | None = None) -> None:
        limits = limits or {}
        self._keep = bool(limits.get("keep", True))
        self._most, self._least = int(limits.get("most", 0)), int(limits.get("least", 0))
        self._directory = f"{bundle}/logs"
        directory = f"{bundle}/logs"
        os.makedirs(directory, 0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._files = [os.open(f"{directory}/{stream}", flags, 0o600) for stream in STREAMS]
        self._index = os.open(f"{directory}/index", flags | os.O_APPEND, 0o600)
        self._offsets = [os.fstat(file).st_size for file in self._files]
        self._fifos = [_open_fifo(fifo_path(bundle, stream)) for stream in STREAMS]
        self._starts = read_starts(directory)
        self._mend()

    def _mend(self) -> None:
        """Cut a torn last record, and record what was moved but not indexed when the last writer was killed."""
        size = os.fstat(self._index).st_size
        if size % RECORD.size:
            os.ftruncate(self._index, size - size % RECORD.size)
        known = [0, 0]
        position = self._starts[2]
        while data := os.pread(self._index, RECORD.size * 4096, position):
            position += len(data)
            for _, stream, end in RECORD.iter_unpack(data):
                known[stream] = end
        for stream, offset in enumerate(self._offsets):
            if offset > known[stream]:
                self._record(stream, os.fstat(self._files[stream]).st_mtime_ns)

    def readers(self) -> list[int]:
        """Return the reading end of each stream's FIFO."""
        return list(self._fifos)

    def pump_if_room(self, stream: int) -> bool:
        """Move what is waiting; False when the disk is full, and it has to wait."""
        try:
            self.pump(stream)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            return False
        return True

    def pump(self, stream: int) -> bool:
        """Move what is waiting; True when something came."""
        moved = syscalls.splice(
            self._fifos[stream], self._files[stream], self._offsets[stream], _SPLICE_BYTES
        )
        if moved == 0:
            return False
        self._offsets[stream] += moved
        self._record(stream, time.time_ns())
        return True

    def _record(self, stream: int, time_ns: int) -> None:
        os.write(self._index, RECORD.pack(time_ns, stream, self._offsets[stream]))
        if self._most and sum(self._offsets) - sum(self._starts[:2]) > self._most:
            self._drop()

    def _drop(self) -> None:
        """Drop what is oldest of both streams, and the records of it."""
        kept = sum(self._offsets) - sum(self._starts[:2])
        first = [
            offset - (offset - start) * self._least // kept
            for offset, start in zip(self._offsets, self._starts, strict=False)
        ]
        self._starts = (first[0], first[1], self._first_record(first))
        # Before the holes: a reader looks here after it has read, and knows what it must not take for output.
        fd = os.open(f"{self._directory}/start", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.pwrite(fd, _START.pack(*self._starts), 0)
        os.close(fd)
        try:
            for file, length in zip((*self._files, self._index), self._starts, strict=True):
                if length:
                    syscalls.punch_hole(file, length)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            self._most = 0  # a file system without holes: the log grows, which is better than to lose it

    def _first_record(self, first: Sequence[int]) -> int:
        """Return where the first record is that is about something kept."""
        position = self._starts[2]
        while data := os.pread(self._index, RECORD.size * 4096, position):
            for _, stream, end in RECORD.iter_unpack(data):
                if end > first[stream]:
                    return position
                position += RECORD.size
        return position

    def drain(self) -> None:
        """Move everything that the program left behind; for after its exit. What a full disk refuses is lost."""
        for stream in (0, 1):
            try:
                while self.pump(stream):
                    pass
            except OSError as error:
                if error.errno not in _FULL:
                    raise

    def append(self, stream: int, data: bytes) -> None:
        """Write bytes that did not come through a FIFO (a terminal's)."""
        if not self._keep:
            return
        self._offsets[stream] += os.pwrite(self._files[stream], data, self._offsets[stream])
        self._record(stream, time.time_ns())

    def close(self) -> None:
        for fd in (*self._files, self._index, *self._fifos):
            os.close(fd)


def _open_fifo(path: str) -> int:
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        pass  # a restart, or an adoption: the program still writes to it
    # Reading and writing: never an end of file, and never EPIPE for the program, whoever of us is alive.
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def open_writer(bundle: str, stream: str) -> int:
    """Open the end that the program gets. Reading and writing, so that it can never see EPIPE."""
    return os.open(fifo_path(bundle, stream), os.O_RDWR | os.O_CLOEXEC)


def read_starts(directory: str) -> tuple[int, int, int]:
    """Return where stdout, stderr and the index begin: 0 while nothing has been dropped."""
    try:
        with open(f"{directory}/start", "rb") as file:
            stdout, stderr, index = _START.unpack(file.read(_START.size))
    except (FileNotFoundError, struct.error):
        return (0, 0, 0)
    return (stdout, stderr, index)


def read_index(path: str, position: int = 0) -> Iterator[tuple[int, int, int]]:
    """Yield the (time_ns, stream, end) records of an index file from byte ``position`` on."""
    with open(path, "rb") as file:
        file.seek(position)
        while data := file.read(RECORD.size * 4096):
            whole = len(data) - len(data) % RECORD.size
            yield from RECORD.iter_unpack(data[:whole])
