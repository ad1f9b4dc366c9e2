"""A blob on its way into the store: fetched once, however many want it, resumed, checked, and read while it grows.

    fetching ──► <hex>.part.tmp ──digest right──► blobs/sha256/<hex>
                      └► readers: the layers that are unpacked meanwhile

One process fetches a blob, by a lock that a kill releases; the next goes on where it was. Nothing gets its final
name before all of its bytes have been hashed, those of an earlier process too.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from typing import TYPE_CHECKING

from composer.errors import ImageError, PullFailed
from composer.registry.failures import RequestFailed, backoff_s
from composer.registry.registry import TRIES
from composer.runtime.base import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from composer.references import Reference
    from composer.registry.registry import Registry
    from composer.runtime.images.content import Content

_CHUNK_BYTES = 1 << 18
_READ_BYTES = 1 << 20
_DAMAGED_TRIES = 3


class Restarted(Exception):
    """What was read so far was wrong, and is being fetched again from the beginning."""


class Download:
    """One blob. `run` is called by one thread; `chunks` by any number, before, during and after."""

    def __init__(
        self, content: Content, registry: Registry, reference: Reference, digest: str, size_bytes: int
    ) -> None:
        self._content, self._registry, self._reference = content, registry, reference
        self.digest, self.size_bytes = digest, size_bytes
        self.done_bytes = 0
        self.is_done = False
        self.restarts = 0
        self._watchers: list[Callable[[], None]] = []
        self._path = ""
        self._failure: BaseException | None = None
        self._changed = threading.Condition()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have ``watcher`` called as often as bytes come, by the thread that gets them."""
        self._watchers.append(watcher)

    # -------------------------------------------------------------- reading

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes as they come. Raises Restarted, or what the download failed with."""
        with self._changed:
            self._changed.wait_for(lambda: self._path or self._failure)
            if not self._path:
                raise self._again()
            restarts = self.restarts
            file = open(self._path, "rb", buffering=0)  # noqa: SIM115 - closed below, opened under the lock
        with file:
            position = 0
            while there := self._await(position, restarts):
                chunk = file.read(min(there, _READ_BYTES))
                position += len(chunk)
                yield chunk

    def _await(self, position: int, restarts: int) -> int:
        """Return how many bytes there are behind a position, as soon as there are some; 0 at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self.done_bytes > position
                    or self.is_done
                    or self._failure is not None
                    or self.restarts != restarts
                )
            )
            if self.restarts != restarts:
                raise Restarted
            if self._failure is not None:
                raise self._again()
            return self.done_bytes - position

    def is_usable(self) -> bool:
        """Tell whether this is still worth waiting for: under way, or done and not removed since."""
        return self._failure is None and (not self.is_done or os.path.exists(self._path))

    def wait(self) -> None:
        """Return when the blob is in the store. Raises what the download failed with."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_done or self._failure)
            if self._failure is not None:
                raise self._again()

    def _again(self) -> BaseException:
        """Return the failure, anew for each thread that raises it: a traceback belongs to one of them."""
        failure = self._failure
        assert failure is not None
        if isinstance(failure, ImageError):
            return PullFailed(str(failure), hint=failure.hint)
        return failure

    # -------------------------------------------------------------- fetching

    def run(self) -> None:
        """Fetch the blob, or find it. Never raises: whoever waits is told."""
        try:
            with self._content.receiving(self.digest) as part:
                self._receive(part)
        except BaseException as error:  # handed to every thread that reads or waits
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def _receive(self, part: str) -> None:
        final = self._content.blob(self.digest)
        if os.path.exists(final):
            self._grow(final, os.stat(final).st_size)
            self._finish(final)
            return
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            for attempt in range(_DAMAGED_TRIES):
                total = self._fetch(fd, part, attempt)
                found = f"sha256:{total.hexdigest()}"
                if found == self.digest and self.done_bytes == self.size_bytes:
                    break
                self._start_over(fd)
            else:
                raise PullFailed(
                    f"digest mismatch: got {found}, expected {self.digest}",
                    hint="try again; if the error persists, the image in the registry is damaged",
                )
            os.fsync(fd)
            self._finish(final, part)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                files.remove_file(part)  # the disk is full: do not keep it so
            raise
        finally:
            os.close(fd)

    def _finish(self, final: str, part: str = "") -> None:
        with self._changed:
            if part:
                os.rename(part, final)  # under the lock: whoever opens the file now looks for its new name
            self._path = final
            self.is_done = True
            self._changed.notify_all()

    def _grow(self, path: str, done_bytes: int) -> None:
        with self._changed:
            self._path, self.done_bytes = path, done_bytes
            self._changed.notify_all()
        for watcher in self._watchers:
            watcher()

    def _start_over(self, fd: int) -> None:
        with self._changed:
            self.restarts += 1
            self.done_bytes = 0
            os.ftruncate(fd, 0)
            self._changed.notify_all()

    def _fetch(self, fd: int, part: str, damaged: int) -> hashlib._Hash:
        """Bring the file to its full length; return the digest of all that is in it."""
        total, offset = self._left_over(fd)
        self._grow(part, offset)
        failures = 0
        while offset < self.size_bytes:
            before = offset
            try:
                response, start = self._registry.blob(
                    self._reference, self.digest, offset, failures + damaged
                )
                if start != offset:  # it does not do ranges
                    self._start_over(fd)
                    total, offset = hashlib.sha256(), 0
                while chunk := response.read(_CHUNK_BYTES):
                    total.update(chunk)
                    if offset + len(chunk) > self.size_bytes:
                        response.close()
                        return total  # longer than stated: its digest is wrong
                    _write(fd, chunk, offset)
                    offset += len(chunk)
                    self._grow(part, offset)
                if offset < self.size_bytes and not start:
                    return total  # all that the registry has: its digest is wrong
                if offset < self.size_bytes:
                    raise RequestFailed(
                        f"unexpected end of a layer after {offset} of {self.size_bytes} bytes"
                    )
            except RequestFailed as error:
                failures = 0 if offset > before else failures + 1
                if failures >= TRIES or not error.is_transient:
                    raise
                self._registry.pause(backoff_s(failures, error.retry_after))
        return total

    def _left_over(self, fd: int) -> tuple[hashlib._Hash, int]:
        """Hash what an earlier try, or a process that was killed, has left; return that and how much it is."""
        total, offset = hashlib.sha256(), 0
        if os.fstat(fd).st_size > self.size_bytes:
            os.ftruncate(fd, 0)
        while chunk := os.pread(fd, _READ_BYTES, offset):
            total.update(chunk)
            offset += len(chunk)
        return total, offset


def _write(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]
