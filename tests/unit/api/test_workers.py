"""Threads that answer: as many as are needed, none too many, none left."""

from __future__ import annotations

import threading
import time

import pytest

from composer.api.http.workers import Workers


def await_end(workers: Workers) -> None:
    """Wait until no thread is left."""
    until = time.monotonic() + 5
    while workers._threads and time.monotonic() < until:
        time.sleep(0.01)
    assert not workers._threads


def test_one_thread_does_jobs_that_follow_each_other() -> None:
    workers, threads = Workers(10, unused_s=0.2), set()
    for _ in range(50):
        done = threading.Event()

        def answer(done: threading.Event = done) -> None:
            threads.add(threading.get_ident())
            done.set()

        assert workers.submit(answer)
        assert done.wait(5)
        time.sleep(0.002)
    assert len(threads) < 5
    await_end(workers)


def test_no_more_than_there_may_be() -> None:
    workers, go = Workers(3, unused_s=0.1), threading.Event()
    assert [workers.submit(go.wait) for _ in range(5)] == [True, True, True, False, False]  # type: ignore[arg-type]
    assert workers.join(0.05) == 3
    go.set()
    assert workers.join(5) == 0
    await_end(workers)
    assert workers.submit(lambda: None)  # it goes on
    await_end(workers)


def test_where_no_thread_can_be_made_the_request_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    workers = Workers(3, unused_s=0.1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert not workers.submit(lambda: None)
    done = threading.Event()
    assert workers.submit(done.set) and done.wait(5)
    await_end(workers)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_job_that_fails_takes_its_thread_with_it() -> None:
    workers = Workers(1, unused_s=0.1)

    def fail() -> None:
        raise OSError("for the log")

    assert workers.submit(fail)
    await_end(workers)
    done = threading.Event()
    assert workers.submit(done.set) and done.wait(5)
    await_end(workers)


def test_jobs_that_come_as_a_thread_ends_are_done() -> None:
    workers, count = Workers(20, unused_s=0.001), []
    for number in range(500):
        assert workers.submit(lambda number=number: count.append(number))  # type: ignore[misc]
        time.sleep(0.001 * (number % 3))
    until = time.monotonic() + 5
    while len(count) < 500 and time.monotonic() < until:
        time.sleep(0.01)
    assert sorted(count) == list(range(500))
