"""Our own walks of trees that a container changes meanwhile: nothing beyond them is read, linked or opened."""

from __future__ import annotations

import os
import pathlib
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from composer import archives
from composer.engine import observe
from composer.errors import ConfigError, CopyFailed, ImageError
from composer.runtime.base import opening, syscalls
from composer.runtime.container import console, copy_up, process, rootfs
from composer.runtime.images.archive import unpack
from composer.runtime.images.members import Archive
from composer.runtime.images.tar import Reader, Source
from composer.runtime.objects import committing
from composer.schema.files import read_text
from tests.archives import archive, directory, file, hard_link
from tests.integration.namespace.conftest import Stack
from tests.integration.namespace.test_escapes import make_image
from tests.integration.namespace.test_escapes import rootfs as image_of

pytestmark = pytest.mark.root

LINKS = 1500


@pytest.fixture
def host(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory of the host with files of the names that a volume has, on the same file system."""
    made = tmp_path / "host"
    made.mkdir()
    for index in range(LINKS):
        (made / f"f{index:04}").write_text("the host's own")
    return made


def assert_untouched(host: pathlib.Path, tree: pathlib.Path) -> None:
    assert {path.stat().st_nlink for path in host.iterdir()} == {1}, "a file of the host got another name"
    theirs = {path.stat().st_ino for path in host.iterdir()}
    found = [path for path in tree.rglob("*") if path.lstat().st_ino in theirs]
    assert found == []


def test_copy_up_links_nothing_that_a_link_leads_to(host: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Another process exchanges the directory of the first names for a link while the second ones are made."""
    source, target = tmp_path / "image", tmp_path / "volume"
    for path in (source / "a", source / "b", target):
        path.mkdir(parents=True)
    for index in range(LINKS):
        (source / "a" / f"f{index:04}").write_text("of the image")
        os.link(source / "a" / f"f{index:04}", source / "b" / f"f{index:04}")
    with exchanging(target, host):
        readable = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (source, target)]
        copy_up.copy_tree(*readable)
    for fd in readable:
        os.close(fd)
    assert (target / "a").is_symlink(), "the exchange came too late"
    assert_untouched(host, target)
    assert len(list((target / "b").iterdir())) == LINKS
    assert {path.read_text() for path in (target / "b").iterdir()} == {"of the image"}


@contextmanager
def exchanging(volume: pathlib.Path, host: pathlib.Path) -> Iterator[None]:
    """Wait in another process until b/ appears, and put a link to the host in the place of a/."""
    child = os.fork()
    if child == 0:
        try:
            while not (volume / "b").exists():
                pass
            os.rename(volume / "a", volume / "aside")
            os.symlink(host, volume / "a")
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.waitpid(child, 0)


def test_a_volume_that_another_container_changes_gets_no_file_of_the_host(
    stack: Stack, host: pathlib.Path
) -> None:
    members = [directory("data"), directory("data/a"), directory("data/b")]
    members += [file(f"data/a/f{index:04}", b"of the image") for index in range(LINKS)]
    members += [hard_link(f"data/b/f{index:04}", f"data/a/f{index:04}") for index in range(LINKS)]
    image = make_image(stack, image_of(*members))
    swap = f"while [ ! -d /v/b ]; do :; done; mv /v/a /v/aside; ln -s {host} /v/a; exec sleep 1000"
    stack.up(
        "services:\n  thief:\n    image: host\n    stop_grace_period: 0s\n"
        f"    volumes: ['vol:/v']\n    command: [sh, -c, '{swap}']\n"
        f"  victim:\n    image: {image}\n    command: sleep 1000\n    stop_grace_period: 0s\n"
        "    volumes: ['vol:/data']\n    depends_on: [thief]\nvolumes: {vol: }\n"
    )
    (data,) = stack.state.glob("lib/volumes/*/_data")
    assert (data / "a").is_symlink(), "the exchange came too late"
    assert_untouched(host, data)
    stack.run("down", "-v", "-t", "0")


def test_hard_links_stay_one_file_where_nobody_interferes(tmp_path: pathlib.Path) -> None:
    source, target = tmp_path / "image", tmp_path / "volume"
    (source / "deep" / "er").mkdir(parents=True)
    target.mkdir()
    (source / "one").write_text("text")
    for name in ("two", "deep/three", "deep/er/four"):
        os.link(source / "one", source / name)
    readable = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (source, target)]
    copy_up.copy_tree(*readable)
    for fd in readable:
        os.close(fd)
    assert {path.stat().st_ino for path in target.rglob("*") if path.is_file()} == {
        (target / "one").stat().st_ino
    }
    assert (target / "one").stat().st_nlink == 4


# ------------------------------------------------------------------ what is opened is looked at before


@contextmanager
def root_of(path: pathlib.Path) -> Iterator[int]:
    fd = os.open(path, os.O_PATH | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


@pytest.mark.parametrize("what", ["user database", "null", "terminal", "replaced file"])
def test_a_device_in_the_place_of_a_file_is_not_opened(tmp_path: pathlib.Path, what: str) -> None:
    """Opening alone arms a watchdog."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "dev" / "pts").mkdir(parents=True)
    names = {
        "user database": "etc/passwd",
        "null": "dev/null",
        "terminal": "dev/pts/ptmx",
        "replaced file": "etc/hosts",
    }
    place = root / names[what]
    os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    with opened(place) as events, root_of(root) as fd:
        if what == "user database":
            assert process.resolve_identity(fd, "0").uid == 0
        elif what == "null":
            with pytest.raises(rootfs.MountFailed, match="not the null device"):
                rootfs.open_null(fd)
        elif what == "terminal":
            with pytest.raises(OSError, match="not a terminal"):
                console.open_console(fd, 0)
        else:
            with root_of(root / "etc") as etc, pytest.raises(CopyFailed):
                archives._open_mounted(etc, "hosts")
        assert events() == 0
        os.close(os.open(place, os.O_RDONLY))
        assert events() == 1, "this proves nothing: openings are not seen"


def test_a_watched_or_named_file_that_became_a_device_is_not_opened(tmp_path: pathlib.Path) -> None:
    """An env file, a secret, what recreate_on watches: in a directory that a container shares."""
    place = tmp_path / "web.env"
    os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    with opened(place) as events:
        with pytest.raises(ConfigError, match="not a regular file"):
            read_text(str(place), "web.env")
        assert observe._digest_of_file(str(place), b"key") is None
        assert events() == 0


def test_a_hard_link_to_a_device_of_the_layer_below_opens_nothing(tmp_path: pathlib.Path) -> None:
    below, layer = tmp_path / "below", tmp_path / "layer"
    below.mkdir()
    layer.mkdir()
    place = below / "watchdog"
    os.mknod(place, stat.S_IFCHR | 0o640, os.makedev(1, 5))
    os.chown(place, 5, 6)
    (below / "link").symlink_to("elsewhere")
    data = archive(hard_link("copy", "watchdog"), hard_link("other", "link"))
    with opened(place) as events:
        unpack(Reader(Source([data])), str(layer), below=(str(below),))
        assert events() == 0
    made = os.lstat(layer / "copy")
    assert (made.st_rdev, stat.S_IMODE(made.st_mode), made.st_uid, made.st_gid) == (0x105, 0o640, 5, 6)
    assert os.readlink(layer / "other") == "elsewhere"


@pytest.mark.parametrize("kind", ["device", "fifo"])
def test_a_part_of_a_layout_that_is_no_file_is_not_opened(tmp_path: pathlib.Path, kind: str) -> None:
    place = tmp_path / "index.json"
    os.mknod(place, (stat.S_IFCHR if kind == "device" else stat.S_IFIFO) | 0o600, os.makedev(1, 5))
    with opened(place) as events, Archive(str(tmp_path), str(tmp_path)) as read:
        with pytest.raises(ImageError, match="not a regular file"):
            read.open("index.json")
        assert events() == 0


def test_only_a_regular_file_is_opened_and_no_link_is_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "plain").write_text("text")
    (tmp_path / "link").symlink_to("plain")
    (tmp_path / "way").symlink_to(".")
    os.mkfifo(tmp_path / "trap")
    with root_of(tmp_path) as fd, opened(tmp_path / "trap") as events:
        os.close(opening.regular(fd, "plain"))
        for name in ("trap", "link", "way/plain", "../root"):
            with pytest.raises(OSError, match=r"Invalid|regular|Too many|cross|No such"):
                opening.regular(fd, name)
        assert events() == 0


@contextmanager
def opened(path: pathlib.Path) -> Iterator[Callable[[], int]]:
    """Count how often something is opened, and not only looked at (inotify's IN_OPEN)."""
    fd = syscalls.inotify_init()
    syscalls.inotify_add_watch(fd, str(path), 0x20)

    def events() -> int:
        try:
            return len(os.read(fd, 4096)) // 16
        except BlockingIOError:
            return 0

    try:
        yield events
    finally:
        os.close(fd)


def test_a_commit_looks_into_no_directory_that_became_a_link(tmp_path: pathlib.Path) -> None:
    """An empty /proc of the upper layer is left out; what a link in its place leads to is nobody's business."""
    upper, elsewhere = tmp_path / "upper", tmp_path / "elsewhere"
    upper.mkdir()
    elsewhere.mkdir()
    (upper / "proc").mkdir()
    with root_of(upper) as fd:
        found = archives.Found(fd, "proc", "proc", os.lstat(upper / "proc"))
        os.rmdir(upper / "proc")
        (upper / "proc").symlink_to(elsewhere)
        headers = committing.describe(fd, frozenset())
        with pytest.raises(OSError, match=r"symbolic|Not a directory"):
            headers(found)
