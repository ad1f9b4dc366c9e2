"""The tar reader: what it reads, against Python's own writer, and what it refuses."""

from __future__ import annotations

import io
import pathlib
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.errors import ImageError
from composer.runtime.images.tar import Entry, FileSource, Reader, Source
from tests.archives import (
    archive,
    directory,
    file,
    header,
    long_name,
    octal,
    padded,
    pax,
    symlink,
    with_checksum,
)


def read(data: bytes, chunk: int = 1000) -> list[tuple[Entry, bytes]]:
    """Read an archive that comes in chunks of any size."""
    reader = Reader(Source(data[start : start + chunk] for start in range(0, len(data), chunk)))
    return [(entry, b"".join(reader.contents())) for entry in reader]


def entry(data: bytes) -> Entry:
    ((found, _),) = read(data)
    return found


@pytest.mark.parametrize("chunk", [1, 7, 511, 512, 513, 100_000])
def test_chunks_of_any_size_give_the_same_entries(chunk: int) -> None:
    data = archive(directory("a"), file("a/b", b"x" * 1500, mode=0o4755), symlink("c", "a/b"))
    assert read(data, chunk) == read(data, len(data))
    assert [(e.name, e.kind, e.mode, len(body)) for e, body in read(data, chunk)] == [
        ("a", "5", 0o755, 0),
        ("a/b", "0", 0o4755, 1500),
        ("c", "2", 0o777, 0),
    ]


@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@given(
    name=st.text("abcé", min_size=1, max_size=60),
    depth=st.integers(0, 2),
    size=st.integers(0, 3000),
    mtime=st.integers(0, 2**31),
    uid=st.integers(0, 2_000_000),
)
def test_reads_what_python_writes(style: int, name: str, depth: int, size: int, mtime: int, uid: int) -> None:
    path = "/".join(["d" * 90] * depth + [name]) if style != tarfile.USTAR_FORMAT else name
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=style) as tar:
        info = tarfile.TarInfo(path)
        info.size, info.mtime, info.uid, info.mode = size, mtime, uid, 0o640
        tar.addfile(info, io.BytesIO(b"z" * size))
    ((found, body),) = read(buffer.getvalue())
    assert (found.name, found.mtime_ns, found.uid, found.mode) == (path, mtime * 10**9, uid, 0o640)
    assert body == b"z" * size


def test_extended_headers_win_and_hold_for_one_entry() -> None:
    records = {
        "path": "long/" + "n" * 300,
        "mtime": "1700000000.123456789",
        "uid": "3000000",
        "size": "3",
        "SCHILY.xattr.user.a": b"\0\n=x",
    }
    found = read(archive(pax(records), header("short", size=0) + padded(b"abc"), file("next")))  # type: ignore[arg-type]
    (first, body), (second, _) = found
    assert first.name == "long/" + "n" * 300
    assert first.mtime_ns == 1_700_000_000_123_456_789
    assert (first.uid, body) == (3_000_000, b"abc")
    assert first.xattrs == {"user.a": b"\0\n=x"}
    assert (second.name, second.xattrs) == ("next", {})


def test_long_names_of_gnu_tar() -> None:
    target, name = b"t" * 400, b"n" * 5000
    found = entry(archive(long_name(target, b"K"), long_name(name), symlink("short", "short")))
    assert (found.name, found.link) == (name.decode(), target.decode())


def test_prefix_of_ustar_and_numbers_in_base_256() -> None:
    assert entry(archive(header("name", prefix=b"some/where"))).name == "some/where/name"
    big = (1 << 95 | 3_000_000_000).to_bytes(12, "big")
    block = header("big", mtime=0)
    block = with_checksum(block[:136] + big + block[148:])
    assert entry(archive(block)).mtime_ns == 3_000_000_000 * 10**9


def test_names_that_are_not_utf8_are_kept() -> None:
    assert entry(archive(file(b"caf\xe9"))).name.encode("utf-8", "surrogateescape") == b"caf\xe9"


def test_times_are_held_to_what_file_systems_store() -> None:
    assert entry(archive(pax({"mtime": "-5.5"}), file("a"))).mtime_ns == 0
    assert entry(archive(pax({"mtime": "9" * 18}), file("a"))).mtime_ns == (1 << 33) * 10**9


def test_a_global_header_and_what_follows_the_end_are_passed_over() -> None:
    assert entry(archive(pax({"comment": "commit"}, b"g"), file("a")) + b"garbage" * 99).name == "a"


def test_a_file_is_skipped_by_seeking_and_its_offset_known(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(archive(file("a", b"1" * 100_000), file("b", b"2" * 700), file("c", b"3")))
    with open(path, "rb") as opened:
        reader = Reader(FileSource(opened))
        offsets = {entry.name: (reader.offset, entry.size) for entry in reader}
    data = path.read_bytes()
    assert {name: data[at : at + size][:1] for name, (at, size) in offsets.items()} == {
        "a": b"1",
        "b": b"2",
        "c": b"3",
    }


_DAMAGED = {
    "no tar at all": (b"hello" * 200, "not a tar"),
    "wrong checksum": (archive(file("a"))[:300] + b"x" + archive(file("a"))[301:], "checksum"),
    "ends in a header": (file("a")[:200], "unexpected end of archive in a header"),
    "ends in contents": (header("a", size=5000) + b"x" * 100, "unexpected end of archive in 'a'"),
    "ends after an extended header": (pax({"path": "x"}), "after an extended header"),
    "size is not octal": (archive(header("a", size=b"99999999999\0")), "not octal"),
    "negative size": (archive(header("a", size=b"\xff" * 12)), "out of range"),
    "size beyond everything": (archive(header("a", size=b"\x80" + b"\xff" * 11)), "out of range"),
    "endless extended header": (header("x", b"x", size=1 << 32), "too large"),
    "endless long name": (header("x", b"L", size=1 << 32), "too large"),
    "record longer than its header": (
        archive(header("x", b"x", size=6) + padded(b"99 a=b"), file("a")),
        "malformed",
    ),
    "record of no length": (archive(header("x", b"x", size=6) + padded(b"0 a=b\n"), file("a")), "malformed"),
    "record without a value": (
        archive(header("x", b"x", size=5) + padded(b"5 ab\n"), file("a")),
        "malformed",
    ),
    "size in words": (archive(pax({"size": "many"}), file("a")), "size"),
    "negative size in an extended header": (archive(pax({"size": "-1"}), file("a")), "size"),
    "owner in words": (archive(pax({"uid": "root"}), file("a")), "uid"),
    "sparse file of GNU": (archive(header("a", b"S")), "sparse"),
    "sparse file of pax": (archive(pax({"GNU.sparse.major": "1"}), file("a")), "sparse"),
    "NUL in a name": (archive(pax({"path": b"a\0b"}), file("a")), "null byte"),
    "NUL in a link": (archive(pax({"linkpath": b"a\0b"}), symlink("a", "b")), "null byte"),
}


@pytest.mark.parametrize(("data", "words"), _DAMAGED.values(), ids=_DAMAGED.keys())
def test_what_is_damaged_or_hostile_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        read(data)


@given(st.binary(max_size=2048), st.integers(0, 1500))
def test_no_bytes_at_all_make_it_fail_in_another_way(noise: bytes, at: int) -> None:
    data = bytearray(archive(pax({"path": "x"}), file("a", b"abc"), symlink("l", "a")))
    data[at : at + len(noise)] = noise
    if len(data) >= 512:
        data[:512] = with_checksum(bytes(data[:512]))
    try:
        read(bytes(data))
    except ImageError as error:
        assert str(error)


def test_octal_is_what_the_tests_write() -> None:
    assert octal(0o17, 8) == b"0000017\0"
