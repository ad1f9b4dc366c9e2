"""What a plan does to containers that exist: each is stopped and removed once, whoever asks for it first.

Shared by the parts of `emit` and by the plans of the other verbs (`lifecycle`, `restore`). A stop comes with its hooks.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from composer.engine import labels
from composer.engine.observed import ACTIVE, ContainerState
from composer.engine.operations.containers import RemoveContainer, StopContainer
from composer.engine.operations.row import ContainerRef
from composer.engine.plan import PlanBuilder
from composer.engine.planning.decisions import UNFINISHED
from composer.engine.resolving import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from composer.engine.observed import ObservedContainer
    from composer.engine.wanted import ExecSpec


_LEFT_AS_IT_IS = frozenset(("rm", UNFINISHED))
"""Causes of removals that are no stop as well."""


class Removals:
    """The builder, and what it already does to existing containers.

    With ``keep``, nothing is removed before everything else has succeeded, so that all of it can be put back.
    """

    __slots__ = ("_dismissed", "builder", "keep", "leaving", "removed", "stopped", "timeout_s", "touched")

    def __init__(self, timeout_s: float | None = None, *, keep: bool = False) -> None:
        self.builder = PlanBuilder()
        self.timeout_s = timeout_s
        self.keep = keep
        self.stopped: dict[str, int] = {}
        self.removed: dict[str, int] = {}
        self.touched: dict[str, list[int]] = {}
        """Steps that change a container without stopping it: a removal must come after them."""
        self.leaving: set[str] = set()
        """Containers that nothing replaces, and that are removed at the end."""
        self._dismissed: list[_Dismissal] = []

    def stop(
        self, container: ObservedContainer, cause: str, needs: Iterable[int] = (), after: Iterable[int] = ()
    ) -> tuple[int, ...]:
        """Add the stop of a container unless it does not run; return the steps after which it is stopped."""
        if container.id in self.stopped:
            return (*needs, self.stopped[container.id])
        if container.state not in ACTIVE:
            return tuple(needs)
        operation = StopContainer(_leaving(container), cause, self.timeout_s, stop_hooks(container))
        self.stopped[container.id] = self.builder.add(operation, needs, after)
        return (self.stopped[container.id],)

    def remove(
        self,
        container: ObservedContainer,
        cause: str,
        needs: Iterable[int] = (),
        after: Iterable[int] = (),
        *,
        volumes: bool = False,
    ) -> int:
        """Add the stop and the removal of a container; return the step of the removal."""
        if container.id not in self.removed:
            if cause not in _LEFT_AS_IT_IS:
                self.tell_stopped(container)
            stopped = (*self.stop(container, cause, needs, after), *self.touched.get(container.id, ()))
            loose = () if container.id in self.stopped else after
            operation = RemoveContainer(_leaving(container), cause, volumes)
            self.removed[container.id] = self.builder.add(operation, stopped, loose)
        return self.removed[container.id]

    def tell_stopped(self, container: ObservedContainer, *, more: bool = True) -> None:
        """Say of a container that was to be stopped, and does not run, what is said of the others.

        ``more``: it is removed then.
        """
        if container.state not in ACTIVE:
            self.builder.tell(_leaving(container).resource, "stopping", "stopped", more=more)

    def leave(self, container: ObservedContainer, cause: str) -> None:
        """Remove a container that nothing replaces: now, or with ``keep`` when everything else has succeeded."""
        if container.id in self.removed or container.id in self.leaving:
            return
        if self.keep:
            self.leaving.add(container.id)
            self.dismiss(container, cause, self.stop(container, cause))
        else:
            self.remove(container, cause)

    def dismiss(
        self,
        container: ObservedContainer,
        cause: str,
        needs: Iterable[int],
        *,
        volumes: bool = False,
        service: str = "",
    ) -> None:
        """Have a container removed at the end. ``service``: only when what waits for that one has come through."""
        self._dismissed.append(_Dismissal(container, cause, tuple(needs), volumes, service))

    def finish(self, settled: Callable[[str], tuple[int, ...]]) -> None:
        """Add the removals of what was dismissed; ``settled`` gives the steps after which a service is."""
        everything = tuple(step.id for step in self.builder) if self.keep else ()
        for container, cause, needs, volumes, service in self._dismissed:
            waits = everything or (*needs, *(settled(service) if service else ()))
            operation = RemoveContainer(ContainerRef.of(container), cause, volumes)
            stopped = waits if container.id in self.stopped else self.stop(container, cause, waits)
            self.removed[container.id] = self.builder.add(operation, stopped)


class _Dismissal(NamedTuple):
    container: ObservedContainer
    cause: str
    needs: tuple[int, ...]
    volumes: bool
    service: str


def _leaving(container: ObservedContainer) -> ContainerRef:
    """Return the reference to a container that is to be removed.

    A replacement that never got its final name is shown under its current, temporary name.
    """
    found = ContainerRef.of(container)
    return found._replace(name=container.name) if labels.is_replacement(container) else found


def stop_hooks(container: ObservedContainer) -> tuple[ExecSpec, ...]:
    """Return the pre_stop commands of the service as it was when the container was created."""
    return _hooks(container, "pre_stop") if container.state is ContainerState.RUNNING else ()


def start_hooks(container: ObservedContainer) -> tuple[ExecSpec, ...]:
    """Return the post_start commands of the service as it was when the container was created."""
    return _hooks(container, "post_start")


def _hooks(container: ObservedContainer, attribute: str) -> tuple[ExecSpec, ...]:
    text = container.labels.get(labels.FIELDS, "")
    if attribute not in text:
        return ()
    try:
        return resolve.hooks(json.loads(text), attribute)
    except (ValueError, AttributeError):
        return ()  # a label that somebody else wrote: nothing to run
