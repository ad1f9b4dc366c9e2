"""What each container still lacks. Pure.

A container that is new has the files of its image and nothing of what was copied since the watch began, so it lacks
all of that; one that was restarted lacks what was copied to file systems that go with its processes. What could not be
copied stays here until it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.watching.rules import below

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from composer.watching.work import Entry


class Ledger:
    """Entries by their path in the container; containers by id."""

    def __init__(self) -> None:
        self._touched: dict[str, dict[str, Entry]] = {}
        self._lacking: dict[str, dict[str, Entry]] = {}
        self._started_ns: dict[str, int] = {}
        self._services: dict[str, str] = {}

    def begin(self, service: str, id: str, started_ns: int) -> None:
        """Take a container as it is: one that was there when the watch began."""
        self._services[id], self._started_ns[id] = service, started_ns
        self._lacking.setdefault(id, {})

    def note(self, service: str, entries: Mapping[str, Entry]) -> None:
        """Say what the containers of a service are to get, those to come as well."""
        self._touched.setdefault(service, {}).update(entries)
        for id, owner in self._services.items():
            if owner == service:
                self._lacking[id].update(entries)

    def meet(self, service: str, id: str, started_ns: int, volatile: Collection[str] = ()) -> None:
        """Take note of a container that is there now. What is below the paths ``volatile`` goes with a restart."""
        touched = self._touched.get(service, {})
        if id not in self._services:
            self.begin(service, id, started_ns)
            self._lacking[id].update(touched)
        elif self._started_ns[id] != started_ns:
            self._started_ns[id] = started_ns
            self._lacking[id].update(
                (path, entry)
                for path, entry in touched.items()
                if any(below(path, place) is not None for place in volatile)
            )

    def lacking(self, id: str) -> dict[str, Entry]:
        """Return what a container lacks."""
        return dict(self._lacking.get(id, {}))

    def done(self, id: str, entries: Mapping[str, Entry]) -> None:
        """Say that a container got entries. One that was noted anew meanwhile is still lacking."""
        kept = self._lacking.get(id, {})
        for path, entry in entries.items():
            if kept.get(path) is entry:
                del kept[path]

    def keep(self, ids: Collection[str]) -> None:
        """Forget the containers that are no more."""
        for id in [id for id in self._services if id not in ids]:
            del self._services[id], self._started_ns[id], self._lacking[id]
