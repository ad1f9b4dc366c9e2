"""Containers: seen, made, run, changed, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.engine.observed import Observed, ObservedContainer, ObservedImage, Probe
    from composer.engine.wanted import CommitSpec, ContainerSpec, Limitation


class ContainerObserver(Protocol):
    """What can be seen of containers, and of projects, which are what their labels say."""

    def observe(self, project: str) -> Observed: ...

    def holds(self, project: str) -> bool:
        """Tell whether a project has a container or a volume here; cheaper than to observe it."""
        ...

    def projects(self) -> Sequence[ObservedContainer]:
        """Return every container that carries a project label, of all projects."""
        ...

    def containers(self) -> Sequence[ObservedContainer]:
        """Return every container, also those of no project."""
        ...

    def container(self, id: str) -> ObservedContainer:
        """Return one container by id or name. Raises NotFound."""
        ...

    def probes(self, id: str) -> Sequence[Probe]:
        """Return the last runs of a container's health check, oldest first."""
        ...

    def limitations(self, attributes: Mapping[str, Any]) -> Sequence[Limitation]:
        """Return what this backend would not honour of a service's canonical attributes."""
        ...


class Containers(ContainerObserver, Protocol):
    """What can be done to containers."""

    def create_container(self, spec: ContainerSpec) -> str:
        """Return the new container's id. Raises Conflict when the name is taken by another."""
        ...

    def start_container(self, id: str) -> None:
        """Return when the command has been executed. Raises StartFailed when it could not be."""
        ...

    def prepare_container(self, id: str) -> None:
        """Do now what nobody can notice of a start, so that `start_container` takes less time.

        A hint: nothing depends on it, and what goes wrong is left to the start, which may come while this is at it.
        Only where the backend has `Capability.PREPARES_STARTS`.
        """
        ...

    def unprepare_container(self, id: str) -> None:
        """Take that back: there will be no start. Safe to repeat, and after a start."""
        ...

    def stop_container(self, id: str, *, timeout_s: float | None = None) -> None:
        """Send the stop signal, and SIGKILL after the grace period; return when it has exited."""
        ...

    def kill_container(self, id: str, signal: str) -> None: ...
    def pause_container(self, id: str) -> None:
        """Freeze a running container; nothing happens to one that is paused."""
        ...

    def unpause_container(self, id: str) -> None: ...
    def wait_container(self, id: str) -> int | None:
        """Return the exit code once the container is not running (at once when it is not); None if unknown."""
        ...

    def rename_container(self, id: str, name: str) -> None: ...
    def remove_container(self, id: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove it, with its anonymous volumes where asked."""
        ...

    def move_ports(self, source: str, target: str) -> None:
        """Lead the published ports of ``source`` to ``target``, which was created with ``takes_over``.

        Connections that exist stay with ``source``. Returns when no new one can reach it: neither by a port nor
        by a service name that ``target`` answers to as well. Only where the backend has `Capability.MOVES_PORTS`.
        """
        ...

    def commit_container(self, id: str, spec: CommitSpec) -> ObservedImage:
        """Make an image of a container's own files over its image's, configured as the container is."""
        ...
