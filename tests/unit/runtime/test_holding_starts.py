"""No container is started while its data is copied or replaced, nor is data copied or replaced during a start."""

from __future__ import annotations

import json
import pathlib
import threading
from collections.abc import Callable, Iterator

import pytest

from composer.errors import Conflict
from composer.runtime.snapshots import copying, placing
from composer.runtime.snapshots.store import COPIED

from .snapshotted import ONE, OTHER, TWO, Place

_SOON_S = 0.2
"""For how long it is watched that something does not happen: on a busy machine a mistake may go unseen."""


class Act:
    """Something that a thread does, as another command would."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.failure: BaseException | None = None
        self._act = act
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._act()
        except BaseException as error:
            self.failure = error

    def waits(self) -> bool:
        self._thread.join(_SOON_S)
        return self._thread.is_alive()

    def ends(self) -> bool:
        self._thread.join(60)
        return not self._thread.is_alive()


@pytest.fixture
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    # by copies: for a volume over a snapshot a start mounts an overlay, which would stay
    monkeypatch.setattr(placing, "way_here", lambda directory: COPIED)
    yield Place(tmp_path)
    assert str(tmp_path) not in pathlib.Path("/proc/self/mountinfo").read_text()


def _start(place: Place, id: str) -> Act:
    """Start a container as far as its supervisor; it counts as started then."""

    def start() -> None:
        with place.another().containers.starting(id) as (_, request):
            assert request["seen_ns"] == 1

    return Act(start)


def _during(monkeypatch: pytest.MonkeyPatch, whose: object, name: str, act: Callable[[], object]) -> None:
    """Do something when a function is called for the first time, and before it does its work."""
    real, calls = getattr(whose, name), []

    def called(*arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            act()
        return real(*arguments, **options)

    monkeypatch.setattr(whose, name, called)


@pytest.mark.parametrize("id", [ONE, TWO])
def test_a_start_waits_for_a_save(place: Place, monkeypatch: pytest.MonkeyPatch, id: str) -> None:
    starts: list[Act] = []

    def start() -> None:
        starts.extend((_start(place, id), _start(place, OTHER)))
        assert starts[0].waits() and starts[1].ends()

    _during(monkeypatch, copying, "copy_tree", start)
    saved = place.save()
    assert starts[0].ends() and starts[0].failure is None
    assert place.left() == [saved] and place.under_way() == []


@pytest.mark.parametrize("id", [ONE, TWO])
@pytest.mark.parametrize("step", ["_prepare", "_commit"])
def test_a_start_waits_for_a_restore(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: str, id: str
) -> None:
    saved = place.save()
    place.write("new")
    starts: list[Act] = []

    def start() -> None:
        starts.extend((_start(place, id), _start(place, OTHER)))
        assert starts[0].waits() and starts[1].ends()

    _during(monkeypatch, placing.Placer, step, start)
    place.place(saved)
    assert starts[0].ends() and starts[0].failure is None
    assert place.words() == {"old"} and place.under_way() == []


@pytest.mark.parametrize("id", [ONE, TWO])
def test_a_save_and_a_restore_wait_for_a_start(place: Place, id: str) -> None:
    saved = place.save()
    for act in (lambda: place.another().snapshots.save(place.wish("t"), ()), lambda: place.place(saved)):
        with place.another().containers.starting(id):
            other = Act(act)
            assert other.waits()
            place.set_state(id, status="running", started_ns=2)
        assert other.ends()
        assert isinstance(other.failure, Conflict)
        place.set_state(id, status="exited", started_ns=1)
        assert place.left() == [saved] and place.under_way() == []


@pytest.mark.parametrize("id", [ONE, TWO])
@pytest.mark.parametrize("status", ["running", "exited"])
def test_a_copy_during_which_a_container_has_run_is_no_snapshot(
    place: Place, monkeypatch: pytest.MonkeyPatch, status: str, id: str
) -> None:
    """Who starts it does not ask: a supervisor, after a reboot."""
    _during(monkeypatch, copying, "copy_tree", lambda: place.set_state(id, status=status, started_ns=2))
    with pytest.raises(Conflict, match="cannot take the snapshot"):
        place.save()
    assert place.left() == [] and place.under_way() == []


def test_what_was_frozen_must_be_so_until_the_end(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.set_state(ONE, status="paused", started_ns=1)
    place.save()
    _during(monkeypatch, copying, "copy_tree", lambda: place.set_state(ONE, status="running", started_ns=1))
    with pytest.raises(Conflict, match="is running"):
        place.save("t")


def test_a_start_does_not_wait_for_who_was_killed(place: Place) -> None:
    place.save()
    note = pathlib.Path(place.paths.snapshots(), "frozen", "abc.json")
    for sources in ({"sources": ["data"]}, {}):
        note.write_text(json.dumps({"containers": [], **sources}))
        assert _start(place, ONE).ends()
    assert place.under_way() == ["abc.json"], "a note of an earlier version does not say whose data it is"
    place.snapshots.finish()
    assert place.under_way() == []
