"""What the engine tells whoever watches: one frozen value per thing that happened, through one method."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.engine.observed import Advance
    from composer.engine.operations.row import Resource

WORKING = "working"
DONE = "done"
FAILED = "failed"
SKIPPED = "skipped"
WARNING = "warning"


class Progress(NamedTuple):
    """A resource entered a phase. ``text`` is Docker Compose's word for it (``creating``); ``detail`` is shown behind
    it, as is how far it is.

    ``status`` stays ``working`` as long as the plan has more steps for the resource. ``is_quoted``: ``text`` is what
    another program says of it.
    """

    status: str
    resource: Resource
    text: str
    detail: str = ""
    advance: Advance | None = None
    is_quoted: bool = False

    @property
    def shown(self) -> str:
        """The text as it is shown: Docker Compose's words begin with a capital."""
        return self.text if self.is_quoted else self.text.capitalize()


def is_under_way(phase: str) -> bool:
    """Tell a phase that something is in from one that it has reached."""
    return phase == "recreate" or (phase.endswith("ing") and phase != "running")


class Events(Protocol):
    """A display, or whoever else wants to know. Called by the coordinator only, never by two threads at once."""

    def begin(self, resources: Sequence[Resource]) -> None:
        """Say what a plan is about, in its order, before it is carried out."""
        ...

    def progress(self, event: Progress) -> None: ...
    def warn(self, sentence: str) -> None: ...


class Silence:
    """Events that nobody watches."""

    def begin(self, resources: Sequence[Resource]) -> None:
        """Drop it."""

    def progress(self, event: Progress) -> None:
        """Drop it."""

    def warn(self, sentence: str) -> None:
        """Drop it."""


class Cancellation:
    """Ctrl-C as an argument: level 0, 1 (drain: start nothing new) or 2 (do not wait either).

    ``request`` may be called from a signal handler: it only counts and calls the listeners, which put something
    on a queue.
    """

    __slots__ = ("_listeners", "level")

    def __init__(self) -> None:
        self.level = 0
        self._listeners: list[Listener] = []

    def request(self) -> None:
        self.level += 1
        for listener in tuple(self._listeners):
            listener.cancelled(self.level)

    def following(self, *, urgent: bool = False) -> Cancellation:
        """Return one that starts afresh, for what is done after a cancellation; the next request reaches it.

        With ``urgent`` that request is taken for the second: nothing is waited for any longer.
        """
        fresh = Cancellation()
        self.subscribe(_Forward(fresh, urgent))
        return fresh

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        self._listeners.remove(listener)


class _Forward:
    """Hands requests on to a cancellation that counts from 0."""

    def __init__(self, target: Cancellation, urgent: bool) -> None:
        self._target, self._urgent = target, urgent

    def cancelled(self, level: int) -> None:
        if self._urgent:
            self._target.level = max(1, self._target.level)
        self._target.request()


class Listener(Protocol):
    """Told of each request to cancel; must not block."""

    def cancelled(self, level: int) -> None: ...
