"""Services that restart with another one when a container of that crashes and its engine starts it again.

An engine that does not do it by itself (`Capability.RESTARTS_DEPENDENTS`) is helped by a command that is attached.
Pure: events in, names of services out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine import labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.engine.observed import Event
    from composer.engine.wanted import RestartsWith

_HEALTHY = "healthy"
_END_NOTHING = frozenset(("1", "10", "12", "17", "18", "23", "28"))
"""HUP, USR1, USR2, CHLD, CONT, URG, WINCH: programs that get these go on; who is to end gets another."""


class Returning:
    """Watches for containers that come back by themselves. ``wishes`` says what a service restarts with."""

    def __init__(self, wishes: Mapping[str, Sequence[RestartsWith]]) -> None:
        self._wishes = wishes
        self._asked: set[str] = set()
        """Containers that somebody had end: what starts them again restarts what it wants."""
        self._crashed: set[str] = set()
        self._unhealthy: set[str] = set()
        """Containers that came back, and are not healthy yet."""

    def see(self, event: Event) -> tuple[str, ...]:
        """Take in an event; return the services that restart because of it."""
        service = event.attributes.get(labels.SERVICE, "")
        if event.kind != "container" or event.attributes.get(labels.ONEOFF) == "True" or not self._wishes:
            return ()
        if event.action == "stop" or (
            event.action == "kill" and event.attributes.get("signal") not in _END_NOTHING
        ):
            self._asked.add(event.id)
            if event.action == "stop":  # told after the end: it was no crash, whatever the signal of the stop
                self._crashed.discard(event.id)
        elif event.action == "die":
            if event.id not in self._asked:
                self._crashed.add(event.id)
            self._unhealthy.discard(event.id)
        elif event.action == "start":
            self._asked.discard(event.id)
            if event.id in self._crashed:
                self._crashed.discard(event.id)
                self._unhealthy.add(event.id)
                return self._restarting(service, healthy=False)
        elif event.action == "destroy":
            for known in (self._asked, self._crashed, self._unhealthy):
                known.discard(event.id)
        elif event.attributes.get("health_status") == _HEALTHY and event.id in self._unhealthy:
            self._unhealthy.discard(event.id)
            return self._restarting(service, healthy=True)
        return ()

    def _restarting(self, service: str, *, healthy: bool) -> tuple[str, ...]:
        return tuple(
            name
            for name, wishes in sorted(self._wishes.items())
            if any(wish.service == service and wish.healthy is healthy for wish in wishes)
        )
