"""The digest of what is copied, and the cache that saves reading it."""

from __future__ import annotations

import datetime
import os
import stat
from pathlib import Path

import pytest

from composer.runtime.base import syscalls
from composer.runtime.build.context.copying import copy
from composer.runtime.build.context.digests import digest
from composer.runtime.build.context.selecting import select
from composer.runtime.build.context.statcache import StatCache
from composer.runtime.build.context.trees import Tree
from tests.integration.build.places import (
    MTIME_NS,
    copied,
    digest_of,
    opened,
    parented,
    selected,
    write,
)

pytestmark = pytest.mark.root


# ---------------------------------------------------------------------------- digests


def test_the_digest_of_a_copy_is_that_of_the_selection(context: Path, root: Path) -> None:
    parented(context)
    write(context / ".dockerignore", "z")
    (context / "twin").hardlink_to(context / "top.txt")
    os.mkfifo(context / "fifo")
    sources = (".", "top.txt", "a/*")
    with selected(context, *sources, excludes=["**/d.md"]) as (tree, selection), opened(root) as fd:
        assert copy(tree, selection, fd).digest == digest(tree, selection)


@pytest.mark.parametrize("size", [1, 5000, 100_000, 131_072, 131_073, 1 << 20])
@pytest.mark.parametrize("begin", [b"", b"data"])
def test_files_with_holes_of_every_size(size: int, begin: bytes, context: Path, root: Path) -> None:
    with open(context / "f", "wb") as file:
        file.write(begin[:size])
        file.truncate(size)
    assert copied(context, root, ["f"], "/x").digest == digest_of(context, "f")
    assert (root / "x").read_bytes() == (context / "f").read_bytes()


def test_times_and_places_are_not_in_the_digest(context: Path) -> None:
    write(context / "a/f", "text")
    write(context / "b/f", "text")
    os.utime(context / "b/f")
    assert digest_of(context, "a") == digest_of(context, "b") != digest_of(context, "a/f")
    assert digest_of(context, "a/f") == digest_of(context, "b/f")


def _chmod(path: Path) -> None:
    path.chmod(0o600)


def _write(path: Path) -> None:
    path.write_text("other")


def _rename(path: Path) -> None:
    path.rename(path.with_name("renamed"))


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere")


def _xattr(path: Path) -> None:
    os.setxattr(path, "user.note", b"1")


def _twin(path: Path) -> None:
    (path.parent / "other").unlink()
    (path.parent / "other").hardlink_to(path)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.unlink()
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))


def _directory(path: Path) -> None:
    (path.parent / "d").chmod(0o700)


@pytest.mark.parametrize(
    "change", [_chmod, _write, _rename, _link, _xattr, _twin, _fifo, _device, _directory]
)
def test_what_is_in_the_digest(change: object, context: Path) -> None:
    write(context / "t/f", "text")
    write(context / "t/other", "text")
    (context / "t/d").mkdir()
    before = digest_of(context, "t")
    assert callable(change)
    change(context / "t/f")
    assert digest_of(context, "t") != before


def test_owners_are_in_the_digest_of_a_stage_alone(context: Path) -> None:
    write(context / "f")
    local = digest_of(context)
    with opened(context) as fd:
        tree = Tree(fd)
        before = digest(tree, select(tree, ["."], "/"))
        os.chown(context / "f", 5, 6)
        assert digest(tree, select(tree, ["."], "/")) != before
    assert digest_of(context) == local


# ---------------------------------------------------------------------------- the cache of digests


class _Clock:
    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def later(context: Path) -> _Clock:
    return _Clock(os.stat(context).st_ctime_ns + 3600 * 10**9)


@pytest.mark.parametrize("year", [1600, 1969, 2262, 2500, 9999])
def test_a_file_of_any_time_has_a_digest(context: Path, tmp_path: Path, later: _Clock, year: int) -> None:
    write(context / "f", "text")
    seconds = int((datetime.datetime(year, 12, 31) - datetime.datetime(1970, 1, 1)).total_seconds())
    os.utime(context / "f", (seconds, seconds))
    with StatCache(str(tmp_path / "cache"), clock_ns=later) as cache:
        assert digest_of(context, cache=cache) == digest_of(context)


def test_an_old_file_is_read_once(context: Path, tmp_path: Path, later: _Clock) -> None:
    write(context / "f", "text")
    state = os.stat(context / "f")
    with StatCache(str(tmp_path / "cache"), clock_ns=later) as cache:
        assert cache.get(state) is None
        first = digest_of(context, cache=cache)
        assert cache.get(state) is not None
        cache.put(state, bytes(32))  # what it says is believed, so nothing was read
        assert digest_of(context, cache=cache) != first
    with StatCache(str(tmp_path / "cache"), clock_ns=later) as cache:
        assert cache.get(state) == bytes(32)


def test_a_young_file_is_not_trusted(context: Path, tmp_path: Path) -> None:
    write(context / "f", "text")
    state = os.stat(context / "f")
    with StatCache(str(tmp_path / "cache"), clock_ns=lambda: state.st_ctime_ns + 10**9) as cache:
        digest_of(context, cache=cache)
        assert cache.get(state) is None


def test_a_changed_file_is_read_again(context: Path, tmp_path: Path, later: _Clock) -> None:
    path = write(context / "f", "text")
    with StatCache(str(tmp_path / "cache"), clock_ns=later) as cache:
        before = digest_of(context, cache=cache)
        path.write_text("tixt")
        os.utime(path, ns=(MTIME_NS, MTIME_NS))  # size and time as before: what changed it cannot set ctime
        assert digest_of(context, cache=cache) != before


@pytest.mark.parametrize("damage", [b"", b"something else", b"\0" * 5000])
def test_a_damaged_cache_is_an_empty_one(damage: bytes, context: Path, tmp_path: Path, later: _Clock) -> None:
    write(context / "f", "text")
    path = tmp_path / "cache"
    path.write_bytes(damage)
    with StatCache(str(path), clock_ns=later) as cache:
        assert digest_of(context, cache=cache) == digest_of(context)


def test_a_torn_record_is_none(context: Path, tmp_path: Path, later: _Clock) -> None:
    state = os.stat(write(context / "f", "text"))
    path = tmp_path / "cache"
    with StatCache(str(path), clock_ns=later) as cache:
        cache.put(state, b"\1" * 32)
    data = path.read_bytes()
    at = data.index(b"\1" * 32)
    path.write_bytes(data[:at] + b"\2" + data[at + 1 :])
    with StatCache(str(path), clock_ns=later) as cache:
        assert cache.get(state) is None


def test_the_cache_is_bounded(context: Path, tmp_path: Path, later: _Clock) -> None:
    """However many files come by, the last ones are known, and the table has its size."""
    real = os.stat(write(context / "f", "text"))
    fields = list(real)
    with StatCache(str(tmp_path / "cache"), clock_ns=later) as cache:
        for number in range(20_000):
            fields[1] = number
            cache.put(_state(real, number), number.to_bytes(32, "big"))
        known = sum(cache.get(_state(real, number)) == number.to_bytes(32, "big") for number in range(20_000))
        assert known > 19_900
        for number in range(300):
            cache.put(_state(real, 7, size=number), bytes(32))  # one file that grows has one place
        assert sum(cache.get(_state(real, number)) is not None for number in range(20_000)) >= known - 1
    assert os.stat(tmp_path / "cache").st_size < 32 << 20


def _state(real: os.stat_result, inode: int, size: int = 4) -> os.stat_result:
    """Return attributes like those of a file, with another number."""
    fields = {name: getattr(real, name) for name in dir(real) if name.startswith("st_")}
    plain = list(real)
    plain[1], plain[6] = inode, size
    return os.stat_result(plain, fields | {"st_ino": inode, "st_size": size})


def test_a_full_disk_ends_remembering(context: Path, later: _Clock) -> None:
    """The descriptor stays: other threads use it, and its number must not become somebody else's."""
    known, other = os.stat(write(context / "f", "text")), os.stat(write(context / "g", "text"))
    fd = syscalls.new_mount("tmpfs", "tmpfs", 0, "size=8k")
    try:
        with StatCache(f"/proc/self/fd/{fd}/cache", clock_ns=later) as cache:
            cache.put(known, bytes(32))
            for number in range(2000):
                cache.put(_state(other, number), bytes(32))
            assert cache.get(known) == bytes(32)
            assert sum(cache.get(_state(other, number)) is not None for number in range(2000)) < 500
    finally:
        os.close(fd)


def test_a_cache_that_cannot_be_opened(context: Path, tmp_path: Path) -> None:
    write(context / "f")
    with StatCache(str(tmp_path / "missing/cache")) as cache:
        assert digest_of(context, cache=cache) == digest_of(context)
