"""Waiting for what happens to a container, on the journal of its owner and on the client at once."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from composer.api.http.wire import Gone
from composer.runtime.objects.journal import ProjectEvents

if TYPE_CHECKING:
    from types import TracebackType

    from composer.api.http.wire import Wire
    from composer.api.world import World
    from composer.runtime.objects.journal import Event


class Happenings:
    """The events of one owner's objects from now on, until the client goes. Use as a context manager."""

    def __init__(self, world: World, owner: str | None, wire: Wire) -> None:
        self._events = ProjectEvents(world.paths, owner)
        self._wire = wire

    def __enter__(self) -> Happenings:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._events.close()

    def next(self, timeout_s: float | None = None) -> Event | None:
        """Return the next event; None when ``timeout_s`` is over. Raises Gone where the client has gone."""
        while True:
            found = self._events.next(0)
            if found is not None:
                return found
            poll = select.poll()
            poll.register(self._events.fileno(), select.POLLIN)
            poll.register(self._wire.fileno(), select.POLLRDHUP | select.POLLHUP | select.POLLERR)
            ready = poll.poll(None if timeout_s is None else timeout_s * 1000)
            if not ready:
                return None
            if any(fd == self._wire.fileno() for fd, _ in ready):
                raise Gone
