"""COPY on a real file system: what is written, what its digest says, and what nobody can make it do."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from composer.errors import BuildFailed
from composer.runtime.base import syscalls
from composer.runtime.build.context import reading
from composer.runtime.build.context.copying import copy
from composer.runtime.build.context.digests import digest
from composer.runtime.build.context.ignore import Ignore, read
from composer.runtime.build.context.selecting import Selection, select
from composer.runtime.build.context.statcache import StatCache
from composer.runtime.build.context.trees import Tree
from tests.integration.build.places import MTIME_NS, copied, opened, things, write

pytestmark = pytest.mark.root


@pytest.fixture
def context(tmp_path: Path) -> Path:
    made = tmp_path / "context"
    made.mkdir()
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    made.mkdir()
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that nothing may be read from and nothing written to."""
    made = tmp_path / "outside"
    made.mkdir()
    write(made / "secret", "secret")
    return made


@contextmanager
def selected(context: Path, *sources: str, **options: object) -> Iterator[tuple[Tree, Selection]]:
    with opened(context) as fd:
        tree = Tree(fd, read(fd), owner=(0, 0))
        yield tree, select(tree, sources or (".",), "/x/", **options)  # type: ignore[arg-type]


def digest_of(context: Path, *sources: str, cache: StatCache | None = None, **options: object) -> str:
    with selected(context, *sources, **options) as (tree, selection):
        return digest(tree, selection, cache)


def names(root: Path) -> list[str]:
    return sorted(things(root))


# ---------------------------------------------------------------------------- --parents, which old BuildKits lack


def parented(context: Path) -> None:
    for name in ("a/b/c.txt", "a/b/d.md", "a/e/c.txt", "z/c.txt", "top.txt"):
        write(context / name)
    (context / "a").chmod(0o711)
    os.chown(context / "a", 3, 4)
    (context / "link").symlink_to("a")


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
    assert names(root) == ["x", *(f"x/{name}" for name in expected)] or (
        not expected and names(root) == ["x"]
    )
    if "a" in expected:
        found = things(root)["x/a"]
        assert (found.mode, found.owner) == (0o711, (0, 0))


def test_parents_with_exclusions(context: Path, root: Path) -> None:
    parented(context)
    copied(context, root, ["a"], "/x/", parents=True, excludes=["**/c.txt"])
    assert names(root) == ["x", "x/a", "x/a/b", "x/a/b/d.md", "x/a/e"]


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
    assert names(tmp_path / "upper") == [
        "etc",
        "etc/big",
        "etc/passwd",
        "srv",
        "srv/etc",
        "srv/etc/big",
        "srv/etc/passwd",
    ]
    assert (tmp_path / "upper/etc/passwd").read_text() == "new"


# ---------------------------------------------------------------------------- digests


def test_the_digest_of_a_copy_is_that_of_the_selection(context: Path, root: Path) -> None:
    parented(context)
    write(context / ".dockerignore", "z")
    (context / "twin").hardlink_to(context / "top.txt")
    os.mkfifo(context / "fifo")
    sources = (".", "top.txt", "a/*")
    with selected(context, *sources, excludes=["**/d.md"]) as (tree, selection), opened(root) as fd:
        assert copy(tree, selection, fd).digest == digest(tree, selection)


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


def test_a_cache_that_cannot_be_opened(context: Path, tmp_path: Path) -> None:
    write(context / "f")
    with StatCache(str(tmp_path / "missing/cache")) as cache:
        assert digest_of(context, cache=cache) == digest_of(context)


# ---------------------------------------------------------------------------- hostile contexts


@pytest.mark.parametrize(
    "source",
    ["out", "out/secret", "up/outside/secret", "../outside/secret", "d/../../outside", "o*/secret", "ou*/s*"],
)
def test_no_source_is_outside(source: str, context: Path, root: Path, outside: Path) -> None:
    (context / "d").mkdir()
    (context / "out").symlink_to(outside)
    (context / "up").symlink_to("../..")
    try:
        copied(context, root, [source], "/x")
    except BuildFailed as error:
        assert "not found" in str(error)
    assert b"secret" not in b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())


def test_links_out_are_copied_as_links(context: Path, root: Path, outside: Path) -> None:
    (context / "d").mkdir()
    (context / "d/out").symlink_to(outside)
    copied(context, root, ["d"], "/x")
    copied(context, root, ["d"], "/x")
    assert os.readlink(root / "x/out") == str(outside)


def test_nothing_is_written_outside(context: Path, root: Path, outside: Path) -> None:
    write(context / "f", "written")
    (root / "out").symlink_to(outside)
    (root / "up").symlink_to("../outside")
    (root / "file").symlink_to("../outside/secret")
    copied(context, root, ["f"], "/out/")
    copied(context, root, ["f"], "/up/deep/er/")
    copied(context, root, ["f"], "/file")
    assert names(outside) == ["secret"]
    assert (outside / "secret").read_text() == "secret"
    assert (root / f"{outside}/f".lstrip("/")).read_text() == "written"
    assert (root / "outside/deep/er/f").read_text() == "written"


def test_loops_of_links(context: Path, root: Path) -> None:
    (context / "a").symlink_to("b")
    (context / "b").symlink_to("a")
    write(context / "f")
    with pytest.raises(BuildFailed, match="too many levels of symbolic links"):
        copied(context, root, ["a"], "/x")
    (root / "loop").symlink_to("loop")
    with pytest.raises(BuildFailed, match="too many levels of symbolic links"):
        copied(context, root, ["f"], "/loop/x")


def test_special_files_are_not_opened(context: Path, root: Path) -> None:
    """A FIFO would make us wait for a writer; a tape would be wound back."""
    os.mkfifo(context / "fifo")
    os.mknod(context / "tape", 0o600 | stat.S_IFCHR, os.makedev(9, 0))
    copied(context, root, ["."], "/x/")
    assert [things(root)[f"x/{name}"].kind for name in ("fifo", "tape")] == ["p", "c"]


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\xc3", b"line\nbreak", b"tab\t", b"-rf", b"x" * 255])
def test_names_of_any_bytes(name: bytes, context: Path, root: Path) -> None:
    path = os.path.join(os.fsencode(context), name)
    with open(path, "wb") as file:
        file.write(b"text")
    first = copied(context, root, ["."], "/x/")
    assert os.listdir(os.fsencode(root / "x")) == [name]
    assert first.digest == digest_of(context)
    copied(context, root, [os.fsdecode(name)], "/y/")
    assert os.listdir(os.fsencode(root / "y")) == [name]


@pytest.mark.parametrize("is_ignored", [False, True])
def test_deep_directories(is_ignored: bool, context: Path, root: Path) -> None:
    """More levels than there are descriptors to have open at once."""
    deep = 400
    fd = os.open(context, os.O_PATH)
    for _ in range(deep):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_PATH, dir_fd=fd)
        os.close(fd)
        fd = below
    with open(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=fd), "w") as file:
        file.write("deep")
    os.close(fd)
    if is_ignored:
        write(context / ".dockerignore", "*\n!**/f")
    before = len(os.listdir("/proc/self/fd"))
    done = copied(context, root, ["."], "/x/")
    assert done.digest == digest_of(context)
    assert (root / ("x" + "/d" * deep) / "f").read_text() == "deep"
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_path_that_is_too_long(context: Path, root: Path) -> None:
    """It is refused, with the path, and nothing stays open."""
    fd = os.open(context, os.O_PATH)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=fd)
        below = os.open("d" * 200, os.O_PATH, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    before = len(os.listdir("/proc/self/fd"))
    try:
        copied(context, root, ["."], "/x/")
    except BuildFailed as error:
        assert "too long" in str(error)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("name", [".wh.gone", ".wh..wh..opq", "d/.wh.gone"])
def test_whiteouts_are_refused(name: str, context: Path, root: Path) -> None:
    write(context / name)
    with pytest.raises(BuildFailed, match="stands for a removed file"):
        copied(context, root, ["."], "/x/")


def test_a_whiteout_device_is_refused(context: Path, root: Path) -> None:
    os.mknod(context / "gone", 0o600 | stat.S_IFCHR, 0)
    with pytest.raises(BuildFailed, match="cannot copy 'gone': in a layer it stands for a removed file"):
        copied(context, root, ["."], "/x/")


def test_no_room_is_said_so(context: Path) -> None:
    (context / "f").write_bytes(bytes(4096) * 64)
    fd = syscalls.new_mount("tmpfs", "tmpfs", 0, "size=64k")
    try:
        with selected(context, "f") as (tree, selection), pytest.raises(BuildFailed) as caught:
            copy(tree, selection, fd)
    finally:
        os.close(fd)
    assert "cannot write '/x/f': no space left on device" in str(caught.value)
    assert caught.value.hint == "free up disk space"


# ---------------------------------------------------------------------------- contexts that change meanwhile


@contextmanager
def meanwhile(change: object) -> Iterator[None]:
    """Let a change go on, over and over, for as long as the block."""
    over = threading.Event()
    assert callable(change)

    def run() -> None:
        while not over.is_set():
            change()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


ROUNDS = 150


def rounds(context: Path, root: Path) -> Iterator[Path]:
    """Copy again and again into directories of their own; yield each, whether it was copied to the end or refused."""
    for number in range(ROUNDS):
        place = root / str(number)
        place.mkdir()
        try:
            copied(context, place, ["."], "/x/")
        except BuildFailed as error:
            assert "changed" in str(error) or "cannot read" in str(error), error
        yield place


def test_a_directory_that_becomes_a_link(context: Path, root: Path, outside: Path) -> None:
    write(context / "d/secret", "ours")

    def swap() -> None:
        (context / "d").rename(context / "aside")
        (context / "d").symlink_to(outside)
        (context / "d").unlink()
        (context / "aside").rename(context / "d")

    with meanwhile(swap):
        for place in rounds(context, root):
            found = [path.read_text() for path in place.rglob("secret") if not path.is_symlink()]
            assert set(found) <= {"ours"}


def test_a_file_that_becomes_a_link_or_a_fifo(context: Path, root: Path, outside: Path) -> None:
    write(context / "f", "ours")

    def swap() -> None:
        (context / "new").symlink_to(outside / "secret")
        (context / "new").rename(context / "f")
        os.mkfifo(context / "new")
        (context / "new").rename(context / "f")
        write(context / "new", "ours")
        (context / "new").rename(context / "f")

    with meanwhile(swap):
        for place in rounds(context, root):
            path = place / "x/f"
            assert path.is_symlink() or not path.is_file() or path.read_text() == "ours"


def test_a_target_directory_that_becomes_a_link(context: Path, root: Path, outside: Path) -> None:
    """A stage's own root does not change while it is written, and if it does nothing goes elsewhere."""
    for number in range(5):
        write(context / f"d/e/{number}")
    (root / "x/d").mkdir(parents=True)

    def swap() -> None:
        try:
            (root / "x/d").rename(root / "x/aside")
            (root / "x/d").symlink_to(outside)
            (root / "x/d").unlink()
            (root / "x/aside").rename(root / "x/d")
        except OSError:
            shutil.rmtree(root / "x/aside", ignore_errors=True)  # a copy has made it meanwhile

    with meanwhile(swap):
        for _ in range(ROUNDS):
            try:
                copied(context, root, ["."], "/x/")
            except BuildFailed as error:
                assert "cannot" in str(error)
    assert names(outside) == ["secret"]


def test_a_file_that_grows_is_copied_whole_or_refused(context: Path, root: Path) -> None:
    """A copy has the bytes of one moment; one that cannot be had ends in an error that names the file."""
    path = context / "f"
    size = 3 << 20
    path.write_bytes(b"\0" * size)
    value = 0

    def rewrite() -> None:
        nonlocal value
        value = (value + 1) % 256
        path.write_bytes(bytes([value]) * size)

    refused = whole = 0
    with meanwhile(rewrite):
        for number in range(40):
            place = root / str(number)
            place.mkdir()
            try:
                copied(context, place, ["f"], "/f")
            except BuildFailed as error:
                assert str(error) == "COPY: cannot read '/f': it was changed while it was read"
                assert error.hint is not None
                refused += 1
                continue
            data = (place / "f").read_bytes()
            assert len(set(data)) <= 1
            whole += 1
    assert refused + whole == 40


def test_files_that_go_while_they_are_copied(context: Path, root: Path) -> None:
    for number in range(50):
        write(context / f"d/{number}")

    def churn() -> None:
        for number in range(50):
            path = context / f"d/{number}"
            path.unlink()
            write(path)

    with meanwhile(churn):
        for place in rounds(context, root):
            assert all(path.read_text() in ("", "x") for path in place.rglob("*") if path.is_file())


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
    assert names(root) == ["x", "x/.dockerignore", "x/g"]


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
