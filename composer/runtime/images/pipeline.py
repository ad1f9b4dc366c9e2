"""A layer's bytes on their way in: read, hashed, kept and decompressed in one thread, unpacked in another.

zlib, the digests and file I/O all release the interpreter's lock, so the two threads use two cores.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from typing import TYPE_CHECKING, BinaryIO

from composer.errors import ImageError
from composer.runtime.images import compression

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES = 1 << 20
_AHEAD = 8  # chunks that wait between the threads: 8 MiB


def file_chunks(file: BinaryIO, size: int | None = None) -> Iterator[bytes]:
    """Yield ``size`` bytes of a file, or all that is left. Raises ImageError when it ends before."""
    left = size
    while left is None or left > 0:
        chunk = file.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
        if not chunk:
            if left is not None:
                raise ImageError("unexpected end of archive")
            return
        if left is not None:
            left -= len(chunk)
        yield chunk


class Pipeline:
    """Iterate over the plain bytes of ``chunks``; afterwards the digests and sizes are known.

    ``keep`` is a descriptor that receives the bytes as they came; without ``hashes_blob`` somebody else has their
    digest. The consumer must read to the end for the
    digests to cover everything; use as a context manager, which stops the thread on the way out.
    """

    def __init__(self, chunks: Iterator[bytes], keep: int | None = None, *, hashes_blob: bool = True) -> None:
        self._chunks = chunks
        self._keep = keep
        self._hashes_blob = hashes_blob
        self._ready: queue.Queue[bytes | BaseException | None] = queue.Queue(_AHEAD)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._blob_sum = hashlib.sha256()
        self._plain_sum = hashlib.sha256()
        self._compression: str | None = None
        self.blob_bytes = 0
        self.plain_bytes = 0

    def __enter__(self) -> Pipeline:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        while self._thread.is_alive():
            try:
                self._ready.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def __iter__(self) -> Iterator[bytes]:
        while (item := self._ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    @property
    def compression(self) -> str:
        """``gzip``, ``zstd``, ``xz``, ``bzip2`` or nothing."""
        return self._compression or ""

    @property
    def blob_digest(self) -> str:
        return f"sha256:{self._blob_sum.hexdigest()}"

    @property
    def diff_id(self) -> str:
        """The digest of the plain bytes, which is the blob's own when it is not compressed."""
        if self.compression or not self._hashes_blob:
            return f"sha256:{self._plain_sum.hexdigest()}"
        return self.blob_digest

    def _run(self) -> None:
        try:
            for piece in compression.decompress(self._tapped()):
                if not piece:
                    continue
                self.plain_bytes += len(piece)
                if self._compression or not self._hashes_blob:
                    self._plain_sum.update(piece)
                self._ready.put(piece)
                if self._stopped.is_set():
                    return
            self._ready.put(None)
        except BaseException as error:  # raised again in the thread that iterates
            self._ready.put(error)

    def _tapped(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if self._compression is None:
                self._compression = compression.kind_of(chunk)
            if self._hashes_blob:
                self._blob_sum.update(chunk)
            self.blob_bytes += len(chunk)
            if self._keep is not None:
                view = memoryview(chunk)
                while view:
                    view = view[os.write(self._keep, view) :]
            yield chunk
