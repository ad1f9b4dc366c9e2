"""Container output: from a FIFO into a file by splice, with an index of times beside it (`generations`).

A log that has reached its size goes on in new files, and the oldest are removed when there is more than it may keep: no
offset in a file grows for ever, and the index counts as well. The new files appear by one rename, so a kill at any
moment leaves a log that is whole.
No byte passes through our memory, so no byte can be lost with us: what the kernel has moved is in the file, what
it has not is in the FIFO. A record that was not written before a kill is written again from the file's length.
"""

from __future__ import annotations

import errno
import os
import time

from composer.runtime.base import files, syscalls, trees
from composer.runtime.streams import generations, seeking
from composer.runtime.streams.generations import RECORD, STREAMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_SPLICE_BYTES = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LONGEST = 1 << 40
"""The size of a generation without limits: what a file system can have in one file is not forever either."""


def fifo_path(bundle: str, stream: str) -> str:
    return f"{bundle}/{stream}.fifo"


class Log:
    """The output of one container, over all its starts. Owned by the supervisor; one writer at a time.

    ``limits``: about ``most`` bytes are kept, and when there are more, the oldest are removed until ``least`` are left:
    by whole generations, which have the difference. ``keep`` False keeps nothing.
    """

    __slots__ = (
        "_at",
        "_count",
        "_directory",
        "_fifos",
        "_files",
        "_index",
        "_keep",
        "_latest_ns",
        "_limit",
        "_most",
        "_offsets",
        "_recorded",
    )

    def __init__(self, bundle: str, limits: Mapping[str, Any] | None = None) -> None:
        limits = limits or {}
        self._keep = bool(limits.get("keep", True))
        self._most, least = int(limits.get("most", 0)), int(limits.get("least", 0))
        self._limit = max(1, self._most - least) if self._most else _LONGEST
        self._count = least // self._limit
        self._directory = f"{bundle}/logs"
        os.makedirs(self._directory, 0o700, exist_ok=True)
        found = generations.generations(self._directory)
        if not found:
            generations.mark_ordered(self._directory)
        self._latest_ns = seeking.latest(found)
        self._open(found[-1] if found else generations.Generation(self._directory, 0))
        self._remove_old()
        self._fifos = [_open_fifo(fifo_path(bundle, stream)) for stream in STREAMS]
        self._mend()

    def _open(self, at: generations.Generation) -> None:
        self._at = at
        *self._files, self._index = at.open(os.O_RDWR | os.O_CREAT)
        # What is in a file, and how much of it the index has; both within the generation.
        self._offsets = [os.fstat(file).st_size for file in self._files]
        self._recorded = [0, 0]

    def _mend(self) -> None:
        """Cut a torn last record, and record what was moved but not indexed when the last writer was killed."""
        size = os.fstat(self._index).st_size
        if size % RECORD.size:
            os.ftruncate(self._index, size - size % RECORD.size)
        size -= size % RECORD.size
        fds = (*self._files, self._index)
        for stream in range(len(STREAMS)):
            end, _ = seeking.end_before(self._at, fds, stream, size)
            self._recorded[stream] = end - self._at.bases[stream]
        for stream in range(len(STREAMS)):
            if self._offsets[stream] > self._recorded[stream]:
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
        if self._offsets[stream] != self._recorded[stream]:
            self._record(stream, time.time_ns())  # the disk was full when it came
        moved = syscalls.splice(self._fifos[stream], self._files[stream], self._offsets[stream], self._room())
        if moved == 0:
            return False
        self._offsets[stream] += moved
        self._record(stream, time.time_ns())
        return True

    def _record(self, stream: int, time_ns: int) -> None:
        end = self._offsets[stream]
        # a clock may be set back; what is looked for by its time needs times that do not fall
        self._latest_ns = max(self._latest_ns, time_ns)
        record = RECORD.pack(self._latest_ns, stream, self._at.bases[stream] + end)
        size = os.fstat(self._index).st_size
        written = os.pwrite(self._index, record, size)
        if written < len(record):
            os.ftruncate(self._index, size)  # what follows would be read from the middle of a record
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._recorded[stream] = end
        if self._room() == 1 and self._offsets == self._recorded:
            self._change_files()

    def _room(self) -> int:
        """Return how much to move at once, so that no burst is larger than what a generation may have."""
        at = self._at
        dropped = sum(at.begins) - sum(at.bases) + at.first_record
        kept = sum(self._offsets) + os.fstat(self._index).st_size - dropped
        return max(1, min(_SPLICE_BYTES, self._limit - kept))

    def _change_files(self) -> None:
        """Go on in a new generation. Where there is no room for one, in this one, until there is."""
        ends = [base + offset for base, offset in zip(self._at.bases, self._offsets, strict=True)]
        made = f"{self._directory}/.next"
        try:
            trees.remove_tree(made)
            os.mkdir(made, 0o700)
            for name in (*STREAMS, "base", "index"):
                os.close(os.open(f"{made}/{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            torn = [self._is_torn(stream) for stream in range(len(STREAMS))]
            with open(f"{made}/base", "wb") as file:
                file.write(generations.base(ends, torn))
            os.rename(made, f"{self._directory}/{self._at.number + 1}")
        except OSError as error:
            if error.errno not in _FULL:
                raise
            return
        for fd in (*self._files, self._index):
            os.close(fd)
        self._open(generations.Generation(self._directory, self._at.number + 1))
        self._remove_old()

    def _is_torn(self, stream: int) -> bool:
        """Tell whether what comes next on a stream is not the beginning of a line."""
        end = self._offsets[stream]
        if not end:
            return self._at.torn[stream]
        return os.pread(self._files[stream], 1, end - 1) != b"\n"

    def _remove_old(self) -> None:
        """Remove the oldest generations of which the log has too many, and what a kill left of others."""
        older = [number for number in generations.numbers(self._directory) if number != self._at.number]
        kept = {self._at.number, *(older[max(0, len(older) - self._count) :] if self._most else older)}
        present = {int(name) for name in os.listdir(self._directory) if name.isdecimal()}
        for number in sorted({0, *present} - kept):
            self._remove(number)

    def _remove(self, number: int) -> None:
        """Remove a generation. The index goes first: without it there is none, whatever else is left."""
        directory = f"{self._directory}/{number}" if number else self._directory
        for name in ("index", *STREAMS, "start", "base"):
            files.remove_file(f"{directory}/{name}")
        if number:
            os.rmdir(directory)

    def drain(self) -> None:
        """Move everything that the program left behind; for after its exit. What a full disk refuses is lost."""
        for stream in (0, 1):
            try:
                while self.pump(stream):
                    pass
            except OSError as error:
                if error.errno not in _FULL:
                    raise

    def append(self, stream: int, data: bytes) -> int:
        """Write bytes that did not come through a FIFO (a terminal's); return how many there was room for."""
        if not self._keep:
            return len(data)
        done = 0
        try:
            if self._offsets[stream] != self._recorded[stream]:
                self._record(stream, time.time_ns())
            while done < len(data):
                piece = data[done : done + self._room()]
                written = os.pwrite(self._files[stream], piece, self._offsets[stream])
                done += written
                self._offsets[stream] += written
                self._record(stream, time.time_ns())
        except OSError as error:
            if error.errno not in _FULL:
                raise
        return done

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
