"""`composer serve`: the server's life from its sockets to its last answer."""

from __future__ import annotations

# `logging` and this have handlers of forks. Imported by a thread while another one forks, they would let go of locks
# that they do not hold.
import concurrent.futures.thread  # noqa: F401
import ctypes
import gc
import logging  # noqa: F401
import resource
import signal
import threading
import time
from typing import TYPE_CHECKING

from composer.api.containers import execs
from composer.api.http.answering import Answerer
from composer.api.http.front import Front
from composer.api.world import World
from composer.runtime.streams import watching

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.api.http.front import Listener
    from composer.api.world import Settings

_STACK_BYTES = 4 << 20
"""Of a thread, of which it has what it uses. Python 3.13 needs 2 MiB to find out that JSON is nested too deeply."""
_M_ARENA_MAX = -8  # mallopt(3)
_FEWEST_FILES = 1024


def serve(
    settings: Settings,
    listeners: Sequence[Listener],
    log: Callable[[str], None],
    *,
    idle_exit_s: float | None = None,
    verbose: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT, or until nobody has been connected for ``idle_exit_s``."""
    _prepare_process()
    watching.share()
    world = World(settings, log)
    try:
        world.recover()
        answerer = Answerer(world, log, verbose=verbose)
        front = Front(
            listeners,
            answerer.serve,
            answerer.takes_upload,
            idle_exit_s=idle_exit_s,
            most_guests=_most_guests(),
            rest=Housekeeping(world, answerer).rest,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: front.stop())
        front.run()
    finally:
        world.close()


class Housekeeping:
    """What a server does when it has nothing to do: lets go of supervisors, and gives memory back."""

    def __init__(self, world: World, answerer: Answerer) -> None:
        self._world, self._answerer = world, answerer
        self._trimmed_at, self._trimmed_for = 0.0, 0
        self._swept_at = time.monotonic()

    def rest(self) -> None:
        self._world.rest()
        now = time.monotonic()
        if now - self._swept_at > _SWEEP_S:
            self._swept_at = now
            execs.sweep(self._world)
        if self._answerer.count != self._trimmed_for and now - self._trimmed_at > _TRIM_S:
            self._trimmed_at, self._trimmed_for = now, self._answerer.count
            gc.collect()
            if _libc is not None:
                # what large requests had, in the middle of the heap, too: glibc by itself gives back only its end
                _libc.malloc_trim(0)


_TRIM_S, _SWEEP_S = 10.0, 60.0


def _glibc() -> ctypes.CDLL | None:
    try:
        found = ctypes.CDLL(None)
        found.malloc_trim, found.mallopt  # noqa: B018 - looked up
    except (OSError, AttributeError):
        return None  # another C library, which has no arenas
    return found


_libc = _glibc()


def _prepare_process() -> None:
    """Make room for many connections, and little of it for each."""
    threading.stack_size(_STACK_BYTES)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if _libc is not None:
        # every thread would get an arena of its own, which keeps what the thread has freed
        _libc.mallopt(_M_ARENA_MAX, 2)


def _most_guests() -> int:
    """Return how many connections there may be: each needs some more descriptors while it is served."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(_FEWEST_FILES, soft) // 8
