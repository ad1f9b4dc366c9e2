"""Threads that answer requests: started when there is none free, ended when they have had nothing to do for a while."""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[], None]

_UNUSED_S = 10.0


class Workers:
    """At most so many threads. The one that was used last is used next, so that those that are too many end.

    They are daemons: one that waits for something that never comes does not keep the process.
    """

    def __init__(self, most: int, *, unused_s: float = _UNUSED_S) -> None:
        self._most, self._unused_s = most, unused_s
        self._lock = threading.Lock()
        self._free: list[SimpleQueue[Job]] = []
        self._threads: set[threading.Thread] = set()

    def submit(self, job: Job) -> bool:
        """Have a thread do a job. Return False where all are busy, or there is no memory for another one."""
        with self._lock:
            if self._free:
                self._free.pop().put(job)
                return True
            if len(self._threads) >= self._most:
                return False
            inbox: SimpleQueue[Job] = SimpleQueue()
            inbox.put(job)
            thread = threading.Thread(target=self._work, args=(inbox,), name="answer", daemon=True)
            self._threads.add(thread)
            try:
                thread.start()
            except RuntimeError:
                self._threads.discard(thread)
                return False
            return True

    def _work(self, inbox: SimpleQueue[Job]) -> None:
        try:
            while (job := self._next(inbox)) is not None:
                job()
                del job  # what it holds must not wait for the next one
                with self._lock:
                    self._free.append(inbox)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _next(self, inbox: SimpleQueue[Job]) -> Job | None:
        while True:
            try:
                return inbox.get(timeout=self._unused_s)
            except Empty:
                with self._lock:
                    if inbox in self._free:
                        self._free.remove(inbox)
                        return None
                # a job is on its way

    def join(self, timeout_s: float) -> int:
        """Wait for the jobs that are being done; return how many are not done in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with self._lock:
                busy = len(self._threads) - len(self._free)
            if not busy:
                return 0
            time.sleep(_LOOK_S)
        return busy


_LOOK_S = 0.01
