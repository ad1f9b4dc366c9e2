"""Events are read from a project's journal, which goes with the project and may come again."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import pytest

from composer.runtime.base.files import append_event
from composer.runtime.base.state import Paths
from composer.runtime.objects.journal import ProjectEvents

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def paths(tmp_path: pathlib.Path) -> Paths:
    return Paths(str(tmp_path / "lib"), str(tmp_path / "run"))


@pytest.fixture
def events(paths: Paths) -> Iterator[ProjectEvents]:
    followed = ProjectEvents(paths, "shop")
    yield followed
    followed.close()


def _append(paths: Paths, action: str) -> None:
    append_event(paths.project("shop"), "container", action, "c1", {})


def _next(events: ProjectEvents) -> str | None:
    event = events.next(0)
    return event and event.action


def _take_away(paths: Paths) -> None:
    directory = pathlib.Path(paths.project("shop"))
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


def test_events_from_now_on_in_their_order(paths: Paths, events: ProjectEvents) -> None:
    _append(paths, "create")
    _append(paths, "start")
    assert [_next(events), _next(events), _next(events)] == ["create", "start", None]


def test_what_was_before_is_not_told(paths: Paths, events: ProjectEvents) -> None:
    _append(paths, "create")
    later = ProjectEvents(paths, "shop")
    _append(paths, "start")
    assert [_next(later), _next(later)] == ["start", None]


def test_the_last_events_are_told_after_the_journal_went(paths: Paths, events: ProjectEvents) -> None:
    _append(paths, "create")
    assert _next(events) == "create"
    _append(paths, "destroy")
    _take_away(paths)
    assert [_next(events), _next(events)] == ["destroy", None]


def test_a_project_that_comes_again_is_followed(paths: Paths, events: ProjectEvents) -> None:
    for _ in range(3):
        _append(paths, "create")
        assert [_next(events), _next(events)] == ["create", None]
        _take_away(paths)
        assert _next(events) is None


def test_nothing_stays_of_a_project_that_was_only_watched(paths: Paths, events: ProjectEvents) -> None:
    events.close()
    assert not pathlib.Path(paths.project("shop")).exists()


def test_a_watched_journal_stays(paths: Paths, events: ProjectEvents) -> None:
    _append(paths, "create")
    events.close()
    assert pathlib.Path(paths.project("shop"), "events").exists()
