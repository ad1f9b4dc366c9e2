"""One thread, one epoll: descriptors with callbacks, timers, and nothing that blocks.

A callback that raises must not take the supervisor down with it: the error goes to ``on_error`` and the
descriptor is dropped, so that it cannot spin.
"""

from __future__ import annotations

import heapq
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
_LONGEST_S = 86_400.0
"""How long epoll is asked to wait at most: Python refuses more milliseconds than 31 bits have."""


class Timer:
    """A call to come; `cancel` forgets it."""

    __slots__ = ("call", "due_s")

    def __init__(self, due_s: float, call: Callable[[], None] | None) -> None:
        self.due_s = due_s
        self.call = call

    def cancel(self) -> None:
        self.call = None


class Loop:
    """Runs callbacks until `stop`."""

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[int], None]] = {}
        self._fresh: set[int] = set()
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = 0
        self._running = False
        self._on_error = on_error

    def watch(self, fd: int, call: Callable[[int], None], events: int = READ) -> None:
        """Call ``call(events)`` whenever ``fd`` is ready; a second watch of the same descriptor replaces it."""
        if fd in self._callbacks:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
            self._fresh.add(fd)
        self._callbacks[fd] = call

    def forget(self, fd: int) -> None:
        """Stop watching. Must come before the descriptor is closed: its number may be used again at once."""
        if self._callbacks.pop(fd, None) is not None:
            try:
                self._epoll.unregister(fd)
            except OSError:
                pass  # closed already by its owner: epoll has forgotten it by itself

    def after(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call ``call()`` once, ``delay_s`` seconds from now."""
        timer = Timer(time.monotonic() + delay_s, call)
        self._count += 1
        heapq.heappush(self._timers, (timer.due_s, self._count, timer))
        return timer

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        self._running = True
        while self._running:
            ready = self._poll()
            # What comes for a number that was closed and given out again since is about its holder before.
            self._fresh.clear()
            for fd, events in ready:
                call = self._callbacks.get(fd)
                if call is not None and fd not in self._fresh:
                    self._guarded(lambda call=call, events=events: call(events), fd)  # type: ignore[misc]
            self._run_timers()

    def _poll(self) -> list[tuple[int, int]]:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        timeout_s = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else -1
        # a timer may be years ahead: then there is nothing to do but wait on
        return self._epoll.poll(min(timeout_s, _LONGEST_S), 64)

    def _run_timers(self) -> None:
        now_s = time.monotonic()
        while self._timers and self._timers[0][0] <= now_s:
            timer = heapq.heappop(self._timers)[2]
            if timer.call is not None:
                call, timer.call = timer.call, None
                self._guarded(call, None)

    def _guarded(self, call: Callable[[], None], fd: int | None) -> None:
        try:
            call()
        except Exception as error:
            self._on_error(error)
            if fd is not None:
                self.forget(fd)

    def close(self) -> None:
        self._epoll.close()
