"""The wish that something ends, said by one thread and heard by others."""

from __future__ import annotations

from composer.parallel import Stop


def test_what_is_under_way_is_called_once() -> None:
    stop, called = Stop(), []
    with stop.calling(lambda: called.append("a")):
        stop.set()
        stop.set()
    assert called == ["a"] and stop.is_set()


def test_what_has_ended_is_not_called() -> None:
    stop, called = Stop(), []
    with stop.calling(lambda: called.append("a")):
        pass
    stop.set()
    assert called == []


def test_what_begins_too_late_is_called_at_once() -> None:
    stop, called = Stop(), []
    stop.set()
    with stop.calling(lambda: called.append("late")):
        assert called == ["late"]


def test_who_is_called_may_name_another() -> None:
    stop, called = Stop(), []

    def end() -> None:
        with stop.calling(lambda: called.append("inner")):
            called.append("outer")

    with stop.calling(end):
        stop.set()
    assert called == ["inner", "outer"]
