"""A layer's directory as the tar stream of the image specification; equal files give equal bytes.

Fast, for it runs over every file of every layer that is built: headers are put together from pieces, and a small file
takes five system calls. What a ustar header cannot hold goes into a pax header before it (POSIX.1-2017, pax).
Whiteouts: https://github.com/opencontainers/image-spec/blob/main/layer.md
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from composer.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BLOCK = 512
_PIECE_BYTES = 1 << 20
_MAX_DEPTH = 400
_MOST_HOLE_BYTES = 16 << 30
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_OPAQUE_XATTR = "trusted.overlay.opaque"
_REDIRECTS = ("trusted.overlay.redirect", "trusted.overlay.metacopy")
_KEPT_XATTRS = ("security.capability",)
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAGIC = b"ustar\x0000"
_PADDING = [bytes(-size % _BLOCK) for size in range(_BLOCK)]


def pack(directory: int) -> Iterator[bytes]:
    """Yield the tar of an open layer directory, in pieces of some hundred kilobytes. Raises ImageError."""
    return _in_pieces(_Packing().directory(directory, b"", 0))


def pack_all(trees: Iterable[tuple[str, int]]) -> Iterator[bytes]:
    """Yield one tar of several open directories, each under a name. Raises ImageError."""
    return _in_pieces(piece for name, fd in trees for piece in _Packing().tree(fd, name))


def _in_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    pending: list[bytes] = []
    size = 0
    for part in parts:
        pending.append(part)
        size += len(part)
        if size >= _PIECE_BYTES:
            yield b"".join(pending)
            pending.clear()
            size = 0
    pending.append(bytes(2 * _BLOCK))
    yield b"".join(pending)


class _Packing:
    def __init__(self) -> None:
        self._links: dict[tuple[int, int], bytes] = {}

    def tree(self, fd: int, name: str) -> Iterator[bytes]:
        """Yield an open directory as one called ``name``, with what is in it."""
        yield self._header_of_directory(fd, name.encode(), os.fstat(fd))
        yield from self.directory(fd, f"{name}/".encode(), 0)

    def directory(self, fd: int, prefix: bytes, depth: int) -> Iterator[bytes]:
        """Yield what is in a directory, sorted by name; ``prefix`` ends with a slash where it is not empty."""
        if depth > _MAX_DEPTH:
            raise ImageError(f"cannot pack a layer: it is nested more than {_MAX_DEPTH} directories deep")
        for base in sorted(os.listdir(fd)):
            state = os.lstat(base, dir_fd=fd)
            name = prefix + os.fsencode(base)
            kind = stat.S_IFMT(state.st_mode)
            if base.startswith(_WHITEOUT) and kind != stat.S_IFCHR:
                raise ImageError(
                    f"cannot pack '/{os.fsdecode(name)}': names with {_WHITEOUT} are reserved in image layers",
                    hint="rename it, or remove it in the instruction that made it",
                )
            if kind == stat.S_IFREG:
                yield from self._file(fd, base, name, state)
            elif kind == stat.S_IFDIR:
                child = os.open(base, _DIRECTORY, dir_fd=fd)
                try:
                    yield self._header_of_directory(child, name, state)
                    if _is_opaque(child):
                        yield _header(
                            f"{os.fsdecode(name)}/{_OPAQUE}".encode(errors="surrogateescape"), b"0", 0o600
                        )
                    yield from self.directory(child, name + b"/", depth + 1)
                finally:
                    os.close(child)
            else:
                yield from self._other(fd, base, name, state)

    def _file(self, parent: int, base: str, name: bytes, state: os.stat_result) -> Iterator[bytes]:
        fd = os.open(base, _FILE, dir_fd=parent)
        try:
            if state.st_nlink > 1:
                first = self._links.setdefault((state.st_dev, state.st_ino), name)
                if first is not name:
                    yield _header(name, b"1", state.st_mode, state, link=first)
                    return
            xattrs = _xattrs_of(fd, name)
            size = state.st_size
            if size - state.st_blocks * 512 > _MOST_HOLE_BYTES:
                raise ImageError(
                    f"cannot pack '/{os.fsdecode(name)}': it is a sparse file of {size >> 30} GiB, and a layer has the"
                    " zeros of its holes, too",
                    hint="make it smaller, or where the container runs (of useradd --no-log-init makes no lastlog)",
                )
            head = _header(name, b"0", state.st_mode, state, size=size, xattrs=xattrs)
            if size <= _PIECE_BYTES:
                data = os.read(fd, size) if size else b""
                _check_size(name, len(data), size)
                yield head + data + _PADDING[size % _BLOCK]
                return
            yield head
            left = size
            while left:
                data = os.read(fd, min(left, _PIECE_BYTES))
                _check_size(name, 1 if data else 0, 1)
                left -= len(data)
                yield data
            yield _PADDING[size % _BLOCK]
        finally:
            os.close(fd)

    def _header_of_directory(self, fd: int, name: bytes, state: os.stat_result) -> bytes:
        return _header(name + b"/", b"5", state.st_mode, state, xattrs=_xattrs_of(fd, name))

    def _other(self, parent: int, base: str, name: bytes, state: os.stat_result) -> Iterator[bytes]:
        kind = stat.S_IFMT(state.st_mode)
        if kind == stat.S_IFLNK:
            target = os.fsencode(os.readlink(base, dir_fd=parent))
            yield _header(name, b"2", state.st_mode, state, link=target)
        elif kind == stat.S_IFCHR and state.st_rdev == 0:
            head, slash, tail = name.rpartition(b"/")
            yield _header(head + slash + _WHITEOUT.encode() + tail, b"0", 0o600)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            device = (os.major(state.st_rdev), os.minor(state.st_rdev))
            yield _header(name, b"3" if kind == stat.S_IFCHR else b"4", state.st_mode, state, device=device)
        elif kind == stat.S_IFIFO:
            yield _header(name, b"6", state.st_mode, state)
        # a socket means nothing without who listens on it


def _check_size(name: bytes, found: int, wanted: int) -> None:
    if found != wanted:
        raise ImageError(f"cannot pack '/{os.fsdecode(name)}': it changed while it was read")


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, _OPAQUE_XATTR) == b"y"
    except OSError:
        return False  # it has none


def _xattrs_of(fd: int, name: bytes) -> dict[str, bytes]:
    """Return the attributes that go into a layer; most files have none, which one call tells."""
    found: dict[str, bytes] = {}
    for key in os.listxattr(fd):
        if key in _REDIRECTS:
            raise ImageError(
                f"cannot pack '/{os.fsdecode(name)}': it is stored as a reference to another layer",
                hint="set redirect_dir and metacopy of this kernel's overlay module to N",
            )
        if key in _KEPT_XATTRS:
            found[key] = os.getxattr(fd, key)
    return found


# ------------------------------------------------------------------ headers


def _header(
    name: bytes,
    kind: bytes,
    mode: int,
    state: os.stat_result | None = None,
    *,
    size: int = 0,
    link: bytes = b"",
    device: tuple[int, int] = (0, 0),
    xattrs: dict[str, bytes] | None = None,
) -> bytes:
    """Return the header of an entry, with a pax header before it where that is needed."""
    uid, gid, mtime = (state.st_uid, state.st_gid, int(state.st_mtime)) if state is not None else (0, 0, 0)
    records = {f"SCHILY.xattr.{key}".encode(): value for key, value in (xattrs or {}).items()}
    prefix = b""
    if len(name) > 100 or not name.isascii():
        split = _split(name) if name.isascii() else None
        if split is None:
            records[b"path"] = name
            name = name[-100:] if kind != b"5" else name[-100:-1] + b"/"
        else:
            prefix, name = split
    if len(link) > 100 or not link.isascii():
        records[b"linkpath"], link = link, link[:100]
    for key, number, most in (
        (b"size", size, 0o77777777777),
        (b"uid", uid, 0o7777777),
        (b"gid", gid, 0o7777777),
    ):
        if number > most:
            records[key] = b"%d" % number
    if not 0 <= mtime <= 0o77777777777:
        records[b"mtime"], mtime = b"%d" % mtime, 0
    block = _block(name, kind, mode, uid, gid, size, mtime, link, prefix, device)
    return block if not records else _pax(records) + block


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Return a long name in the two parts that ustar has for one; None where that cannot be."""
    cut = name.find(b"/", max(0, len(name) - 101), len(name) - 1)
    return (name[:cut], name[cut + 1 :]) if 0 < cut <= 155 else None


def _block(
    name: bytes,
    kind: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    link: bytes,
    prefix: bytes,
    device: tuple[int, int],
) -> bytes:
    head = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        name.ljust(100, b"\0"),
        mode & 0o7777,
        uid & 0o7777777,
        gid & 0o7777777,
        size & 0o77777777777,
        mtime,
    )
    tail = b"%b%b%b%b%07o\0%07o\0%b" % (
        kind,
        link.ljust(100, b"\0"),
        _MAGIC,
        bytes(64),
        device[0] & 0o7777777,
        device[1] & 0o7777777,
        prefix.ljust(167, b"\0"),
    )
    total = sum(head) + sum(tail) + 8 * 0x20
    return b"%b%06o\0 %b" % (head, total, tail)


def _pax(records: dict[bytes, bytes]) -> bytes:
    data = b"".join(_record(key, records[key]) for key in sorted(records))
    head = _block(b"././@PaxHeader", b"x", 0o644, 0, 0, len(data), 0, b"", b"", (0, 0))
    return head + data + _PADDING[len(data) % _BLOCK]


def _record(key: bytes, value: bytes) -> bytes:
    """Return ``LENGTH KEY=VALUE``, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) > len(str(rest)):
        length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)
