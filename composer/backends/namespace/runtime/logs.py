"""Container output: from a FIFO into a file by splice, with an index of times beside it.

    <container>/logs/stdout, stderr     the bytes as they came
    <container>/logs/index              24-byte records: time (ns), stream, end offset in its file

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
    from collections.abc import Iterator

RECORD = struct.Struct("<QQQ")
STREAMS = ("stdout", "stderr")
_SPLICE_BYTES = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def fifo_path(bundle: str, stream: str) -> str:
    return f"{bundle}/{stream}.fifo"


class Log:
    """The output of one container, over all its starts. Owned by the supervisor; one writer at a time."""

    __slots__ = ("_fifos", "_files", "_index", "_offsets")

    def __init__(self, bundle: str) -> None:
        directory = f"{bundle}/logs"
        os.makedirs(directory, 0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._files = [os.open(f"{directory}/{stream}", flags, 0o600) for stream in STREAMS]
        self._index = os.open(f"{directory}/index", flags | os.O_APPEND, 0o600)
        self._offsets = [os.fstat(file).st_size for file in self._files]
        self._fifos = [_open_fifo(fifo_path(bundle, stream)) for stream in STREAMS]
        self._mend()

    def _mend(self) -> None:
        """Cut a torn last record, and record what was moved but not indexed when the last writer was killed."""
        size = os.fstat(self._index).st_size
        if size % RECORD.size:
            os.ftruncate(self._index, size - size % RECORD.size)
        known = [0, 0]
        position = 0
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


def read_index(path: str, position: int = 0) -> Iterator[tuple[int, int, int]]:
    """Yield the (time_ns, stream, end) records of an index file from byte ``position`` on."""
    with open(path, "rb") as file:
        file.seek(position)
        while data := file.read(RECORD.size * 4096):
            whole = len(data) - len(data) % RECORD.size
            yield from RECORD.iter_unpack(data[:whole])
