"""The digests of files by their attributes, kept on disk: what has not been touched is not read again.

A table of fixed size, each file in one of the few slots that its number leads to. Processes share it without a lock: a
record that is torn fails its checksum and counts as missing, and a lost or deleted table costs time and nothing else.
A file that was changed in the last moments is not remembered: it may be changed again within the clock's granularity
(Git calls such an entry racy: https://git-scm.com/docs/racy-git).
"""

from __future__ import annotations

import errno
import os
import struct
import time
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MAGIC = b"composer digests of files, 1\n".ljust(64, b"\0")
_KEY = struct.Struct("=QQqqq")  # device, inode, size, times of change of contents and of attributes in ns
_HALF = 1 << 63
_SUM = struct.Struct("=I")
_RECORD_BYTES = _KEY.size + 32 + 4 + 4  # key, SHA-256, checksum, padding
_SLOTS = 8
_BUCKET_BYTES = _RECORD_BYTES * _SLOTS
_BUCKETS = 1 << 15
"""Room for 262,144 files: 21 MB, sparse until it is used."""
_RACY_NS = 2_000_000_000
"""The coarsest clock of a file system that holds contexts (FAT's)."""


class StatCache:
    """Digests of files by device, inode, size and times. For any number of threads; close it at the end.

    ``path`` is made when it is missing. Where it cannot be used (another format, a full disk) nothing is remembered.
    """

    def __init__(self, path: str, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock_ns = clock_ns
        self._fd = -1
        self._is_full = False
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return  # a cache that cannot be opened is an empty one
        try:
            head = os.pread(fd, len(_MAGIC), 0)
            if not head:
                os.pwrite(fd, _MAGIC, 0)
            elif head != _MAGIC:
                raise OSError(errno.EINVAL, "it is in another format")
        except OSError:
            os.close(fd)
            return
        self._fd = fd

    def __enter__(self) -> StatCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def get(self, state: os.stat_result) -> bytes | None:
        """Return the SHA-256 of a file with these attributes, None when it is not known."""
        if self._fd < 0:
            return None
        key = _key(state)
        bucket = self._read(key)
        at = bucket.find(key)
        if at < 0 or at % _RECORD_BYTES:
            return None
        record = bucket[at : at + _RECORD_BYTES]
        return record[40:72] if len(record) == _RECORD_BYTES and _is_whole(record) else None

    def put(self, state: os.stat_result, digest: bytes) -> None:
        """Remember a file's digest, unless the file is so young that it may change unseen."""
        if (
            self._fd < 0
            or self._is_full
            or max(state.st_mtime_ns, state.st_ctime_ns) > self._clock_ns() - _RACY_NS
        ):
            return
        key = _key(state)
        record = key + digest
        record += _SUM.pack(zlib.crc32(record)) + bytes(4)
        slot = self._slot(self._read(key), key)
        try:
            os.pwrite(self._fd, record, _offset(key) + slot * _RECORD_BYTES)
        except OSError:
            self._is_full = True  # a full disk: what is not remembered is read again

    def _slot(self, bucket: bytes, key: bytes) -> int:
        """Return where a record goes: over the same file's, to an empty slot, or over one that chance names."""
        empty = -1
        for slot in range(_SLOTS):
            record = bucket[slot * _RECORD_BYTES : (slot + 1) * _RECORD_BYTES]
            if record[:16] == key[:16]:
                return slot
            if empty < 0 and not any(record[: _KEY.size]):
                empty = slot
        return empty if empty >= 0 else zlib.crc32(key) >> 24 & (_SLOTS - 1)

    def _read(self, key: bytes) -> bytes:
        try:
            return os.pread(self._fd, _BUCKET_BYTES, _offset(key))
        except OSError:
            return b""


def _key(state: os.stat_result) -> bytes:
    # a file may be of a time that does not fit into 64 bits of nanoseconds
    times = [((ns + _HALF) % (2 * _HALF)) - _HALF for ns in (state.st_mtime_ns, state.st_ctime_ns)]
    return _KEY.pack(state.st_dev, state.st_ino, state.st_size, *times)


def _offset(key: bytes) -> int:
    return len(_MAGIC) + zlib.crc32(key[:16]) % _BUCKETS * _BUCKET_BYTES


def _is_whole(record: bytes) -> bool:
    return bool(_SUM.unpack_from(record, 72)[0] == zlib.crc32(record[:72]))
