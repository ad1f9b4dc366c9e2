"""Contexts that lead out, have no end, or change while they are copied: nothing else is read or written."""

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
from composer.runtime.build.context.copying import copy
from tests.integration.build.places import (
    copied,
    digest_of,
    names_in,
    opened,
    selected,
    things,
    write,
)

pytestmark = pytest.mark.root


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
    assert names_in(outside) == ["secret"]
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


def test_a_target_that_is_a_whiteout(context: Path, root: Path) -> None:
    write(context / "f")
    for target in ("/x/.wh.f", "/.wh.d/f"):
        with pytest.raises(BuildFailed, match="stands for a removed file"):
            copied(context, root, ["f"], target)


def test_a_whiteout_device_is_refused(context: Path, root: Path) -> None:
    os.mknod(context / "gone", 0o600 | stat.S_IFCHR, 0)
    with pytest.raises(BuildFailed, match="cannot copy 'gone': in a layer it stands for a removed file"):
        copied(context, root, ["."], "/x/")


def test_what_cannot_be_read_is_named(context: Path, root: Path) -> None:
    """A file that is gone is nobody's error; one that may not be read is."""
    write(context / "d/f")
    write(context / "d/e/g")
    (context / "d/f").chmod(0o000)
    (root / "x").mkdir()
    (root / "x").chmod(0o777)
    with selected(context) as (tree, selection), opened(root) as fd:
        child = os.fork()
        if not child:
            code = 1
            try:
                os.setresuid(1, 1, 1)
                syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)  # or /proc/self would be root's
                copy(tree, selection, fd, owner=(1, os.getgid()))
            except BuildFailed as error:
                code = 0 if str(error) == "COPY: cannot read '/d/f': permission denied" else 2
            finally:
                os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


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
    assert names_in(outside) == ["secret"]


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
