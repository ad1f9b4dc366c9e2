"""COPY on a real file system: what is written, and with which attributes."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from composer.errors import BuildFailed
from composer.runtime.base import syscalls
from composer.runtime.build.context import reading
from composer.runtime.build.context.copying import copy
from composer.runtime.build.context.digests import digest
from composer.runtime.build.context.ignore import Ignore, read
from composer.runtime.build.context.selecting import select
from composer.runtime.build.context.trees import Tree
from tests.integration.build.places import (
    MTIME_NS,
    copied,
    digest_of,
    names_in,
    opened,
    parented,
    selected,
    things,
    write,
)

pytestmark = pytest.mark.root


# ---------------------------------------------------------------------------- --parents, which old BuildKits lack


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["a/b/c.txt"], ["a", "a/b", "a/b/c.txt"]),
        (["/a/b/c.txt", "z"], ["a", "a/b", "a/b/c.txt", "z", "z/c.txt"]),
        (["a/b"], ["a", "a/b", "a/b/c.txt", "a/b/d.md"]),
        (["a/*/c.txt"], ["a", "a/b", "a/b/c.txt", "a/e", "a/e/c.txt"]),
        (["**/c.txt"], ["a", "a/b", "a/b/c.txt", "a/e", "a/e/c.txt", "z", "z/c.txt"]),
        (["a/./b/c.txt"], ["b", "b/c.txt"]),
        (["./a/./*/c.txt"], ["b", "b/c.txt", "e", "e/c.txt"]),
        (["*/./b/d.md"], ["b", "b/d.md"]),
        (["link/./e"], ["e", "e/c.txt"]),
        (["none*"], []),
        (["top.txt"], ["top.txt"]),
        (["."], ["a", "a/b", "a/b/c.txt", "a/b/d.md", "a/e", "a/e/c.txt", "link", "top.txt", "z", "z/c.txt"]),
    ],
)
def test_parents_keep_the_directories_above(
    sources: list[str], expected: list[str], context: Path, root: Path
) -> None:
    parented(context)
    copied(context, root, sources, "/x/", parents=True)
    assert names_in(root) == ["x", *(f"x/{name}" for name in expected)] or (
        not expected and names_in(root) == ["x"]
    )
    if "a" in expected:
        found = things(root)["x/a"]
        assert (found.mode, found.owner) == (0o711, (0, 0))


def test_parents_with_exclusions(context: Path, root: Path) -> None:
    parented(context)
    copied(context, root, ["a"], "/x/", parents=True, excludes=["**/c.txt"])
    assert names_in(root) == ["x", "x/a", "x/a/b", "x/a/b/d.md", "x/a/e"]


def test_parents_of_what_is_missing(context: Path, root: Path) -> None:
    parented(context)
    with pytest.raises(BuildFailed, match='"/a/none": not found'):
        copied(context, root, ["a/none"], "/x/", parents=True)


# ---------------------------------------------------------------------------- attributes


def test_times_are_kept_to_the_nanosecond(context: Path, root: Path) -> None:
    write(context / "d/f")
    (context / "d/l").symlink_to("f")
    for name in ("d/l", "d"):
        os.utime(context / name, ns=(MTIME_NS, MTIME_NS), follow_symlinks=False)
    copied(context, root, ["."], "/x")
    assert {os.lstat(root / "x" / name).st_mtime_ns for name in ("d", "d/f", "d/l")} == {MTIME_NS}


def test_times_after_the_epoch_become_it(context: Path, root: Path) -> None:
    write(context / "old")
    write(context / "new/f")
    os.utime(context / "new/f")
    epoch_ns = MTIME_NS + 10**9
    copied(context, root, ["."], "/p/x/", epoch_ns=epoch_ns)
    assert os.stat(root / "p/x/old").st_mtime_ns == MTIME_NS
    for name in ("p", "p/x/new", "p/x/new/f"):
        assert os.stat(root / name).st_mtime_ns <= epoch_ns
    assert os.stat(root / "p/x/new/f").st_mtime_ns == epoch_ns


def test_owners_of_a_stage_are_kept(context: Path, root: Path) -> None:
    write(context / "d/f", mode=0o4755)
    os.chown(context / "d", 5, 6)
    os.chown(context / "d/f", 7, 8)
    (context / "d/f").chmod(0o4755)
    copied(context, root, ["."], "/", owner=None)
    found = things(root)
    assert (found["d"].owner, found["d/f"].owner, found["d/f"].mode) == ((5, 6), (7, 8), 0o4755)


def test_capabilities_are_kept(context: Path, root: Path) -> None:
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    write(context / "ping", mode=0o755)
    os.setxattr(context / "ping", "security.capability", capability)
    os.setxattr(context / "ping", "trusted.overlay.opaque", b"y")
    os.setxattr(context / "ping", "user.overlay.redirect", b"/etc")
    copied(context, root, ["ping"], "/p", chown="5:6")
    assert things(root)["p"].xattrs == (("security.capability", capability),)


def test_hard_links_within_a_source(context: Path, root: Path) -> None:
    write(context / "a/one")
    (context / "b").mkdir()
    (context / "b/two").hardlink_to(context / "a/one")
    (context / "skipped").hardlink_to(context / "a/one")
    copied(context, root, ["."], "/x/", excludes=["a"])
    assert os.path.samefile(root / "x/b/two", root / "x/skipped")
    assert os.stat(root / "x/b/two").st_nlink == 2


def test_holes_stay_holes(context: Path, root: Path) -> None:
    size = 1 << 40
    with open(context / "huge", "wb") as file:
        file.write(b"begin")
        file.seek(1 << 30)
        file.write(b"middle" * 100_000)
        file.truncate(size)
    done = copied(context, root, ["huge"], "/huge")
    found = os.stat(root / "huge")
    assert (found.st_size, done.size_bytes) == (size, size)
    assert found.st_blocks * 512 < 8 << 20
    with open(root / "huge", "rb") as file:
        assert file.read(5) == b"begin"
        file.seek(1 << 30)
        assert file.read(600_000) == b"middle" * 100_000
    assert done.digest == digest_of(context, "huge")


@pytest.mark.parametrize(
    "size", [0, 1, reading.SMALL_BYTES, reading.SMALL_BYTES + 1, 3 * reading.PIECE_BYTES + 7]
)
@pytest.mark.parametrize("wants_digest", [True, False])
def test_contents_of_every_size(size: int, wants_digest: bool, context: Path, root: Path) -> None:
    data = os.urandom(size)
    (context / "f").write_bytes(data)
    with selected(context, "f") as (tree, selection), opened(root) as fd:
        done = copy(tree, selection, fd, wants_digest=wants_digest)
        assert done.digest == (digest(tree, selection) if wants_digest else "")
    assert (root / "x/f").read_bytes() == data


def test_between_file_systems(context: Path, tmp_path: Path) -> None:
    """copy_file_range refuses what another file system has."""
    shared = Path("/dev/shm") / f"{tmp_path.name}-{os.getpid()}"
    shared.mkdir()
    try:
        data = os.urandom(2 << 20)
        (context / "f").write_bytes(data)
        assert os.stat(shared).st_dev != os.stat(context).st_dev
        with selected(context, "f") as (tree, selection), opened(shared) as fd:
            copy(tree, selection, fd, wants_digest=False)
        assert (shared / "x/f").read_bytes() == data
    finally:
        shutil.rmtree(shared)


def test_into_an_overlay(context: Path, tmp_path: Path) -> None:
    write(context / "etc/passwd", "new")
    write(context / "etc/big").write_bytes(os.urandom(1 << 20))
    for name in ("lower", "upper", "work"):
        (tmp_path / name).mkdir()
    write(tmp_path / "lower/etc/passwd", "old")
    write(tmp_path / "lower/etc/kept", "kept")
    (tmp_path / "lower/var").symlink_to("/srv")
    options = [(f"{name}dir", str(tmp_path / name)) for name in ("lower", "upper", "work")]
    fd = syscalls.overlay_mount(options)
    try:
        with selected(context) as (tree, selection):
            copy(tree, selection._replace(target="/"), fd)
            copy(tree, selection._replace(target="/var/"), fd)
    finally:
        os.close(fd)
    assert names_in(tmp_path / "upper") == [
        "etc",
        "etc/big",
        "etc/passwd",
        "srv",
        "srv/etc",
        "srv/etc/big",
        "srv/etc/passwd",
    ]
    assert (tmp_path / "upper/etc/passwd").read_text() == "new"


# ---------------------------------------------------------------------------- what is ignored


def test_ignored_directories_are_not_entered(context: Path, root: Path) -> None:
    """One that cannot even be listed does not matter."""
    write(context / "d/f")
    write(context / "g")
    write(context / ".dockerignore", "d\n!g")
    with opened(context) as fd:
        tree = Tree(fd, read(fd), owner=(0, 0))
        entered: list[str] = []
        plain = tree.open_directory

        def noted(path: str) -> int:
            entered.append(path)
            return plain(path)

        tree.open_directory = noted  # type: ignore[method-assign]
        selection = select(tree, ["."], "/x")
        with opened(root) as root_fd:
            copy(tree, selection, root_fd)
    assert "d" not in entered
    assert names_in(root) == ["x", "x/.dockerignore", "x/g"]


def test_the_ignore_file_of_a_dockerfile_comes_first(context: Path) -> None:
    write(context / ".dockerignore", "a")
    write(context / "sub/My.Dockerfile.dockerignore", "b")
    with opened(context) as fd:
        assert read(fd).excludes("a")
        own = read(fd, "sub/My.Dockerfile")
        assert own.excludes("b") and not own.excludes("a")
        assert read(fd, "sub/Other").excludes("a")


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), os.mkfifo, lambda path: path.symlink_to("/etc/hostname")]
)
def test_an_ignore_file_that_is_none(make: object, context: Path) -> None:
    assert callable(make)
    make(context / ".dockerignore")
    with opened(context) as fd:
        try:
            assert not read(fd)
        except BuildFailed as error:
            assert str(error) == "cannot read '.dockerignore': it is no regular file"


def test_hints_say_what_is_ignored(context: Path, root: Path) -> None:
    write(context / "d/f")
    write(context / ".dockerignore", "d")
    with pytest.raises(BuildFailed) as caught:
        copied(context, root, ["d/f"], "/x")
    assert (str(caught.value), caught.value.hint) == (
        'COPY: "/d/f": not found',
        "it is excluded by .dockerignore",
    )


def test_wildcards_without_a_match_are_reported(context: Path) -> None:
    with opened(context) as fd:
        tree = Tree(fd, Ignore())
        assert select(tree, ["*.none"], "/x").unmatched == ("*.none",)


def test_what_cannot_be_entered_is_named(context: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of this machine that is private to its owner: not even root reads it in FROM host."""
    write(context / "a/b/before", "x")
    (context / "a/b/private").mkdir()
    real = os.open

    def refusing(path: Any, *arguments: Any, **options: Any) -> int:
        if path == "private":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(BuildFailed, match="cannot read '/a/b/private': permission denied") as copying:
        copied(context, root, ["a"], "/x")
    with pytest.raises(BuildFailed, match="cannot read '/a/b/private': permission denied"):
        digest_of(context, "a")
    assert copying.value.hint is not None
    assert "--exclude" in copying.value.hint
