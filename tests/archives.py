"""Tar archives as bytes, made header by header, so that they can be wrong in every way."""

from __future__ import annotations

BLOCK = 512


def octal(value: int, width: int) -> bytes:
    return f"{value:0{width - 1}o}".encode() + b"\0"


def header(
    name: bytes | str,
    kind: bytes = b"0",
    *,
    size: int | bytes = 0,
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    mtime: int = 1_700_000_000,
    link: bytes | str = b"",
    device: tuple[int, int] = (0, 0),
    prefix: bytes = b"",
) -> bytes:
    """One block with a right checksum. A ``size`` of bytes is written as it is."""
    encoded = name.encode() if isinstance(name, str) else name
    target = link.encode() if isinstance(link, str) else link
    block = b"".join(
        (
            encoded.ljust(100, b"\0"),
            octal(mode, 8),
            octal(uid, 8),
            octal(gid, 8),
            octal(size, 12) if isinstance(size, int) else size,
            octal(mtime, 12),
            b" " * 8,
            kind,
            target.ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(64),
            octal(device[0], 8),
            octal(device[1], 8),
            prefix.ljust(155, b"\0"),
            bytes(12),
        )
    )
    assert len(block) == BLOCK
    return with_checksum(block)


def with_checksum(block: bytes) -> bytes:
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    return block[:148] + f"{total:06o}\0 ".encode() + block[156:]


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def file(name: bytes | str, data: bytes = b"", **fields: object) -> bytes:
    return header(name, size=len(data), **fields) + padded(data)  # type: ignore[arg-type]


def directory(name: bytes | str, mode: int = 0o755, **fields: object) -> bytes:
    return header(name, b"5", mode=mode, **fields)  # type: ignore[arg-type]


def symlink(name: bytes | str, target: bytes | str) -> bytes:
    return header(name, b"2", link=target, mode=0o777)


def hard_link(name: bytes | str, target: bytes | str) -> bytes:
    return header(name, b"1", link=target)


def pax(records: dict[str, bytes | str], kind: bytes = b"x") -> bytes:
    """An extended header with these records."""
    data = b""
    for key, value in records.items():
        encoded = value.encode() if isinstance(value, str) else value
        body = b" " + key.encode() + b"=" + encoded + b"\n"
        length = len(body) + 1
        while len(str(length)) + len(body) != length:
            length = len(str(length)) + len(body)
        data += str(length).encode() + body
    return header("PaxHeaders/x", kind, size=len(data)) + padded(data)


def long_name(name: bytes, kind: bytes = b"L") -> bytes:
    return header("././@LongLink", kind, size=len(name) + 1) + padded(name + b"\0")


def archive(*parts: bytes) -> bytes:
    return b"".join(parts) + bytes(2 * BLOCK)
