"""From the steps of a plan to the phases that Docker Compose shows a line for: what scripts wait for and count.

A container's replacement has many steps, and two phases: ``Recreate``, and ``Recreated`` before it starts. What was
skipped has none; who is to blame is said at the end. A container that could not be created or started has none
either: its error is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine.progress import FAILED, SKIPPED, WARNING, WORKING

if TYPE_CHECKING:
    from composer.engine.operations.row import Resource
    from composer.engine.progress import Progress

_RECREATE, _RECREATED = "recreate", "recreated"
_START = frozenset(("starting", "started", "waiting", "healthy", "exited"))


class Phases:
    """Remembers what was shown of each resource."""

    def __init__(self) -> None:
        self._last: dict[Resource, Progress] = {}
        self._recreated: dict[Resource, bool] = {}
        """Containers that are being recreated; True where it was said that they are."""

    def of(self, event: Progress) -> list[Progress]:
        """Return what is to be shown now, in order."""
        if event.status == SKIPPED or self._is_told_at_the_end(event):
            return []
        found = self._replacement(event)
        return [one for one in found if self._is_new(one)]

    def _is_told_at_the_end(self, event: Progress) -> bool:
        if event.status != FAILED or event.resource.kind == "image":
            return False
        if not event.resource.kind:
            return not event.detail  # of a copy; a push says why
        before = self._last.get(event.resource)
        return before is None or before.text != "waiting"

    def _replacement(self, event: Progress) -> list[Progress]:
        resource, said = event.resource, self._recreated.get(event.resource)
        if event.text == _RECREATE:
            if said is not None:
                return []
            self._recreated[resource] = False
            return [event]
        if said is None:
            return [event]
        if event.text == _RECREATED:
            if said or event.status == WORKING:
                return []  # more comes: a start, or a removal of what it replaces
            self._recreated[resource] = True
            return [event]
        if event.text not in _START and event.status not in (FAILED, WARNING):
            del self._recreated[resource]
        else:
            self._recreated[resource] = True
        return [event] if said else [event._replace(text=_RECREATED, detail=""), event]

    def _is_new(self, event: Progress) -> bool:
        last = self._last.get(event.resource)
        self._last[event.resource] = event
        return last is None or last[2:] != event[2:]
