"""Clients that are attached before their container starts: whoever starts it hands them its input.

Docker's clients attach first, so that no byte of a short program is missed, and then ask for the start in another
request, which may come to another server: then the event of the start is what wakes them.
"""

from __future__ import annotations

import os
import select
import threading
from typing import TYPE_CHECKING

from composer import errors
from composer.api.http.wire import Gone
from composer.runtime.base import wire as base_wire
from composer.runtime.objects.attaching import lend_input, start_with_input
from composer.runtime.objects.journal import ProjectEvents

if TYPE_CHECKING:
    from composer.api.http.wire import Wire
    from composer.api.world import World
    from composer.runtime.base.record_types import Meta


class Waiting:
    """A client that waits for a start."""

    def __init__(self, *, wants_input: bool) -> None:
        self.wants_input = wants_input
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.tty = False
        self.has_failed = False
        self._input = -1
        self._lock = threading.Lock()
        self._is_closed = False

    def wake(self, lent: int, *, tty: bool, failed: bool = False) -> None:
        """Hand over a copy of the input, which is this client's from now on, if it has not gone in this moment."""
        with self._lock:
            if not self._is_closed:
                self._input = os.dup(lent) if self.wants_input and lent >= 0 else -1
                self.tty, self.has_failed = tty, failed
                os.write(self.writer, b".")

    def take_input(self) -> int:
        """Return the input that was handed over, the caller's to close."""
        with self._lock:
            found, self._input = self._input, -1
        return found

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            for fd in (self.reader, self.writer, self._input):
                if fd >= 0:
                    os.close(fd)


class Attachments:
    """Who waits, by container."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Waiting]] = {}
        self._lock = threading.Lock()

    def add(self, id: str, waiting: Waiting) -> None:
        with self._lock:
            self._waiting.setdefault(id, []).append(waiting)

    def discard(self, id: str, waiting: Waiting) -> None:
        with self._lock:
            listed = self._waiting.get(id, [])
            if waiting in listed:
                listed.remove(waiting)
            if not listed:
                self._waiting.pop(id, None)

    def take(self, id: str) -> list[Waiting]:
        with self._lock:
            return self._waiting.pop(id, [])


def await_start(world: World, meta: Meta, wire: Wire, waiting: Waiting) -> tuple[int, bool]:
    """Wait until a container starts; return what writes to it, and whether that is a terminal.

    Raises Gone where the client or the container goes first, and Conflict where the start failed.
    """
    id, owner = meta["id"], str(meta["project"])
    events = ProjectEvents(world.paths, owner)
    try:
        poll = select.poll()
        poll.register(waiting.reader, select.POLLIN)
        poll.register(events.fileno(), select.POLLIN)
        poll.register(wire.fileno(), select.POLLHUP | select.POLLERR)
        while True:
            ready = dict(poll.poll())
            if waiting.reader in ready:
                if waiting.has_failed:
                    raise errors.Conflict("the container did not start")
                return waiting.take_input(), waiting.tty
            if wire.fileno() in ready:
                raise Gone
            while (event := events.next(0)) is not None:
                if event.id != id or event.kind != "container":
                    continue
                if event.action == "destroy":
                    raise Gone
                if event.action == "start":
                    if poll_now(waiting.reader):
                        break  # and not on to the next events: it may have gone again
                    return _lent(world, owner, id) if waiting.wants_input else (-1, False)
    finally:
        events.close()


def poll_now(fd: int) -> bool:
    """Tell whether something can be read, within the moment that a start's answer may be late."""
    return bool(base_wire.await_readable((fd,), _LATE_S))


_LATE_S = 0.5


def _lent(world: World, owner: str, id: str) -> tuple[int, bool]:
    try:
        return lend_input(world.core.client(owner), id)
    except errors.BackendError:
        return -1, False  # it has ended already


def start(world: World, meta: Meta) -> None:
    """Start a container, and hand its input to those who wait for it. Raises StartFailed."""
    id = meta["id"]
    waiting = world.kept("attachments", Attachments).take(id)
    wants_input = any(one.wants_input for one in waiting)
    try:
        with world.engine.containers.starting(id) as (client, request):
            if wants_input:
                lent, tty = start_with_input(client, request)
            else:
                client.ask(request)
                lent, tty = -1, False
    except BaseException:
        for one in waiting:
            one.wake(-1, tty=False, failed=True)
        raise
    for one in waiting:
        one.wake(lent, tty=tty)
    if lent >= 0:
        os.close(lent)
