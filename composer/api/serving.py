"""`composer serve`: the server's life from its sockets to its last answer."""

from __future__ import annotations

import ctypes
import resource
import signal
import threading
from typing import TYPE_CHECKING

from composer.api.http.answering import Answerer
from composer.api.http.front import Front
from composer.api.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.api.http.front import Listener
    from composer.api.world import Settings

_STACK_BYTES = 512 << 10
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
    world = World(settings, log)
    try:
        answerer = Answerer(world, log, verbose=verbose)
        front = Front(
            listeners,
            answerer.serve,
            answerer.takes_upload,
            idle_exit_s=idle_exit_s,
            most_guests=_most_guests(),
            rest=world.rest,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: front.stop())
        front.run()
    finally:
        world.close()


def _prepare_process() -> None:
    """Make room for many connections, and little of it for each."""
    threading.stack_size(_STACK_BYTES)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        # every thread would get an arena of its own, which keeps what the thread has freed
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
    except (OSError, AttributeError):
        return  # not glibc: there are no arenas


def _most_guests() -> int:
    """Return how many connections there may be: each needs some more descriptors while it is served."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(_FEWEST_FILES, soft) // 8
