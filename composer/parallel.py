"""A few things at a time, on threads. Who wants all results calls `each`; who goes on meanwhile has `Workers`.

Nothing here leans on the interpreter's lock: what threads share is read and written under a lock of its own, so a
build of Python without the other one changes nothing. Work is handed out in order, and no more of it is begun once
something failed.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from queue import SimpleQueue

T = TypeVar("T")
R = TypeVar("R")


def each(items: Iterable[T], work: Callable[[T], R], limit: int, *, name: str = "each") -> list[R]:
    """Return what ``work`` returns of each item, in their order; at most ``limit`` are worked on at once.

    Raises the error of the first item, in their order, that has one: which one that is does not depend on which
    thread is faster. What was begun by then is waited for, and what was not is left out. Ctrl-C does not wait.
    """
    todo = list(items)
    if len(todo) < 2 or limit < 2:
        return [work(item) for item in todo]
    return _Round(todo, work).run(min(limit, len(todo)), name)


class Stop:
    """The wish that something comes to its end, said by one thread and heard by others. Safe for threads."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._called: dict[object, Callable[[], None]] = {}

    def set(self) -> None:
        """Say it. What `calling` has named is called by this thread, each once."""
        with self._lock:
            self._event.set()
            called, self._called = list(self._called.values()), {}
        for one in called:
            one()

    def is_set(self) -> bool:
        return self._event.is_set()

    @contextlib.contextmanager
    def calling(self, end: Callable[[], None]) -> Iterator[None]:
        """Have ``end`` called when it is said before the end of the block, or was said already."""
        key = object()
        with self._lock:
            is_late = self._event.is_set()
            if not is_late:
                self._called[key] = end
        if is_late:
            end()
        try:
            yield
        finally:
            with self._lock:
                self._called.pop(key, None)


class _Round(Generic[T, R]):
    def __init__(self, todo: Sequence[T], work: Callable[[T], R]) -> None:
        self._todo, self._work = todo, work
        self._lock = threading.Lock()
        self._begun = 0
        self._is_over = False
        self._results: dict[int, R] = {}
        self._errors: dict[int, BaseException] = {}

    def run(self, threads: int, name: str) -> list[R]:
        started = []
        try:
            for _ in range(threads):
                thread = threading.Thread(target=self._take, name=name, daemon=True)
                thread.start()
                started.append(thread)
            for thread in started:
                thread.join()
        finally:
            with self._lock:
                self._is_over = True
        if self._errors:
            try:
                # Of those before it all were begun, and have ended without an error.
                raise self._errors[min(self._errors)]
            finally:
                self._errors.clear()  # the traceback leads here: without a circle both go at once
        return [self._results[index] for index in range(len(self._todo))]

    def _take(self) -> None:
        while (index := self._next()) is not None:
            try:
                result = self._work(self._todo[index])
            except BaseException as error:  # raised again by the thread that waits for all
                with self._lock:
                    self._errors[index] = error
                return
            with self._lock:
                self._results[index] = result

    def _next(self) -> int | None:
        with self._lock:
            if self._is_over or self._errors or self._begun == len(self._todo):
                return None
            self._begun += 1
            return self._begun - 1


class Workers:
    """At most ``limit`` threads that do what they are given, in order. They start when there is something to do.

    A task tells by itself how it ended. One that raises is told of as by any thread, and the next one is done.
    Safe to use from several threads; close it.
    """

    def __init__(self, limit: int, name: str) -> None:
        from queue import SimpleQueue

        self._limit, self._name = limit, name
        self._lock = threading.Lock()
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unfinished = 0
        self._is_closed = False

    def submit(self, task: Callable[[], None]) -> None:
        """Have a task done. Raises RuntimeError when nobody will do it any more."""
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the worker pool is closed")
            self._unfinished += 1
            self._tasks.put(task)  # under the lock: nothing gets behind the word that ends a thread
            if len(self._threads) < min(self._limit, self._unfinished):
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def close(self, *, wait: bool = False) -> None:
        """Let the threads end when everything is done that was submitted; with ``wait``, return after that."""
        with self._lock:
            threads = list(self._threads)
            if not self._is_closed:
                self._is_closed = True
                for _ in threads:
                    self._tasks.put(None)
        if wait:
            for thread in threads:
                thread.join()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except BaseException:
                kind, error, traceback = sys.exc_info()
                assert kind is not None
                threading.excepthook(
                    threading.ExceptHookArgs((kind, error, traceback, threading.current_thread()))
                )
            finally:
                with self._lock:
                    self._unfinished -= 1
