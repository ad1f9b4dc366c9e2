"""Events are read from a project's journal, which goes with the project and may come again."""

from __future__ import annotations

import os
import pathlib
import threading
import time
from typing import TYPE_CHECKING

import pytest

from composer.runtime.base import wire
from composer.runtime.base.files import KEPT_EVENT_BYTES, append_event, clear_run_state, listen, move_events
from composer.runtime.base.state import Paths, make_directory
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


def test_an_end_that_is_years_ahead_is_waited_for(paths: Paths) -> None:
    """As long as poll(2) can; then whoever waits looks again."""
    followed = ProjectEvents(paths, "shop", None, time.time_ns() + 10 * 365 * 86_400 * 10**9)
    assert followed.left_ms() == wire.LONGEST_MS
    threading.Timer(0.05, _append, (paths, "create")).start()
    event = followed.next(30)
    assert event is not None and event.action == "create"
    followed.close()


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


def _fill(paths: Paths, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        append_event(
            paths.project("shop"), "container", f"exec_start: {number}", "c1", {"filling": "x" * 1000}
        )


def test_it_does_not_grow_for_ever_and_readers_see_all_of_it_once(
    paths: Paths, events: ProjectEvents
) -> None:
    count = 8 * KEPT_EVENT_BYTES // 1000
    seen = []
    for first in range(0, count, 500):
        _fill(paths, 500, first)
        while (action := _next(events)) is not None:
            seen.append(action)
    assert seen == [f"exec_start: {number}" for number in range(len(seen))] and len(seen) >= count
    used = os.stat(f"{paths.project('shop')}/events").st_blocks * 512
    assert used < 2 * KEPT_EVENT_BYTES


def test_of_a_long_journal_the_end_is_told(paths: Paths, events: ProjectEvents) -> None:
    count = 4 * KEPT_EVENT_BYTES // 1000
    _fill(paths, count)
    told = ProjectEvents(paths, "shop", since_ns=0)
    numbers = []
    while (action := _next(told)) is not None:
        numbers.append(int(action.split()[1]))
    assert numbers == list(range(numbers[0], count))
    assert len(numbers) > 1000


def test_one_who_reads_late_goes_on_with_what_is_left(paths: Paths, events: ProjectEvents) -> None:
    """Only who has not read for thousands of events misses some, and then nothing of the rest."""
    _fill(paths, 10)
    assert _next(events) == "exec_start: 0"
    count = 4 * KEPT_EVENT_BYTES // 1000
    _fill(paths, count, 10)
    numbers = []
    while (action := _next(events)) is not None:
        numbers.append(int(action.split()[1]))
    late = numbers[9:]
    assert numbers[:9] == list(range(1, 10)) and late == list(range(late[0], count + 10))


def test_a_project_that_ends_leaves_the_last_events_of_a_long_journal(
    paths: Paths, events: ProjectEvents
) -> None:
    everybody = ProjectEvents(paths, "@nobody")
    _fill(paths, 4 * KEPT_EVENT_BYTES // 1000)
    append_event(paths.project("@nobody"), "container", "create", "c1", {})
    move_events(paths.project("shop"))
    told = ProjectEvents(paths, "@nobody", since_ns=0)
    moved = []
    while (event := told.next(0)) is not None:
        moved.append(event.action)
    assert len(moved) == 257
    everybody.close()


def test_a_project_that_comes_and_ends_between_two_looks_is_told_once(paths: Paths) -> None:
    kept = listen(make_directory(paths.project("@nobody")))
    followed = ProjectEvents(paths, None)
    make_directory(paths.project("short"))
    for action in ("create", "destroy"):
        append_event(paths.project("short"), "container", action, "c1", {})
    clear_run_state(paths.project("short"))
    os.rmdir(paths.project("short"))
    assert [_next(followed), _next(followed), followed.next(0.01)] == ["create", "destroy", None]
    make_directory(paths.project("short"))
    append_event(paths.project("short"), "container", "create", "c2", {})
    assert _next(followed) == "create"
    clear_run_state(paths.project("short"))
    assert followed.next(0.01) is None
    followed.close()
    os.unlink(kept)


def test_nobodys_journal_stays_while_a_server_listens(paths: Paths) -> None:
    nobody = make_directory(paths.project("@nobody"))
    kept = listen(nobody)
    append_event(nobody, "container", "destroy", "c1", {})
    clear_run_state(nobody)
    asked = ProjectEvents(paths, None, since_ns=0)
    assert _next(asked) == "destroy"
    asked.close()
    os.unlink(kept)
    (pathlib.Path(nobody) / "listens.0").touch()  # a server that was killed
    with open(listen(nobody), "rb") as file:
        os.unlink(file.name)
    clear_run_state(nobody)
    assert not os.listdir(nobody)


def test_more_than_a_thousand_descriptors_are_no_problem(paths: Paths) -> None:
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    try:
        followed = ProjectEvents(paths, "shop")
        _append(paths, "create")
        assert [_next(followed), followed.next(0.01)] == ["create", None]
        followed.close()
    finally:
        for fd in opened:
            os.close(fd)
