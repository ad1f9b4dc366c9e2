"""Trees are copied with all that belongs to them, and nothing is followed out of them."""

from __future__ import annotations

import os
import pathlib
import stat

import pytest

from composer.errors import BackendError
from composer.runtime.snapshots import copying


def described(top: pathlib.Path) -> dict[str, tuple[object, ...]]:
    """Return what there is to know of each file."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted([top, *top.rglob("*")]):
        seen = path.lstat()
        contents = path.read_bytes() if stat.S_ISREG(seen.st_mode) else b""
        link = os.readlink(path) if path.is_symlink() else ""
        times = seen.st_mtime_ns
        attributes = [
            (name, os.getxattr(path, name, follow_symlinks=False))
            for name in os.listxattr(path, follow_symlinks=False)
        ]
        found[str(path.relative_to(top))] = (seen.st_mode, seen.st_uid, contents, link, times, attributes)
    return found


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    top = tmp_path / "tree"
    (top / "sub/deep").mkdir(parents=True)
    (top / "small").write_text("text")
    (top / "big").write_bytes(os.urandom(300_000))
    (top / "empty").touch()
    with open(top / "holes", "wb") as file:
        file.seek(5 << 20)
        file.write(b"end")
        file.truncate(9 << 20)
    os.symlink("/etc/passwd", top / "link")
    os.symlink("sub", top / "to-directory")
    os.link(top / "small", top / "sub/deep/same")
    os.mkfifo(top / "pipe")
    (top / "small").chmod(0o4751)
    (top / "sub").chmod(0o700)
    os.setxattr(top / "big", "user.name", b"value")
    os.utime(top / "sub/deep", ns=(10**18, 10**18 + 7))
    return top


@pytest.mark.parametrize("shared", [False, True])
def test_a_copy_is_the_same(tree: pathlib.Path, tmp_path: pathlib.Path, shared: bool) -> None:
    size = copying.copy_tree(str(tree), str(tmp_path / "copy"), shared=shared)
    assert described(tmp_path / "copy") == described(tree)
    one, other = (tmp_path / "copy" / name for name in ("small", "sub/deep/same"))
    assert one.stat().st_ino == other.stat().st_ino != (tree / "small").stat().st_ino
    assert (tmp_path / "copy/holes").stat().st_blocks < 1000  # they are holes again
    assert 300_000 < size < 1_000_000


def test_the_copy_is_nobody_elses_file(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Never a link: a database writes in place."""
    copying.copy_tree(str(tree), str(tmp_path / "copy"), shared=True)
    before = (tree / "big").read_bytes()
    with open(tmp_path / "copy/big", "r+b") as file:
        file.write(b"changed")
    assert (tree / "big").read_bytes() == before


def test_a_link_in_the_place_of_the_tree_s_directories_is_not_followed(tmp_path: pathlib.Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").touch()
    (tmp_path / "tree").mkdir()
    os.symlink(outside, tmp_path / "tree/inside")
    copying.copy_tree(str(tmp_path / "tree"), str(tmp_path / "copy"), shared=False)
    assert os.readlink(tmp_path / "copy/inside") == str(outside)


def test_what_is_too_deep_is_an_error_and_leaves_no_descriptor_open(tmp_path: pathlib.Path) -> None:
    place = tmp_path / "tree"
    place.mkdir()
    fd = os.open(place, os.O_RDONLY)
    for _ in range(450):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BackendError, match="nested deeper than 400"):
        copying.copy_tree(str(place), str(tmp_path / "copy"), shared=False)
    assert len(os.listdir("/proc/self/fd")) == before
