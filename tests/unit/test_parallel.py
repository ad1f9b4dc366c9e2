"""A few things at a time: order, errors, and what is begun."""

from __future__ import annotations

import gc
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator

import pytest

from composer.parallel import Workers, each

PATIENCE_S = 20


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 500])
@pytest.mark.parametrize("limit", [1, 2, 8, 1000])
def test_results_come_in_order_and_each_item_once(impatient: None, count: int, limit: int) -> None:
    seen: list[int] = []
    lock = threading.Lock()

    def work(item: int) -> str:
        with lock:
            seen.append(item)
        return str(item)

    assert each(iter(range(count)), work, min(limit, 64)) == [str(item) for item in range(count)]
    assert sorted(seen) == list(range(count))


def test_as_many_as_allowed_are_worked_on_at_once_and_no_more() -> None:
    full = threading.Barrier(3)
    lock = threading.Lock()
    now, most = 0, 0

    def work(_: int) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        full.wait(PATIENCE_S)  # passes only when three are here
        with lock:
            now -= 1

    each(range(12), work, 3)
    assert most == 3


def test_the_error_of_the_first_item_wins_though_it_comes_last() -> None:
    second_failed = threading.Event()

    def work(item: int) -> None:
        if item == 0:
            assert second_failed.wait(PATIENCE_S)
            raise ValueError("first")
        second_failed.set()
        raise ValueError("second")

    with pytest.raises(ValueError, match=r"^first$") as failure:
        each(range(2), work, 2)
    frames = [frame.name for frame in traceback.extract_tb(failure.value.__traceback__)]
    assert frames[-1] == "work", "the traceback leads to where it went wrong"


def test_nothing_is_begun_after_an_error() -> None:
    begun: list[int] = []
    failed = threading.Event()

    def work(item: int) -> None:
        begun.append(item)
        if item == 0:
            failed.set()
            raise KeyError(item)
        assert failed.wait(PATIENCE_S)
        quiet.wait(0.2)  # for the first to be told

    quiet = threading.Event()
    with pytest.raises(KeyError):
        each(range(100), work, 2)
    assert len(begun) <= 3


def test_what_was_begun_is_waited_for() -> None:
    failed, ended = threading.Event(), []

    def work(item: int) -> None:
        if item == 0:
            failed.set()
            raise KeyError(item)
        assert failed.wait(PATIENCE_S)
        ended.append(item)

    with pytest.raises(KeyError):
        each(range(2), work, 2)
    assert ended in ([1], []), "the second is begun or it is not"
    assert not [thread for thread in threading.enumerate() if thread.name == "each"]


def test_an_interrupt_is_not_held_up_and_begins_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, begun, ended = threading.Event(), [], threading.Semaphore(0)

    def work(item: int) -> None:
        begun.append(item)
        assert go_on.wait(PATIENCE_S)
        ended.release()

    def join(thread: threading.Thread, timeout: float | None = None) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(threading.Thread, "join", join)
        each(range(10), work, 2)
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "each":
            thread.join(PATIENCE_S)
    assert len(begun) <= 2


def test_an_error_takes_nothing_along() -> None:
    class Thing:
        """What a frame of the traceback holds."""

    def fail() -> weakref.ref[Thing]:
        thing = Thing()
        kept = weakref.ref(thing)

        def work(item: int) -> None:
            raise ValueError(thing)

        try:
            each(range(2), work, 2)
        except ValueError:
            return kept
        raise AssertionError

    gc.disable()
    try:
        assert fail()() is None, "it is in no circle"
    finally:
        gc.enable()


# ------------------------------------------------------------------ workers


def test_workers_do_everything_in_order_before_they_end(impatient: None) -> None:
    done: list[int] = []
    workers = Workers(1, "one")
    for number in range(200):
        workers.submit(lambda number=number: done.append(number))  # type: ignore[misc]
    workers.close(wait=True)
    assert done == list(range(200))
    with pytest.raises(RuntimeError, match="closed"):
        workers.submit(lambda: None)
    workers.close(wait=True)


def test_workers_start_when_there_is_something_to_do_and_are_no_more_than_allowed() -> None:
    workers = Workers(3, "few")

    def names() -> int:
        return sum(thread.name == "few" for thread in threading.enumerate())

    assert names() == 0
    full, release = threading.Semaphore(0), threading.Event()

    def task() -> None:
        full.release()
        assert release.wait(PATIENCE_S)

    for count in range(1, 6):
        workers.submit(task)
        assert names() == min(count, 3)
    for _ in range(3):
        assert full.acquire(timeout=PATIENCE_S)
    assert not full.acquire(blocking=False)
    release.set()
    workers.close(wait=True)
    assert names() == 0


def test_a_task_that_raises_is_told_of_and_the_next_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    done: list[str] = []

    def fail() -> None:
        raise ValueError("no")

    tasks: list[Callable[[], None]] = [fail, lambda: done.append("yes")]
    workers = Workers(1, "one")
    for task in tasks:
        workers.submit(task)
    workers.close(wait=True)
    assert done == ["yes"]
    assert [str(one.exc_value) for one in told] == ["no"]
    assert told[0].thread is not None and told[0].thread.name == "one"
