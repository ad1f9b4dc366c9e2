"""A restore that was killed is carried to its end, or taken back as a whole, whatever has become of its snapshot."""

from __future__ import annotations

import os
import pathlib
import shutil

import pytest

from composer.errors import Conflict
from composer.runtime.host import doctor
from composer.runtime.snapshots import placing
from composer.runtime.snapshots.store import COPIED, OVER

from .snapshotted import ONE, TWO, Place


class Killed(BaseException):
    """Nobody catches it."""


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(params=[OVER, COPIED])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(placing, "way_here", lambda directory: request.param)
    return str(request.param)


def _kill(*arguments: object) -> None:
    raise Killed


def _killed_restore(place: Place, id: str, step: str) -> None:
    """Restore a snapshot until a step of `Placer`, where a kill comes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(placing.Placer, step, _kill)
        with pytest.raises(Killed):
            place.place(id)
    assert place.under_way()


@pytest.mark.parametrize("step", ["_tell", "_forget"])
def test_a_snapshot_that_is_removed_while_a_restore_of_it_is_half_done(
    place: Place, way: str, step: str
) -> None:
    id = place.save()
    place.write("new")
    _killed_restore(place, id, step)
    kept = place.another().snapshots.remove(id)
    assert kept == (["data", "more"] if way == OVER else [])
    place.another().recover("q")
    assert place.words() == {"old"} and place.under_way() == []
    assert place.left() == ([id] if way == OVER else [])


def test_a_snapshot_whose_restore_cannot_be_finished_is_kept_for_it(
    place: Place, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = place.save()
    place.write("new")
    _killed_restore(place, id, "_switch")
    with monkeypatch.context() as patched:
        patched.setattr(placing.Placer, "_switch", _fail)
        other = place.another()
        other.snapshots.remove(id)
        other.recover("q")  # others go on
        with pytest.raises(Conflict, match="in the way"), other.containers.starting(ONE):
            pass
    assert place.left() == [id] and list(place.snapshots._store.all()) == []
    (told,) = [one for one in doctor._snapshots(place.paths) if one.level == "warning"]
    assert "a restore of data of project 'p'" in told.text
    place.another().recover("q")
    assert place.words() == {"old"} and place.under_way() == []


def _fail(*arguments: object) -> None:
    raise Conflict("something is in the way")


@pytest.mark.parametrize("step", ["_switch", "_tell", "_forget"])
def test_a_snapshot_that_somebody_has_taken_away_blocks_nobody_and_costs_no_data(
    place: Place, way: str, step: str
) -> None:
    id = place.save()
    place.write("new")
    _killed_restore(place, id, step)
    shutil.rmtree(f"{place.paths.snapshots()}/{id}")
    place.another().recover("q")
    # what lies over nothing has been copied already: that is finished; else all of it has the data from before
    assert place.words() == {"new" if way == OVER else "old"} and place.under_way() == []
    for name in ("data", "more"):
        assert os.listdir(f"{place.paths.volumes()}/{name}/over") == []
    for id in (ONE, TWO):
        assert os.listdir(f"{place.paths.container(id)}/placed") == []


def test_what_is_taken_back_lies_over_the_snapshot_from_before(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "way_here", lambda directory: OVER)
    first = place.save("first")
    place.write("new")
    second = place.save("second")
    place.place(first)
    _killed_restore(place, second, "_forget")
    shutil.rmtree(f"{place.paths.snapshots()}/{second}")
    place.another().recover("q")
    assert place.words() == {"old"} and place.snapshots._store.users() == {first: ["data", "more"]}
