"""One inotify for all watches of a server."""

from __future__ import annotations

import os
import pathlib
import select
from collections.abc import Iterator

import pytest

from composer.runtime.streams import watching

MASK = 0x00000002 | 0x00000100 | 0x00000080 | 0x00000400  # modify, create, moved to, removed itself


@pytest.fixture(params=["own", "shared"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(watching, "_shared", [])
    if request.param == "shared":
        watching.share()
    yield request.param


def rings(watch: watching.Watch, seconds: float = 2.0) -> bool:
    found = bool(select.select([watch.fd], [], [], seconds)[0])
    if found:
        watch.drain()
    return found


def test_a_watch_is_told_of_its_directory(kind: str, tmp_path: pathlib.Path) -> None:
    watch = watching.watch()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    watch.add(str(tmp_path / "a"), MASK)
    (tmp_path / "b/x").touch()
    assert not rings(watch, 0.1)
    (tmp_path / "a/x").touch()
    assert rings(watch)
    watch.close()
    watch.close()


def test_a_directory_that_is_made_anew_is_another_one(kind: str, tmp_path: pathlib.Path) -> None:
    watch = watching.watch()
    place = tmp_path / "a"
    place.mkdir()
    watch.add(str(place), MASK)
    place.rmdir()
    assert rings(watch)
    place.mkdir()
    watch.add(str(place), MASK)
    while rings(watch, 0.1):
        pass
    (place / "x").touch()
    assert rings(watch)
    watch.close()


def test_what_is_not_there_is_said(kind: str, tmp_path: pathlib.Path) -> None:
    watch = watching.watch()
    with pytest.raises(FileNotFoundError):
        watch.add(str(tmp_path / "none"), MASK)
    watch.close()


def test_two_watches_of_one_directory_are_both_told(kind: str, tmp_path: pathlib.Path) -> None:
    one, other = watching.watch(), watching.watch()
    for watch in (one, other):
        watch.add(str(tmp_path), MASK)
    (tmp_path / "x").touch()
    assert rings(one) and rings(other)
    one.close()
    (tmp_path / "y").touch()
    assert rings(other)
    other.close()


def test_a_thousand_watches_need_one_inotify(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_shared", [])
    watching.share()

    def instances() -> int:
        links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
        return sum(os.path.lexists(link) and "inotify" in os.readlink(link) for link in links)

    before = instances()
    made = [watching.watch() for _ in range(400)]
    for watch in made:
        watch.add(str(tmp_path), MASK)
    assert instances() == before
    (tmp_path / "x").touch()
    assert all(rings(watch) for watch in made)
    for watch in made:
        watch.close()
    assert watching._shared[0]._watches == {}
