"""Reading one entry of a tree: what it is, its attributes, its contents, and whether it stood still meanwhile.

A file is looked at first (O_PATH) and opened when it is a regular one: opening a device does things, and a FIFO waits.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_CLOEXEC
_KEPT_XATTRS = ("security.capability", "system.posix_acl_access", "system.posix_acl_default")
_KEPT_PREFIXES = ("user.", "trusted.")
_OVERLAYS = ("user.overlay.", "trusted.overlay.")
SMALL_BYTES = 1 << 17
"""Up to here a file is read at once."""
PIECE_BYTES = 1 << 20
_TRIES = 3


class Entry(NamedTuple):
    """One entry. ``fd`` is open for reading when it is a regular file, else -1; ``link`` is where a link leads to."""

    state: os.stat_result
    fd: int
    link: str
    xattrs: Mapping[str, bytes]


class Unstable(OSError):
    """A file was changed while it was read."""

    def __init__(self) -> None:
        super().__init__(errno.EBUSY, "it was changed while it was read")


def read_entry(directory: int, name: str) -> Entry:
    """Look at an entry of an open directory. A regular file's descriptor is the caller's to close. Raises OSError."""
    place = os.open(name, _PLACE, dir_fd=directory)
    try:
        state = os.fstat(place)
        if stat.S_ISREG(state.st_mode):
            fd = os.open(f"/proc/self/fd/{place}", _READ)
            try:
                return Entry(state, fd, "", xattrs_of(fd))
            except BaseException:
                os.close(fd)
                raise
        if stat.S_ISDIR(state.st_mode):
            raise Unstable  # it was none when the directory was listed
        link = os.readlink("", dir_fd=place) if stat.S_ISLNK(state.st_mode) else ""
        return Entry(state, -1, link, {})
    finally:
        os.close(place)


def read_stable(directory: int, name: str, use: Callable[[Entry], object], *, is_listed: bool) -> None:
    """Read an entry and use it, anew where it was changed meanwhile. Raises OSError, Unstable at the last try.

    ``use`` must bear being called again. An entry that ``is_listed`` may be gone since the directory was listed.
    """
    for last in range(_TRIES, 0, -1):
        try:
            entry = read_entry(directory, name)
        except FileNotFoundError:
            if is_listed:
                return
            raise
        try:
            use(entry)
            return
        except Unstable:
            if last == 1:
                raise
        finally:
            if entry.fd >= 0:
                os.close(entry.fd)


def xattrs_of(fd: int) -> Mapping[str, bytes]:
    """Return the extended attributes that a layer keeps: never those by which overlayfs finds its way."""
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    if not names:
        return {}
    return {name: os.getxattr(fd, name) for name in sorted(names) if is_kept(name)}


def is_kept(name: str) -> bool:
    return name in _KEPT_XATTRS or (name.startswith(_KEPT_PREFIXES) and not name.startswith(_OVERLAYS))


def is_same(before: os.stat_result, after: os.stat_result) -> bool:
    """Tell whether a file has not been changed between two looks at it."""
    return (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )


def segments(fd: int, state: os.stat_result) -> Iterator[tuple[int, int]]:
    """Yield offset and length of what is no hole in a file."""
    size = state.st_size
    if state.st_blocks * 512 >= size:
        if size:
            yield 0, size
        return
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # nothing but a hole is left
            raise
        end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if start >= end:
            return
        yield start, end - start


def hash_contents(fd: int, state: os.stat_result) -> bytes:
    """Return the SHA-256 of a file's contents, holes skipped. Raises Unstable when it was changed meanwhile."""
    if state.st_size <= SMALL_BYTES:
        data = os.pread(fd, state.st_size + 1, 0)
        if len(data) != state.st_size:
            raise Unstable
        found = hashlib.sha256(data).digest()
    else:
        found = _hash_pieces(fd, state)
    if not is_same(state, os.fstat(fd)):
        raise Unstable
    return found


def _hash_pieces(fd: int, state: os.stat_result) -> bytes:
    contents = Contents(state.st_size)
    buffer = bytearray(PIECE_BYTES)
    view = memoryview(buffer)
    for start, length in segments(fd, state):
        contents.begin(start, length)
        while length:
            count = os.preadv(fd, [view[: min(length, PIECE_BYTES)]], start)
            if not count:
                raise Unstable
            contents.add(view[:count])
            start, length = start + count, length - count
    return contents.digest()


class Contents:
    """The digest of a file's contents: plain SHA-256, and where there are holes, of each segment after its place."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._hash = hashlib.sha256()
        self._has_holes = size > 0  # until it is seen that one segment covers the file

    def begin(self, start: int, length: int) -> None:
        """Begin a segment; they come in order."""
        if length == self._size:
            self._has_holes = False
            return
        self._hash.update(b"segment %d %d\n" % (start, length))

    def add(self, piece: bytes | memoryview) -> None:
        self._hash.update(piece)

    def digest(self) -> bytes:
        if self._has_holes:
            self._hash.update(b"size %d\n" % self._size)
        return self._hash.digest()
