"""Trees to archives and back: what is kept, and what an archive cannot do."""

from __future__ import annotations

import io
import os
import stat
import struct
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from composer import archives
from composer.errors import CopyFailed


def packed(directory: Path, name: str = "tree") -> bytes:
    fd = os.open(directory.parent, os.O_RDONLY)
    try:
        return b"".join(archives.pack(fd, directory.name, name))
    finally:
        os.close(fd)


def unpacked(data: bytes, directory: Path, rename: str | None = None, **ownership: bool) -> None:
    directory.mkdir(exist_ok=True)
    fd = os.open(directory, os.O_RDONLY)
    try:
        archives.unpack(
            [data[at : at + 700] for at in range(0, len(data), 700)],
            lambda parts: archives.directory_below(fd, parts),
            archives.Ownership(**ownership),  # type: ignore[arg-type]
            rename=rename,
        )
    finally:
        os.close(fd)


def archive_of(*entries: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            archive.addfile(entry, io.BytesIO(b"x" * entry.size))
    return buffer.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", **fields: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = 3 if kind == tarfile.REGTYPE else 0
    for key, value in fields.items():
        setattr(info, key, value)
    return info


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    (top / "sub" / "empty").mkdir(parents=True)
    (top / "file").write_bytes(os.urandom(3000))
    (top / "file").chmod(0o604)
    os.link(top / "file", top / "sub" / "hard")
    os.symlink("../nowhere", top / "sub" / "link")
    os.mkfifo(top / "pipe")
    (top / ("long" * 60)).write_text("long")
    (top / os.fsdecode(b"\xff\xfe")).write_text("not UTF-8")
    os.utime(top / "sub", (1_000_000_000, 1_000_000_000))
    return top


def test_a_tree_comes_back_as_it_was(tree: Path, tmp_path: Path) -> None:
    unpacked(packed(tree), tmp_path / "out")
    out = tmp_path / "out" / "tree"
    assert sorted(os.listdir(out)) == sorted(os.listdir(tree))
    assert (out / "file").read_bytes() == (tree / "file").read_bytes()
    assert stat.S_IMODE((out / "file").stat().st_mode) == 0o604
    assert (out / "file").samefile(out / "sub" / "hard")
    assert os.readlink(out / "sub" / "link") == "../nowhere"
    assert stat.S_ISFIFO((out / "pipe").lstat().st_mode)
    assert (out / os.fsdecode(b"\xff\xfe")).read_text() == "not UTF-8"
    assert (out / "sub").stat().st_mtime == 1_000_000_000


def _acl(*entries: tuple[int, int, int]) -> bytes:
    """A POSIX access list as the kernel has it: version 2, then tag, rights and number of each entry."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *one) for one in entries)


ANY = 0xFFFFFFFF
ACL = _acl((1, 6, ANY), (2, 6, 1234), (4, 4, ANY), (16, 6, ANY), (32, 0, ANY))


@pytest.mark.root
def test_access_lists_and_attributes_of_users_come_along(tmp_path: Path) -> None:
    """Without its list a file would have the rights of the mask, which are those of nobody in particular."""
    (tmp_path / "tree").mkdir()
    file = tmp_path / "tree" / "f"
    file.write_text("x")
    os.setxattr(file, "user.note", b"\xff\0kept")
    os.setxattr(file, "system.posix_acl_access", ACL)
    os.setxattr(file.parent, "system.posix_acl_default", ACL)
    unpacked(packed(tmp_path / "tree"), tmp_path / "new", keep=True)
    made = tmp_path / "new" / "tree" / "f"
    assert os.getxattr(made, "user.note") == b"\xff\0kept"
    assert os.getxattr(made, "system.posix_acl_access") == ACL
    assert os.getxattr(made.parent, "system.posix_acl_default") == ACL, "of what is made in it later"


@pytest.mark.parametrize("at", [700, 512 + 1024 + 3, 1024 + 8])
def test_a_header_that_is_damaged_is_no_end(tmp_path: Path, at: int) -> None:
    entries = []
    for number in range(4):
        info = tarfile.TarInfo(f"f{number}")
        entries.append(info)
    data = bytearray(archive_of(*entries))
    data[at] ^= 0xFF
    with pytest.raises(CopyFailed, match="damaged"):
        unpacked(bytes(data), tmp_path / "new")


def test_a_name_of_too_many_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CopyFailed, match="nested more than 400 directories deep"):
        unpacked(archive_of(tarfile.TarInfo("d/" * 1500 + "x")), tmp_path / "new")


def test_equal_trees_give_equal_bytes(tree: Path) -> None:
    assert packed(tree) == packed(tree)
    with tarfile.open(fileobj=io.BytesIO(packed(tree, ""))) as archive:
        assert archive.getnames() == sorted(archive.getnames(), key=lambda name: name.split("/"))
        assert "file" in archive.getnames()


def test_sockets_are_left_out(tmp_path: Path) -> None:
    import socket

    (tmp_path / "top").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "top" / "s"))
        with tarfile.open(fileobj=io.BytesIO(packed(tmp_path / "top"))) as archive:
            assert archive.getnames() == ["tree"]


def test_the_first_part_of_every_name_is_replaced(tree: Path, tmp_path: Path) -> None:
    unpacked(packed(tree, "tree"), tmp_path / "out", rename="new")
    unpacked(packed(tree, "."), tmp_path / "out", rename="dot")
    for name in ("new", "dot"):
        assert (tmp_path / "out" / name / "file").samefile(tmp_path / "out" / name / "sub" / "hard")


Hostile = Callable[[Path], list[tarfile.TarInfo]]


@pytest.mark.parametrize(
    "entries",
    [
        lambda outside: [entry("../evil")],
        lambda outside: [entry("a/../../evil")],
        lambda outside: [entry("door", tarfile.SYMTYPE, str(outside)), entry("door/evil")],
        lambda outside: [entry("door", tarfile.SYMTYPE, ".."), entry("door/evil")],
        lambda outside: [entry("hard", tarfile.LNKTYPE, "../outside/victim")],
        lambda outside: [
            entry("door", tarfile.SYMTYPE, str(outside)),
            entry("hard", tarfile.LNKTYPE, "door/victim"),
        ],
        lambda outside: [entry("d", tarfile.DIRTYPE), entry("d")],
        lambda outside: [entry("f"), entry("f", tarfile.DIRTYPE)],
        lambda outside: [entry("door", tarfile.SYMTYPE, str(outside)), entry("door", tarfile.DIRTYPE)],
    ],
)
def test_an_archive_cannot_lead_out(tmp_path: Path, entries: Hostile) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("mine")
    with pytest.raises(CopyFailed):
        unpacked(archive_of(*entries(outside)), tmp_path / "out")
    assert os.listdir(outside) == ["victim"]
    assert (outside / "victim").read_text() == "mine"
    assert (outside / "victim").stat().st_nlink == 1
    assert sorted(os.listdir(tmp_path)) == ["out", "outside"]


def test_a_file_replaces_a_link_and_is_not_written_through_it(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    unpacked(archive_of(entry("a", tarfile.SYMTYPE, str(tmp_path / "victim")), entry("a")), tmp_path / "out")
    assert (tmp_path / "victim").read_text() == "mine"
    assert (tmp_path / "out" / "a").read_text() == "xxx"


def test_absolute_names_are_below(tmp_path: Path) -> None:
    unpacked(archive_of(entry("/a/b")), tmp_path / "out")
    assert (tmp_path / "out" / "a" / "b").read_text() == "xxx"


def test_rights_that_nobody_meant_are_taken_away(tmp_path: Path) -> None:
    unpacked(archive_of(entry("s", mode=0o6755)), tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out" / "s").stat().st_mode) == 0o755


@pytest.mark.parametrize("data", [b"no archive at all" * 60, archive_of(entry("a"))[:700], b"\x1f\x8bgzip?"])
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CopyFailed):
        unpacked(data, tmp_path / "out")


def test_a_tree_that_is_too_deep_is_refused(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        fd = os.dup(here)
        for _ in range(420):
            os.mkdir("d", dir_fd=fd)
            below = os.open("d", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        os.close(fd)
        with pytest.raises(CopyFailed, match="deep"):
            b"".join(archives.pack(here, "d", "d"))
    finally:
        os.close(here)


def test_a_file_that_became_shorter_is_not_filled_up(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "f").write_bytes(bytes(3 << 20))
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        pieces = archives.pack(fd, "top", "top")
        taken = [next(pieces) for _ in range(3)]
        os.truncate(tmp_path / "top" / "f", 10)
        with pytest.raises(CopyFailed, match="truncated"):
            taken += list(pieces)
    finally:
        os.close(fd)


@pytest.mark.parametrize("fields", [{"mtime": 2**70}, {"uid": 2**40}, {"uid": -5}])
def test_numbers_that_no_file_can_have(tmp_path: Path, fields: dict[str, int]) -> None:
    with pytest.raises(CopyFailed, match="damaged"):
        unpacked(archive_of(entry("file", **fields)), tmp_path / "out", keep=True)  # type: ignore[arg-type]


def test_what_changes_while_it_is_read(tree: Path) -> None:
    """A link that is none any more when it is to be read is left out; what is asked for itself has to be there."""
    (tree / "alink").symlink_to("file")

    def swap(found: archives.Found) -> list[tarfile.TarInfo]:
        if found.base == "alink":
            (tree / "alink").unlink()
            (tree / "alink").touch()
        return archives.describe_plainly(found)

    fd = os.open(tree.parent, os.O_RDONLY)
    data = b"".join(archives.pack(fd, tree.name, "tree", swap))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
    assert "tree" in names and "tree/alink" not in names
    with pytest.raises(CopyFailed, match="cannot read 'gone': no such file"):
        b"".join(archives.pack(fd, "gone", "gone"))
    os.close(fd)


def test_holes_of_a_file_stay_holes(tmp_path: Path) -> None:
    """Also at its end, and beside data that is no multiple of a block."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    with open(source / "disk", "wb") as file:
        file.write(b"begin")
        file.seek(8 << 20)
        file.write(b"x" * 5000)
        file.truncate(16 << 20)
    (source / "plain").write_bytes(os.urandom(70_000))
    unpacked(packed(source, "source"), target)
    assert (target / "source" / "plain").read_bytes() == (source / "plain").read_bytes()
    assert (target / "source" / "disk").read_bytes() == (source / "disk").read_bytes()
    assert (target / "source" / "disk").stat().st_blocks * 512 < 1 << 20


def test_contents_are_passed_on_without_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `pack` has read is what is written: 300 MB took three times as long when each layer had its copies."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_bytes(os.urandom(3 << 20) + b"end")
    read: list[bytes] = []
    written: list[object] = []
    monkeypatch.setattr(archives, "_write_sparsely", lambda fd, piece: written.append(piece))

    def noted() -> Iterator[bytes]:
        fd = os.open(tmp_path, os.O_RDONLY)
        for piece in archives.pack(fd, "tree", "tree"):
            read.append(piece)
            yield piece
        os.close(fd)

    top = os.open(tmp_path, os.O_RDONLY)
    archives.unpack(
        noted(), lambda parts: archives.directory_below(top, parts), archives.Ownership(), rename="to"
    )
    os.close(top)
    large = [piece for piece in read if len(piece) > 4096]
    assert len(large) >= 12
    assert [id(piece) for piece in written[: len(large)]] == [id(piece) for piece in large]


def test_zeros_replace_what_a_file_had(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (target / "source").mkdir(parents=True)
    (source / "file").write_bytes(bytes(20_000))
    (target / "source" / "file").write_bytes(b"old" * 10_000)
    unpacked(packed(source, "source"), target)
    assert (target / "source" / "file").read_bytes() == bytes(20_000)
