"""Layers from archives that lie: nothing outside is touched, and overlayfs shows what the layer meant.

Each hostile archive is unpacked beside a directory that must not change, with a canary in it.
"""

from __future__ import annotations

import io
import os
import pathlib
import stat
import subprocess
import tarfile
from collections.abc import Iterator

import pytest

from composer.errors import ImageError
from composer.runtime.images.archive import Bounds, unpack
from composer.runtime.images.tar import Reader, Source
from tests.archives import archive, directory, file, hard_link, header, pax, symlink

pytestmark = pytest.mark.root


class Layer:
    """A directory to unpack into, with a canary outside it that archives try to reach."""

    def __init__(self, base: pathlib.Path) -> None:
        self.base = base
        self.root = base / "layer"
        self.root.mkdir()
        self.outside = base / "outside"
        self.outside.mkdir()
        (self.outside / "canary").write_text("alive")

    def unpack(self, *parts: bytes, below: tuple[str, ...] = (), bounds: Bounds | None = None) -> int:
        data = archive(*parts)
        reader = Reader(Source(data[start : start + 777] for start in range(0, len(data), 777)))
        return unpack(reader, str(self.root), below=below, bounds=bounds or Bounds())

    def tree(self) -> dict[str, str]:
        """Return what is in the layer: contents of files, ``-> target`` of links, ``/`` of directories."""
        return {str(path.relative_to(self.root)): describe(path) for path in sorted(self.root.rglob("*"))}

    def assert_outside_untouched(self) -> None:
        assert sorted(os.listdir(self.outside)) == ["canary"]
        assert (self.outside / "canary").read_text() == "alive"
        assert sorted(os.listdir(self.base)) == ["layer", "outside"]
        assert os.stat(self.outside / "canary").st_nlink == 1


def describe(path: pathlib.Path) -> str:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return f"-> {os.readlink(path)}"
    if stat.S_ISDIR(found.st_mode):
        return "opaque/" if "trusted.overlay.opaque" in os.listxattr(path) else "/"
    if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
        return "whiteout"
    return path.read_text() if stat.S_ISREG(found.st_mode) else stat.filemode(found.st_mode)


@pytest.fixture
def layer(tmp_path: pathlib.Path) -> Iterator[Layer]:
    made = Layer(tmp_path)
    yield made
    made.assert_outside_untouched()


# ------------------------------------------------------------------ escapes

OUT = "../outside"

# name → (the archive, what is in the layer afterwards or the words of the refusal)
ESCAPES: dict[str, tuple[tuple[bytes, ...], dict[str, str] | str]] = {
    "absolute name": ((file("/etc/x", b"1"),), {"etc": "/", "etc/x": "1"}),
    "dots in a name": ((file(f"{OUT}/x", b"1"),), "outside of the archive"),
    "dots in the middle": ((file("a/../../outside/x", b"1"),), "outside of the archive"),
    "dots in a hard link's target": ((hard_link("x", f"{OUT}/canary"),), "outside of the archive"),
    "dots of a directory": ((directory(f"{OUT}/x"),), "outside of the archive"),
    "parent is a link upwards": ((symlink("l", OUT), file("l/x", b"1")), "dangling symlink"),
    "parent is a link upwards, in two steps": (
        (directory("d"), symlink("d/up", ".."), symlink("l", "d/up/../outside"), file("l/x", b"1")),
        "dangling symlink",
    ),
    "parent is a link to the root": (
        (symlink("l", "/"), file("l/x", b"1")),
        {"l": "-> /", "x": "1"},
    ),
    "parent is an absolute link inside": (
        (directory("usr"), directory("usr/lib"), symlink("lib", "/usr/lib"), file("lib/x", b"1")),
        {"usr": "/", "usr/lib": "/", "usr/lib/x": "1", "lib": "-> /usr/lib"},
    ),
    "parent is a magic link": ((symlink("l", "/proc/self/root"), file("l/x", b"1")), "dangling symlink"),
    "leaf is a link upwards": (
        (symlink("x", f"{OUT}/canary"), file("x", b"1")),
        {"x": "1"},
    ),
    "a directory in place of a link upwards": (
        (symlink("d", OUT), directory("d"), file("d/x", b"1")),
        {"d": "/", "d/x": "1"},
    ),
    "a link in place of a directory that is open": (
        (directory("d"), file("d/a", b"1"), symlink("d", OUT), file("d/b", b"2")),
        "cannot unpack 'd/b'",
    ),
    "hard link through a link upwards": ((symlink("l", OUT), hard_link("x", "l/canary")), "does not exist"),
    "hard link to an absolute name": ((hard_link("x", "/etc/passwd"),), "does not exist"),
    "hard link to a link upwards, then written": (
        (symlink("l", f"{OUT}/canary"), hard_link("x", "l"), file("x", b"1")),
        {"l": f"-> {OUT}/canary", "x": "1"},
    ),
    "whiteout through a link upwards": ((symlink("l", OUT), file("l/.wh.canary")), "l"),
    "opaque through a link upwards": ((symlink("l", OUT), file("l/.wh..wh..opq")), "l"),
    "whiteout of nothing": ((file("a/.wh."),), "does not exist"),
    "a file in the place of the root": ((file("./", b""), file("x", b"1")), {"x": "1"}),
    "a name below a file": ((file("a", b"1"), file("a/b", b"2")), "a directory"),
}


@pytest.mark.parametrize(("parts", "wanted"), ESCAPES.values(), ids=ESCAPES.keys())
def test_nothing_leads_out(layer: Layer, parts: tuple[bytes, ...], wanted: dict[str, str] | str) -> None:
    if isinstance(wanted, str):
        with pytest.raises(ImageError, match=f"(?i){wanted}"):
            layer.unpack(*parts)
    else:
        layer.unpack(*parts)
        assert layer.tree() == wanted


@pytest.mark.parametrize("hidden", [".", ".."])
def test_a_whiteout_cannot_hide_its_directory_or_the_one_above(layer: Layer, hidden: str) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        layer.unpack(directory("a"), file(f"a/.wh.{hidden}"))
    assert layer.tree() == {"a": "/"}


def test_the_attributes_of_overlayfs_cannot_be_forged(layer: Layer) -> None:
    forged = {
        "SCHILY.xattr.trusted.overlay.redirect": "/outside",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.user.overlay.redirect": "/outside",
        "SCHILY.xattr.trusted.x": "1",
        "SCHILY.xattr.user.kept": "1",
    }
    layer.unpack(pax(forged), directory("d"), pax(forged), file("f", b"1"))  # type: ignore[arg-type]
    assert os.listxattr(layer.root / "d") == ["user.kept"]
    assert os.listxattr(layer.root / "f") == ["user.kept"]


# ------------------------------------------------------------------ bombs


def test_a_stated_size_is_not_believed_before_the_disk_is_asked(layer: Layer) -> None:
    with pytest.raises(ImageError, match=r"too large|no space left"):
        layer.unpack(pax({"size": str(1 << 50)}), header("x"))


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (Bounds(size_bytes=1000), "too large"),
        (Bounds(entries=2), "too many entries"),
        (Bounds(free_bytes=1 << 60), "no space left"),
        (Bounds(free_inodes=1 << 60), "no space left"),
    ],
)
def test_bounds(layer: Layer, bounds: Bounds, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        layer.unpack(file("a", b"x" * 600), file("b", b"x" * 600), file("c"), bounds=bounds)


def test_depth_is_bounded_through_links_too(layer: Layer) -> None:
    deep = "/".join(["d"] * 200)
    with pytest.raises(ImageError, match="deep"):
        layer.unpack(
            pax({"path": f"{deep}/x"}), file("x"),
            pax({"linkpath": deep}), symlink("l", "x"),
            pax({"path": f"l/{deep}/x"}), file("x"),
        )  # fmt: skip


def test_depth_is_bounded_in_one_name(layer: Layer) -> None:
    with pytest.raises(ImageError, match="deep"):
        layer.unpack(pax({"path": "d/" * 2000 + "x"}), file("x"))


@pytest.mark.parametrize("name", ["n" * 256, "/".join(["n" * 200] * 30)])
def test_names_longer_than_the_kernel_takes_are_an_error(layer: Layer, name: str) -> None:
    with pytest.raises(ImageError, match="too long"):
        layer.unpack(pax({"path": name}), file("x"))


def test_an_owner_out_of_range_is_an_error(layer: Layer) -> None:
    with pytest.raises(ImageError, match="owner"):
        layer.unpack(pax({"uid": str(1 << 32)}), file("x"))


# ------------------------------------------------------------------ what a layer means


def test_attributes(layer: Layer) -> None:
    layer.unpack(
        pax({"SCHILY.xattr.security.capability": CAP_NET_RAW, "mtime": "1600000000.5"}),
        file("ping", b"1", mode=0o4755, uid=5, gid=6),
        directory("d", mode=0o1777, mtime=1_500_000_000),
        file("d/x"),
        symlink("l", "nowhere"),
        header("null", b"3", device=(1, 3), mode=0o666),
        header("disk", b"4", device=(7, 0), mode=0o600),
        header("pipe", b"6", mode=0o622),
    )
    ping = os.stat(layer.root / "ping")
    assert (ping.st_mode & 0o7777, ping.st_uid, ping.st_gid, ping.st_mtime_ns) == (
        0o4755,
        5,
        6,
        1_600_000_000_500_000_000,
    )
    assert os.getxattr(layer.root / "ping", "security.capability") == CAP_NET_RAW
    assert (layer.root / "d").stat().st_mode & 0o7777 == 0o1777
    assert (layer.root / "d").stat().st_mtime == 1_500_000_000
    null, disk = os.stat(layer.root / "null"), os.stat(layer.root / "disk")
    assert stat.S_ISCHR(null.st_mode) and null.st_rdev == os.makedev(1, 3) and null.st_mode & 0o777 == 0o666
    assert stat.S_ISBLK(disk.st_mode) and disk.st_rdev == os.makedev(7, 0)
    assert stat.S_ISFIFO(os.stat(layer.root / "pipe").st_mode)


CAP_NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")


def test_the_last_of_two_entries_wins(layer: Layer) -> None:
    layer.unpack(
        file("a", b"1"), file("a", b"2"),
        directory("b"), file("b/x"), file("b", b"file"),
        file("c", b"file"), directory("c"),
        directory("d"), file("d/kept", b"1"), directory("d", mode=0o700),
        symlink("e", "a"), hard_link("e", "a"),
    )  # fmt: skip
    assert layer.tree() == {"a": "2", "b": "file", "c": "/", "d": "/", "d/kept": "1", "e": "2"}
    assert os.stat(layer.root / "a").st_nlink == 2
    assert (layer.root / "d").stat().st_mode & 0o777 == 0o700


def test_a_hard_link_to_itself_does_not_lose_the_file(layer: Layer) -> None:
    layer.unpack(file("a", b"1"), hard_link("a", "./a"))
    assert layer.tree() == {"a": "1"}


def test_whiteouts(layer: Layer) -> None:
    layer.unpack(
        file(".wh.gone"),
        directory("d"), file("d/.wh..wh..opq"), file("d/new", b"1"),
        file("made/.wh.x"),
        file(".wh..wh.plnk"), file(".wh..wh.aufs"),
        file(".wh.first"), directory("first"),
        directory("second"), file(".wh.second"),
        file(".wh.third"), file("third", b"3"),
        file("fourth", b"4"), file(".wh.fourth"),
    )  # fmt: skip
    assert layer.tree() == {
        "gone": "whiteout",
        "d": "opaque/",
        "d/new": "1",
        "made": "/",
        "made/x": "whiteout",
        "first": "opaque/",
        "second": "opaque/",
        "third": "3",
        "fourth": "4",
    }


def test_overlayfs_shows_what_the_layers_mean(tmp_path: pathlib.Path) -> None:
    """The same three layers as one directory, through the kernel."""
    (tmp_path / "lower").mkdir()
    (tmp_path / "upper").mkdir()
    lower, upper = Layer(tmp_path / "lower"), Layer(tmp_path / "upper")
    lower.unpack(
        file("gone", b"old"), file("kept", b"old"),
        directory("emptied"), file("emptied/old", b"old"),
        directory("replaced"), file("replaced/old", b"old"),
        directory("tmp", mode=0o1777, uid=7), file("tmp/old", b"old"),
    )  # fmt: skip
    upper.unpack(
        file(".wh.gone"),
        file("emptied/.wh..wh..opq"), file("emptied/new", b"new"),
        file(".wh.replaced"), directory("replaced"), file("replaced/new", b"new"),
        file("tmp/new", b"new"),
        hard_link("again", "kept"),
        below=(str(lower.root),),
    )  # fmt: skip
    merged = tmp_path / "merged"
    merged.mkdir()
    subprocess.run(
        ["mount", "-t", "overlay", "-o", f"ro,lowerdir={upper.root}:{lower.root}", "overlay", merged],
        check=True,
    )
    try:
        seen = {
            str(path.relative_to(merged)): path.read_text() if path.is_file() else "/"
            for path in sorted(merged.rglob("*"))
        }
        tmp = (merged / "tmp").stat()
    finally:
        subprocess.run(["umount", merged], check=True)
    assert seen == {
        "again": "old",
        "emptied": "/",
        "emptied/new": "new",
        "kept": "old",
        "replaced": "/",
        "replaced/new": "new",
        "tmp": "/",
        "tmp/new": "new",
        "tmp/old": "old",
    }
    assert (tmp.st_mode & 0o7777, tmp.st_uid) == (0o1777, 7)


@pytest.mark.parametrize("style", ["gnu", "pax", "ustar"])
def test_the_same_as_gnu_tar(tmp_path: pathlib.Path, style: str) -> None:
    """A tree with everything in it, packed by GNU tar, unpacked by it and by us."""
    source = tmp_path / "source"
    _make_tree(source)
    packed = tmp_path / "a.tar"
    options = ["--xattrs", "--xattrs-include=*"] if style == "pax" else []
    subprocess.run(["tar", f"--format={style}", *options, "-cf", packed, "-C", source, "."], check=True)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    subprocess.run(["tar", *options, "-xpf", packed, "-C", theirs], check=True)
    (tmp_path / "ours").mkdir()
    ours = Layer(tmp_path / "ours")
    with open(packed, "rb") as opened:
        unpack(Reader(Source(iter(lambda: opened.read(1 << 16), b""))), str(ours.root))
    assert _facts(ours.root) == _facts(theirs)


def _make_tree(root: pathlib.Path) -> None:
    root.mkdir(mode=0o750)
    long = root / ("d" * 90) / ("e" * 50)
    long.mkdir(parents=True)
    (long / "file").write_bytes(os.urandom(70_000))
    (root / "empty").touch(mode=0o600)
    os.chown(root / "empty", 1234, 5678)
    (root / "set-uid").write_text("x")
    os.chmod(root / "set-uid", 0o6755)
    os.link(root / "set-uid", long / "linked")
    os.symlink("d" * 90, root / "link")
    os.mkfifo(root / "pipe", 0o640)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.setxattr(root / "empty", "user.note", b"\0binary\n")
    os.utime(root / "empty", ns=(1_000_000_000, 1_000_000_000))
    os.utime(long, ns=(2_000_000_000, 2_000_000_000))


def _facts(root: pathlib.Path) -> dict[str, tuple[object, ...]]:
    facts: dict[str, tuple[object, ...]] = {}
    for path in [root, *sorted(root.rglob("*"))]:
        found = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(found.st_mode) else b""
        target = os.readlink(path) if path.is_symlink() else ""
        xattrs = {name: os.getxattr(path, name) for name in os.listxattr(path, follow_symlinks=False)}
        facts[str(path.relative_to(root))] = (
            found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns, found.st_rdev,
            found.st_nlink if not path.is_dir() else 0, content, target, xattrs,
        )  # fmt: skip
    return facts


def test_the_bypasses_of_pythons_own_filters_do_not_work_here(layer: Layer) -> None:
    """CVE-2025-4517 and its kin: a path that only grows past PATH_MAX while it is resolved."""
    step = "d" * 247
    parts, path = [], ""
    for letter in "abcdefghijklmnop":
        parts += [pax({"path": f"{path}{step}"}), directory("x")]
        parts += [pax({"path": f"{path}{letter}", "linkpath": step}), symlink("x", "x")]
        path += f"{letter}/"
    last = f"{path}{'l' * 254}"
    parts += [pax({"path": last, "linkpath": "../" * 16}), symlink("x", "x")]
    parts += [pax({"path": "escape", "linkpath": f"{last}/../../outside"}), symlink("x", "x")]
    parts += [hard_link("stolen", "escape/canary"), file("escape/new", b"1")]
    with pytest.raises(ImageError):
        layer.unpack(*parts)


def test_python_writes_it_and_we_read_it(layer: Layer) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("a/b/c")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    assert unpack(Reader(Source(iter([buffer.getvalue()]))), str(layer.root)) == 3
    assert layer.tree() == {"a": "/", "a/b": "/", "a/b/c": "abc"}
