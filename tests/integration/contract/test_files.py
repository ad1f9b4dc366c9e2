"""Copying files into containers and out of them, by the rules of docker cp, the same on every backend."""

from __future__ import annotations

import io
import os
import pathlib
import stat
import tarfile
from collections.abc import Callable

import pytest

from composer.backends.memory import Behaviour
from composer.engine.running import copying
from composer.engine.wanted import MountSpec
from composer.errors import ComposerError, CopyFailed, NotFound
from tests.integration.contract.conftest import Place


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    """A file, and a directory with a directory, a link and a hard link in it."""
    top = tmp_path / "here"
    (top / "dir" / "sub").mkdir(parents=True)
    (top / "file").write_text("file\n")
    (top / "file").chmod(0o640)
    (top / "dir" / "one").write_text("one\n")
    (top / "dir" / "sub" / "two").write_text("two\n")
    os.symlink("sub/two", top / "dir" / "link")
    return top


def names(place: Place, id: str, path: str) -> list[str]:
    """Return the names in an archive of a path."""
    _, pieces = place.backend.read_path(id, path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        return sorted(info.name.removeprefix("./") for info in archive if info.name not in (".", "./"))


def text(place: Place, id: str, path: str) -> str:
    _, pieces = place.backend.read_path(id, path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        member = archive.extractfile(archive.getmembers()[0])
        assert member is not None
        return member.read().decode()


States = Callable[[Place], str]


def _running(place: Place) -> str:
    return place.start()


def _created(place: Place) -> str:
    return place.create()


def _exited(place: Place) -> str:
    id = place.start(shell="true", does=Behaviour(exits=(0,)))
    place.backend.wait_container(id)
    return id


def _paused(place: Place) -> str:
    id = place.start()
    place.backend.pause_container(id)
    return id


each_state = pytest.mark.parametrize("state", [_running, _created, _exited, _paused])


@each_state
def test_a_file_goes_in_and_comes_out(
    place: Place, tree: pathlib.Path, tmp_path: pathlib.Path, state: States
) -> None:
    id = state(place)
    copying.copy_in(place.backend, id, f"{tree}/file", "/tmp")
    copying.copy_in(place.backend, id, f"{tree}/file", "/tmp/other")
    copying.copy_out(place.backend, id, "/tmp/other", f"{tmp_path}/back")
    assert (tmp_path / "back").read_text() == "file\n"
    assert stat.S_IMODE((tmp_path / "back").stat().st_mode) == 0o640
    found = place.backend.stat_path(id, "/tmp/file")
    assert (found.name, found.size_bytes, stat.S_IMODE(found.mode)) == ("file", 5, 0o640)


@each_state
def test_a_directory_goes_in_and_comes_out(
    place: Place, tree: pathlib.Path, tmp_path: pathlib.Path, state: States
) -> None:
    id = state(place)
    copying.copy_in(place.backend, id, f"{tree}/dir", "/srv")
    assert names(place, id, "/srv/dir/.") == ["link", "one", "sub", "sub/two"]
    copying.copy_out(place.backend, id, "/srv/dir", f"{tmp_path}/back")
    assert sorted(os.listdir(tmp_path / "back")) == ["link", "one", "sub"]
    assert os.readlink(tmp_path / "back" / "link") == "sub/two"
    assert (tmp_path / "back" / "link").read_text() == "two\n"


def test_into_under_and_beside_as_docker_does(place: Place, tree: pathlib.Path) -> None:
    id = place.start()

    def put(source: str, target: str) -> None:
        copying.copy_in(place.backend, id, f"{tree}/{source}", target)

    put("dir", "/srv/new")  # not there: it becomes the directory
    put("dir", "/srv/new")  # there: it goes into it
    put("dir/.", "/srv/new/dir")  # its contents go into it
    put("dir/.", "/srv/fresh")
    put("dir/", "/srv/slash/")
    assert names(place, id, "/srv/new/.") == [
        *("dir", "dir/link", "dir/one", "dir/sub", "dir/sub/two"),
        *("link", "one", "sub", "sub/two"),
    ]
    assert names(place, id, "/srv/fresh/.") == names(place, id, "/srv/slash/.")
    assert names(place, id, "/srv/slash") == [
        *("slash", "slash/link", "slash/one", "slash/sub", "slash/sub/two")
    ]
    put("file", "/srv/fresh/one")  # a file is replaced, and keeps its name
    assert text(place, id, "/srv/fresh/one") == "file\n"
    put("file", "srv/relative")
    assert text(place, id, "/srv/relative") == "file\n"


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("dir", "/srv/file", "cannot copy a directory to file"),
        ("file", "/srv/none/", "no such directory"),
        ("file", "/srv/file/", "no such directory"),
        ("file", "/srv/none/file", "no such file or directory in the container: /srv/none"),
        ("dir", "/srv/none/dir", "no such file or directory in the container: /srv/none"),
        ("none", "/srv", "no such file or directory"),
        ("file/", "/srv", "not a directory"),
    ],
)
def test_what_cannot_go_in(place: Place, tree: pathlib.Path, source: str, target: str, said: str) -> None:
    id = place.start()
    copying.copy_in(place.backend, id, f"{tree}/file", "/srv/file")
    with pytest.raises(ComposerError, match=said):
        copying.copy_in(place.backend, id, f"{tree}/{source}", target)
    assert names(place, id, "/srv/.") == ["file"]


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("/srv/dir", "file", "cannot copy a directory to file"),
        ("/srv/file", "none/", "no such directory"),
        ("/srv/file", "none/file", "no such directory"),
        ("/srv/none", "new", "no such file or directory in the container: /srv/none"),
        ("/srv/file/", "new", "no such file or directory in the container: /srv/file/"),
    ],
)
def test_what_cannot_come_out(place: Place, tree: pathlib.Path, source: str, target: str, said: str) -> None:
    id = place.start()
    copying.copy_in(place.backend, id, f"{tree}/dir", "/srv")
    copying.copy_in(place.backend, id, f"{tree}/file", "/srv")
    with pytest.raises(ComposerError, match=said):
        copying.copy_out(place.backend, id, source, f"{tree}/{target}")
    assert sorted(os.listdir(tree)) == ["dir", "file"]


def test_a_directory_is_not_replaced_by_a_file_nor_the_reverse(place: Place, tree: pathlib.Path) -> None:
    id = place.start()
    copying.copy_in(place.backend, id, f"{tree}/dir", "/srv/file")
    with pytest.raises(ComposerError):
        copying.copy_in(place.backend, id, f"{tree}/file", "/srv")
    copying.copy_in(place.backend, id, f"{tree}/file", "/tmp/dir")
    with pytest.raises(ComposerError):
        copying.copy_in(place.backend, id, f"{tree}/dir", "/tmp")


def test_links_are_copied_as_links_unless_they_are_followed(
    place: Place, tree: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    id = place.start()
    copying.copy_in(place.backend, id, f"{tree}/dir", "/srv")
    copying.copy_out(place.backend, id, "/srv/dir/link", f"{tmp_path}/link")
    copying.copy_out(place.backend, id, "/srv/dir/link", f"{tmp_path}/followed", follow=True)
    (tmp_path / "into").mkdir()
    copying.copy_out(place.backend, id, "/srv/dir/link", f"{tmp_path}/into", follow=True)
    assert os.readlink(tmp_path / "link") == "sub/two"
    assert (tmp_path / "followed").read_text() == "two\n"
    assert not (tmp_path / "into" / "link").is_symlink()
    found = place.backend.stat_path(id, "/srv/dir/link")
    assert (stat.S_ISLNK(found.mode), found.link_target) == (True, "/srv/dir/sub/two")
    copying.copy_in(place.backend, id, f"{tree}/dir/link", "/tmp/link")
    copying.copy_in(place.backend, id, f"{tree}/dir/link", "/tmp/followed", follow=True)
    assert stat.S_ISLNK(place.backend.stat_path(id, "/tmp/link").mode)
    assert text(place, id, "/tmp/followed") == "two\n"


def test_a_link_at_the_end_of_a_destination_is_followed(place: Place, tree: pathlib.Path) -> None:
    id = place.start()
    os.symlink("/srv/real", tree / "door")
    os.symlink("/srv/none", tree / "nowhere")
    copying.copy_in(place.backend, id, f"{tree}/door", "/srv")
    copying.copy_in(place.backend, id, f"{tree}/nowhere", "/srv")
    copying.copy_in(place.backend, id, f"{tree}/dir", "/srv/real")
    copying.copy_in(place.backend, id, f"{tree}/file", "/srv/door")
    copying.copy_in(place.backend, id, f"{tree}/file", "/srv/nowhere")
    assert text(place, id, "/srv/real/file") == "file\n"
    assert text(place, id, "/srv/none") == "file\n"


def test_archives_go_both_ways(place: Place, tree: pathlib.Path) -> None:
    id = place.start()
    copying.copy_in(place.backend, id, f"{tree}/dir", "/srv")
    out = io.BytesIO()
    copying.stream_out(place.backend, id, "/srv/dir", out.write)
    copying.stream_in(place.backend, id, io.BytesIO(out.getvalue()), "/tmp")
    assert names(place, id, "/tmp/dir") == names(place, id, "/srv/dir")
    with pytest.raises(CopyFailed, match="must be an existing directory"):
        copying.stream_in(place.backend, id, io.BytesIO(out.getvalue()), "/tmp/dir/one")
    with pytest.raises(NotFound):
        place.backend.stat_path(id, "/none")


@pytest.mark.root
@pytest.mark.parametrize(("to_user", "owner"), [(False, "1234 2345"), (True, "65534 7")])
def test_owners_are_kept_or_the_containers_user(
    place: Place, tree: pathlib.Path, to_user: bool, owner: str
) -> None:
    id = place.start(user="65534:7")
    os.chown(tree / "file", 1234, 2345)
    copying.copy_in(place.backend, id, f"{tree}/file", "/tmp", to_user=to_user)
    _, pieces = place.backend.read_path(id, "/tmp/file")
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        info = archive.getmembers()[0]
    assert f"{info.uid} {info.gid}" == owner


@pytest.mark.real
@each_state
def test_volumes_and_binds_are_reached(
    place: Place, tree: pathlib.Path, tmp_path: pathlib.Path, state: States
) -> None:
    volume = place.volume()
    bound = tmp_path / "bound"
    bound.mkdir()
    mounts = (MountSpec("volume", volume, "/data"), MountSpec("bind", str(bound), "/srv/bound"))
    spec = place.spec

    def with_mounts(*arguments: object, **more: object) -> object:
        return spec(*arguments, **more, mounts=mounts)  # type: ignore[arg-type]

    place.spec = with_mounts  # type: ignore[method-assign, assignment]
    id = state(place)
    copying.copy_in(place.backend, id, f"{tree}/file", "/data/")
    copying.copy_in(place.backend, id, f"{tree}/file", "/srv/bound/")
    assert (bound / "file").read_text() == "file\n"
    assert text(place, id, "/data/file") == "file\n"


@pytest.mark.real
def test_a_read_only_root_stays_as_it_is(place: Place, tree: pathlib.Path) -> None:
    for service, start in (("running", True), ("created", False)):
        id = place.create(service, read_only=True)
        if start:
            place.backend.start_container(id)
        with pytest.raises(ComposerError, match="read-only"):
            copying.copy_in(place.backend, id, f"{tree}/file", "/srv")


@pytest.mark.real
def test_large_files_survive(place: Place, tmp_path: pathlib.Path) -> None:
    id = place.start()
    data = os.urandom(5 << 20) + b"end"
    (tmp_path / "large").write_bytes(data)
    copying.copy_in(place.backend, id, f"{tmp_path}/large", "/tmp")
    copying.copy_out(place.backend, id, "/tmp/large", f"{tmp_path}/back")
    assert (tmp_path / "back").read_bytes() == data
