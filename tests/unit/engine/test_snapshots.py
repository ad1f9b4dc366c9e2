"""Snapshots by their names: there is one of a name at the end, and where there are more, the newest is meant."""

from __future__ import annotations

import pytest

from composer.engine import labels
from composer.engine.observed import ObservedSnapshot, SnapshotPart
from composer.engine.snapshots import copies, keeping, saving
from composer.engine.wanted import SnapshotSpec
from composer.errors import ComposerError, NotFound, StartFailed
from tests.unit.engine.stage import Stage

_FILE = "services: {db: {image: db, volumes: ['data:/data']}}\nvolumes: {data: {}}\n"


@pytest.fixture(autouse=True)
def _no_contents(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory backend has no files in volumes."""
    monkeypatch.setattr(copies, "_copy", lambda backend, source, target: None)


def _save(stage: Stage, *, stop: bool = False) -> ObservedSnapshot:
    return saving.save(stage.engine, "app", "s", stop=stop, replace=True).snapshot


def _ids(stage: Stage) -> list[str]:
    return [one.id for one in keeping.of_project(keeping.keeper_of(stage.backend), "app")]


def _left_behind(stage: Stage) -> ObservedSnapshot:
    """Save what a kill leaves of a replacement: a second snapshot of the name."""
    (volume,) = (one.name for one in stage.backend.volumes() if one.labels.get(labels.PROJECT) == "app")
    part = SnapshotPart("volume", volume, {"uses": []})
    return copies.Copies(stage.backend).save_snapshot(SnapshotSpec("s", "app", "idle", (part,)))


@pytest.mark.parametrize("stop", [False, True])
def test_a_replacement_leaves_one_of_the_name(stage: Stage, stop: bool) -> None:
    stage.up(_FILE)
    _save(stage)
    _left_behind(stage)
    assert len(_ids(stage)) == 2
    newest = _save(stage, stop=stop)
    assert _ids(stage) == [newest.id]


def test_the_old_one_has_gone_before_the_services_are_started_again(stage: Stage) -> None:
    stage.up(_FILE)
    before = _save(stage)
    stage.backend.fail("start_container", "app-db-1", StartFailed("no such file", exit_code=127))
    with pytest.raises(ComposerError):
        _save(stage, stop=True)
    (left,) = _ids(stage)
    assert left != before.id


def test_the_newest_of_a_name_is_meant_and_all_are_removed(stage: Stage) -> None:
    stage.up(_FILE)
    _save(stage)
    newest = _left_behind(stage)
    keeper = keeping.keeper_of(stage.backend)
    assert keeping.get(keeper, "app", "s").id == newest.id
    keeping.remove(keeper, "app", "s")
    assert _ids(stage) == []
    with pytest.raises(NotFound, match="no snapshot 's'"):
        keeping.remove(keeper, "app", "s")
