"""Protocols for containers: observe, create, run, change, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.engine.inspected import Settings
    from composer.engine.observed import Observed, ObservedContainer, ObservedImage, Probe
    from composer.engine.wanted import CommitSpec, ContainerSpec, Limitation


UPDATABLE = frozenset(
    (
        "blkio_config",
        "cpu_period",
        "cpu_quota",
        "cpu_rt_period",
        "cpu_rt_runtime",
        "cpu_shares",
        "cpus",
        "cpuset",
        "mem_limit",
        "mem_reservation",
        "memswap_limit",
        "pids_limit",
        "restart",
    )
)
"""What can be changed of a container that is there; of ``blkio_config`` the weight alone."""


class ContainerObserver(Protocol):
    """Reads containers, and projects, which are defined by the labels of containers."""

    def observe(self, project: str) -> Observed: ...

    def holds(self, project: str) -> bool:
        """Return True if the project has a container or a volume on this backend; cheaper than `observe`."""
        ...

    def runs(self, project: str) -> bool:
        """Return True if a container of the project is running, paused or restarting; cheaper than `observe`."""
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

    def settings(self, id: str) -> Settings:
        """Return how a container was made. Raises NotFound."""
        ...

    def probes(self, id: str) -> Sequence[Probe]:
        """Return the last runs of a container's health check, oldest first."""
        ...

    def compose_version(self) -> str:
        """Return the version of the docker compose here that can come to these containers; empty where none can."""
        ...

    def limitations(self, attributes: Mapping[str, Any]) -> Sequence[Limitation]:
        """Return which of a service's canonical attributes this backend does not support."""
        ...


class Containers(ContainerObserver, Protocol):
    """Changes containers."""

    def create_container(self, spec: ContainerSpec) -> str:
        """Return the new container's id. Raises Conflict if the name is already in use."""
        ...

    def start_container(self, id: str) -> None:
        """Start a container; return when its command has been executed. Raises StartFailed if that fails."""
        ...

    def expect_starts(self, project: str, *, creates: bool) -> None:
        """Begin to get ready, beside the command, for processes that will be started in containers of a project.

        ``creates``: containers may be created too. Only an optimization, which leaves nothing where it is not needed.
        Only where the backend has `Capability.PREPARES_STARTS`.
        """
        ...

    def prepare_container(self, id: str) -> None:
        """Do those parts of a start that are not visible from outside, so that `start_container` takes less time.

        Only an optimization: errors are left to the start, which may begin while this runs.
        Only where the backend has `Capability.PREPARES_STARTS`.
        """
        ...

    def unprepare_container(self, id: str) -> None:
        """Undo `prepare_container`, because there will be no start. Safe to repeat, and after a start."""
        ...

    def stop_container(self, id: str, *, timeout_s: float | None = None, signal: str = "") -> None:
        """Send the stop signal, and SIGKILL after the grace period; return when the container has exited.

        ``timeout_s`` is the grace period in seconds; None: the container's own. ``signal`` is sent instead of its own.
        """
        ...

    def restart_container(self, id: str, *, timeout_s: float | None = None, signal: str = "") -> None:
        """Stop a container where it runs, as `stop_container` does, and start it; return as `start_container` does.

        One that is removed when it ends is not removed by that.
        """
        ...

    def kill_container(self, id: str, signal: str) -> None: ...
    def pause_container(self, id: str) -> None:
        """Pause a running container; does nothing if it is paused."""
        ...

    def unpause_container(self, id: str) -> None: ...
    def wait_container(self, id: str) -> int | None:
        """Return the exit code once the container is not running (at once when it is not); None if unknown."""
        ...

    def update_container(self, id: str, attributes: Mapping[str, Any]) -> Sequence[str]:
        """Change limits and the restart policy of a container, running or not; return warnings.

        ``attributes`` are those of a service that `UPDATABLE` names, with canonical values.
        """
        ...

    def rename_container(self, id: str, name: str) -> None: ...
    def remove_container(self, id: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container; ``volumes``: with its anonymous volumes. Only ``force`` removes a running one."""
        ...

    def move_ports(self, source: str, target: str) -> None:
        """Move the published ports of ``source`` to ``target``, which was created with ``takes_over``.

        Existing connections stay with ``source``. Returns when no new connection can reach it, neither by a port nor
        by a service name that ``target`` has as well. Only where the backend has `Capability.MOVES_PORTS`.
        """
        ...

    def commit_container(self, id: str, spec: CommitSpec) -> ObservedImage:
        """Create an image from a container's changes, with the configuration of the container."""
        ...
