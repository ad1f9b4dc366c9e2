"""The tar format: a stream of bytes in, entries out. Knows headers and extensions, nothing of file systems.

ustar, GNU long names, and pax records (POSIX.1-2017, pax; https://www.gnu.org/software/tar/manual/html_node/Standard.html).
Every length that the archive states is bounded before it is believed. Sparse files are refused: no image
needs them, and a hole of exabytes costs an attacker one header.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from composer.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

BLOCK = 512
_FILE_CHUNK_BYTES = 4096
_MAX_EXTENSION_BYTES = 1 << 20
_MAX_NUMBER = (1 << 63) - 1
_MAX_TIME_NS = (1 << 33) * 1_000_000_000
_HEADER = struct.Struct("100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12s")
_ZEROS = bytes(BLOCK)
_REGULAR = frozenset((b"0", b"\0", b"7"))
_XATTR = "SCHILY.xattr."


class Entry(NamedTuple):
    """One member. ``kind`` is the type byte as text, ``0`` for every regular file; times are nanoseconds.

    ``name`` and ``link`` are as written. Bytes that are not UTF-8 are kept as surrogates, as in `os.fsdecode`.
    """

    name: str
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    link: str
    device: tuple[int, int]
    xattrs: Mapping[str, bytes]


class Source:
    """Bytes of a stream of chunks, in the amounts that the reader asks for, with no copy of file contents."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = b""
        self._position = 0
        self.offset = 0

    def take(self, size: int) -> bytes:
        """Return exactly ``size`` bytes; fewer only at the end of the stream."""
        start = self._position
        if start + size <= len(self._chunk):
            self._position = start + size
            self.offset += size
            return self._chunk[start : start + size]
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Yield the next ``size`` bytes in the pieces that the stream has them in."""
        while size:
            if self._position == len(self._chunk):
                self._chunk = next(self._chunks, b"")
                self._position = 0
                if not self._chunk:
                    return
            amount = min(size, len(self._chunk) - self._position)
            piece = memoryview(self._chunk)[self._position : self._position + amount]
            self._position += amount
            self.offset += amount
            size -= amount
            yield piece

    def skip(self, size: int) -> int:
        """Pass over ``size`` bytes and return how many there were."""
        return sum(len(piece) for piece in self.pieces(size))

    def drain(self) -> None:
        """Read to the end, so that a digest of the stream covers what follows the archive's end too."""
        self._chunk, self._position = b"", 0
        for _ in self._chunks:
            pass


class FileSource(Source):
    """A file, where passing over gigabytes costs nothing."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(iter(lambda: file.read(_FILE_CHUNK_BYTES), b""))
        self._file = file
        self._size = os.fstat(file.fileno()).st_size

    def skip(self, size: int) -> int:
        present = min(size, self._size - self.offset)
        inside = min(present, len(self._chunk) - self._position)
        self._position += inside
        if present > inside:
            self._file.seek(present - inside, os.SEEK_CUR)
        self.offset += present
        return present


class Reader:
    """Iterate over the entries; between two of them, `contents` gives the current one's bytes once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = 0  # bytes of the current entry's contents, and of its padding, not read yet
        self._padding = 0
        self._current = ""

    @property
    def offset(self) -> int:
        """Where in the stream the reader is; right after an entry was returned, where its contents begin."""
        return self._source.offset

    def contents(self) -> Iterator[memoryview]:
        """Yield the current entry's bytes. Raises ImageError when the archive ends before them."""
        for piece in self._source.pieces(self._left):
            self._left -= len(piece)
            yield piece
        if self._left:
            raise ImageError(f"unexpected end of archive in '{self._current}'")

    def drain(self) -> None:
        self._source.drain()

    def __iter__(self) -> Iterator[Entry]:
        records: dict[str, bytes] = {}
        long_name = long_link = None
        while (block := self._next_header()) is not None:
            header = _Header(block)
            kind = header.kind
            if kind in (b"L", b"K", b"x", b"g"):
                data = self._extension(header)
                if kind == b"L":
                    long_name = data.rstrip(b"\0")
                elif kind == b"K":
                    long_link = data.rstrip(b"\0")
                elif kind == b"x":
                    records = _pax_records(data)
                # A global header holds a comment (git's commit) or defaults that no image tool writes: left out.
                continue
            entry = _entry(header, records, long_name, long_link)
            records, long_name, long_link = {}, None, None
            self._begin(entry.name, entry.size)
            yield entry
        if records or long_name is not None or long_link is not None:
            raise ImageError("unexpected end of archive after an extended header")

    def _begin(self, name: str, size: int) -> None:
        self._current, self._left, self._padding = name, size, -size % BLOCK

    def _next_header(self) -> bytes | None:
        unwanted, self._left = self._left, 0
        if self._source.skip(unwanted) < unwanted:
            raise ImageError(f"unexpected end of archive in '{self._current}'")
        self._source.skip(self._padding)
        self._padding = 0
        block = self._source.take(BLOCK)
        if not block or block == _ZEROS:
            return None
        if len(block) < BLOCK:
            raise ImageError("unexpected end of archive in a header")
        return block

    def _extension(self, header: _Header) -> bytes:
        size = header.size()
        if size > _MAX_EXTENSION_BYTES:
            raise ImageError(f"an extended header is too large ({size} bytes)")
        self._begin("an extended header", size)
        return b"".join(self.contents())


class _Header:
    """The fields of one block, its checksum verified."""

    __slots__ = ("fields", "kind")

    def __init__(self, block: bytes) -> None:
        self.fields = _HEADER.unpack(block)
        stated = _number(self.fields[6])
        total = sum(block) - sum(block[148:156]) + 8 * 32
        if stated != total:
            high = sum(byte > 127 for byte in block) - sum(byte > 127 for byte in block[148:156])
            if stated != total - 256 * high:  # old writers summed signed bytes
                raise ImageError("not a tar archive, or a damaged one: a header's checksum is wrong")
        self.kind: bytes = self.fields[7]

    def size(self) -> int:
        return _number(self.fields[4])

    def name(self) -> bytes:
        name = _text(self.fields[0])
        if self.fields[9] == b"ustar\0" and (prefix := _text(self.fields[15])):
            return prefix + b"/" + name
        return name


def _entry(
    header: _Header, records: Mapping[str, bytes], long_name: bytes | None, long_link: bytes | None
) -> Entry:
    fields, kind = header.fields, header.kind
    name = records.get("path") or long_name or header.name()
    link = records.get("linkpath") or long_link or _text(fields[8])
    if kind == b"S" or any(key.startswith("GNU.sparse.") for key in records):
        raise ImageError(
            f"'{_shown(name)}' is stored as a sparse file, which is not supported",
            hint="create the archive without --sparse",
        )
    if b"\0" in name or b"\0" in link:
        raise ImageError(f"the name '{_shown(name)}' contains a null byte")
    shown_kind = "0" if kind in _REGULAR else kind.decode("latin-1")
    if shown_kind == "0" and name.endswith(b"/"):
        shown_kind = "5"  # how tar of 1979 wrote directories
    size = _pax_number(records, "size", header.size())
    return Entry(
        name.decode("utf-8", "surrogateescape"),
        shown_kind,
        _number(fields[1]) & 0o7777,
        _pax_number(records, "uid", _number(fields[2])),
        _pax_number(records, "gid", _number(fields[3])),
        size if shown_kind == "0" else _size_of_other(shown_kind, size),
        _mtime_ns(records, fields[5]),
        link.decode("utf-8", "surrogateescape"),
        (_number(fields[13]), _number(fields[14])) if kind in (b"3", b"4") else (0, 0),
        _xattrs(records),
    )


def _size_of_other(kind: str, size: int) -> int:
    # Links and devices have no contents, although some writers state the size of what a link leads to.
    return 0 if kind in "123456" else size


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _number(field: bytes) -> int:
    """Read a number: octal text, or base 256 where the first bit is set (GNU). Raises ImageError."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ((1 << (8 * len(field) - 1)) - 1)
        if field[0] & 0x40:
            value -= 1 << (8 * len(field) - 1)
    else:
        text = field.partition(b"\0")[0].strip()
        if not text:
            return 0
        try:
            value = int(text, 8)
        except ValueError:
            raise ImageError("not a tar archive, or a damaged one: a number is not octal") from None
    if not 0 <= value <= _MAX_NUMBER:
        raise ImageError("the archive is damaged: a number in a header is out of range")
    return value


def _pax_number(records: Mapping[str, bytes], key: str, otherwise: int) -> int:
    text = records.get(key)
    if text is None:
        return otherwise
    if not text.isdigit() or len(text) > 19 or int(text) > _MAX_NUMBER:
        raise ImageError(f"the archive is damaged: the extended header's {key} is '{_shown(text)}'")
    return int(text)


def _mtime_ns(records: Mapping[str, bytes], field: bytes) -> int:
    """Return the time of change, held between 1970 and 2242 (what every file system can store)."""
    text = records.get("mtime")
    if text is None:
        if field[0] & 0x80:  # base 256, negative for times before 1970
            seconds = int.from_bytes(field, "big", signed=True) if field[0] == 0xFF else _number(field)
            return max(0, min(seconds * 1_000_000_000, _MAX_TIME_NS))
        return min(_number(field) * 1_000_000_000, _MAX_TIME_NS)
    whole, _, part = text.decode("ascii", "replace").partition(".")
    digits = whole.removeprefix("-")
    if not digits.isdecimal() or len(digits) > 19 or (part and not part.isdecimal()):
        raise ImageError(f"the archive is damaged: the extended header's mtime is '{_shown(text)}'")
    nanoseconds = int(whole) * 1_000_000_000 + int((part + "000000000")[:9])
    return max(0, min(nanoseconds, _MAX_TIME_NS))


def _xattrs(records: Mapping[str, bytes]) -> Mapping[str, bytes]:
    return {
        key.removeprefix(_XATTR): value
        for key, value in records.items()
        if key.startswith(_XATTR) and len(key) > len(_XATTR)
    }


def _pax_records(data: bytes) -> dict[str, bytes]:
    """Parse ``"%d %s=%s\\n"`` records; the length counts the whole record. Raises ImageError."""
    records: dict[str, bytes] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 12)
        length = int(data[position:space]) if space > 0 and data[position:space].isdigit() else 0
        end = position + length
        if length <= space - position + 1 or end > len(data) or data[end - 1] != 0x0A:
            raise ImageError("the archive is damaged: an extended header is malformed")
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals or not key:
            raise ImageError("the archive is damaged: an extended header is malformed")
        records[key.decode("utf-8", "replace")] = value
        position = end
    return records
