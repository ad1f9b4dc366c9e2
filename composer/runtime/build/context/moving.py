"""A file's contents on their way into another file: hashed where that is wanted, else moved inside the kernel.

Holes stay holes. Blocks are shared where the file system can do that (copy_file_range), and small files are read at
once.
"""

from __future__ import annotations

import errno
import hashlib
import os
from typing import TYPE_CHECKING

from composer.runtime.build.context.reading import (
    PIECE_BYTES,
    SMALL_BYTES,
    Contents,
    Entry,
    Unstable,
    is_same,
    segments,
)
from composer.runtime.build.context.targets import Unwritable

if TYPE_CHECKING:
    from composer.runtime.build.context.statcache import StatCache

_MOST_AT_ONCE = 1 << 30
# what copy_file_range(2) says where it cannot do it between these two files
_ELSEWISE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)


class Moving:
    """Copies contents, file after file. ``cache`` knows the digests of some, and is told those of others."""

    def __init__(self, cache: StatCache | None, *, wants_digest: bool) -> None:
        self._cache = cache
        self._wants_digest = wants_digest
        self._buffer: memoryview | None = None

    def copy(self, entry: Entry, fd: int, path: str) -> bytes:
        """Copy a file's contents; return their digest, nothing where it is not wanted."""
        state = entry.state
        if state.st_size <= SMALL_BYTES:
            return self._small(entry, fd, path)
        known = self._cache.get(state) if self._cache is not None and self._wants_digest else None
        if not self._wants_digest or known is not None:
            for start, length in segments(entry.fd, state):
                self._moved(entry.fd, fd, start, length, path)
            self._sized(fd, state, path)
            return known or b""
        found = self._read_and_written(entry, fd, path)
        if self._cache is not None and is_same(state, os.fstat(entry.fd)):
            self._cache.put(state, found)
        return found

    def _small(self, entry: Entry, fd: int, path: str) -> bytes:
        state = entry.state
        data = os.pread(entry.fd, state.st_size + 1, 0)
        if len(data) != state.st_size:
            raise Unstable
        if data:
            _write(fd, data, 0, path)
        if not self._wants_digest:
            return b""
        return hashlib.sha256(data).digest()

    def _read_and_written(self, entry: Entry, fd: int, path: str) -> bytes:
        state = entry.state
        contents = Contents(state.st_size)
        if self._buffer is None:
            self._buffer = memoryview(bytearray(PIECE_BYTES))
        for start, length in segments(entry.fd, state):
            contents.begin(start, length)
            while length:
                count = os.preadv(entry.fd, [self._buffer[: min(length, PIECE_BYTES)]], start)
                if not count:
                    raise Unstable
                contents.add(self._buffer[:count])
                _write(fd, self._buffer[:count], start, path)
                start, length = start + count, length - count
        self._sized(fd, state, path)
        return contents.digest()

    def _moved(self, source: int, fd: int, start: int, length: int, path: str) -> None:
        """Move a segment inside the kernel: as a reference to the same blocks where the file system has such."""
        try:
            while length:
                count = os.copy_file_range(source, fd, min(length, _MOST_AT_ONCE), start, start)
                if not count:
                    raise Unstable
                start, length = start + count, length - count
        except Unstable:
            raise
        except OSError as error:
            if error.errno not in _ELSEWISE:
                raise Unwritable(error, f"/{path}") from error
            self._sent(source, fd, start, length, path)

    def _sent(self, source: int, fd: int, start: int, length: int, path: str) -> None:
        os.lseek(fd, start, os.SEEK_SET)
        while length:
            try:
                count = os.sendfile(fd, source, start, min(length, _MOST_AT_ONCE))
            except OSError as error:
                raise Unwritable(error, f"/{path}") from error
            if not count:
                raise Unstable
            start, length = start + count, length - count

    def _sized(self, fd: int, state: os.stat_result, path: str) -> None:
        """Give a file its size where it ends in a hole."""
        if state.st_blocks * 512 < state.st_size:
            try:
                os.ftruncate(fd, state.st_size)
            except OSError as error:
                raise Unwritable(error, f"/{path}") from error


def _write(fd: int, data: bytes | memoryview, offset: int, path: str) -> None:
    view = memoryview(data)
    while view:
        try:
            count = os.pwrite(fd, view, offset)
        except OSError as error:
            raise Unwritable(error, f"/{path}") from error
        view, offset = view[count:], offset + count
