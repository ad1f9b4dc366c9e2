"""Networks and volumes as users have them: made, joined, pruned, and each change told in an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import errors
from composer.runtime.base import state

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from composer.runtime.base.record_types import EndpointRequest
    from composer.runtime.engine.containers import Containers
    from composer.runtime.engine.core import Core
    from composer.runtime.objects import specs

    Wanted = Callable[[Mapping[str, str]], bool]
    """Tells by its labels whether an object is meant."""


class Networks:
    """The networks of a state directory."""

    def __init__(self, core: Core, containers: Containers) -> None:
        self._core, self._containers = core, containers

    def create(self, spec: specs.Network) -> str:
        """Make a network, or return the one of this name with the same labels. Raises Conflict."""
        id = self._core.networks.create(spec)
        self._core.emit_of(spec.owner, spec.event, "network", "create", id, spec.name)
        return id

    def remove(self, id: str) -> None:
        """Remove a network by name or id. Raises Conflict while a container is in it."""
        record = self._core.networks.find(id)
        if record is not None:
            self._core.networks.remove(record["id"])
            # The containers went before; a command that was killed meanwhile may have left half of the last one.
            self._core.aftermath.owners.add(record["project"])
            self._core.emit(record, "network", "destroy", record["id"])

    def faults(self, ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Return, by network id, what others took away of networks that containers run in."""
        from composer.runtime.objects import kernel_state

        return kernel_state.network_faults(self._core.paths, ids)

    def mend(self, id: str) -> None:
        """Put back what `faults` names. Raises Unsupported where an earlier version supervises."""
        from composer.runtime.objects import kernel_state

        for owner in kernel_state.projects_in(self._core.paths, id):
            try:
                self._core.client(owner).ask({"op": "mend"})
            except errors.NotFound:
                # The request names nothing that could be missing: an earlier version looks for a container in it.
                raise errors.Unsupported(
                    "networks",
                    f"the supervisor of project '{owner}' was started by an earlier version, "
                    "which cannot restore networks",
                    hint=f"run composer -p {owner} down, then composer up",
                ) from None

    def connect(self, id: str, endpoint: specs.Endpoint) -> None:
        """Let a container join a network, a running one too."""
        from composer.runtime.objects import joining

        with self._core.changing(id) as (id, meta):
            joined = dict(meta["networks"])
            record = self._core.networks.find(endpoint.network)
            if record is not None and joined.get(endpoint.network) == record["id"]:
                return
            before = joining.connect(self._core.paths.container(id), endpoint, self._core.networks)
            self._reconnect(id, meta, before, record["id"] if record is not None else "")

    def disconnect(self, id: str, network: str) -> None:
        from composer.runtime.objects import joining

        with self._core.changing(id) as (id, meta):
            record = self._core.networks.find(network)
            if record is None or not any(joined == record["id"] for _, joined in meta["networks"]):
                return
            before = joining.disconnect(self._core.paths.container(id), record)
            self._reconnect(id, meta, before)

    def _reconnect(
        self, id: str, meta: Mapping[str, Any], before: list[EndpointRequest], joined: str = ""
    ) -> None:
        """Let a running container follow its files; where it cannot, the files are as they were.

        ``joined`` is the network that is new to it, which may have been removed in this moment.
        """
        from composer.runtime.objects import joining

        try:
            if joined:
                self._core.networks.ensure_up(joined)
            self._follow(id, meta)
            if joined:
                self._core.networks.still_there(joined)
        except errors.BackendError:
            joining.restore(self._core.paths.container(id), before)
            self._containers.reload(id, meta)
            if joined and self._core.is_active(id):
                self._follow(id, meta)  # out of what was removed as it came in
            raise

    def _follow(self, id: str, meta: Mapping[str, Any]) -> None:
        if self._core.is_active(id):
            self._core.ask(meta, {"op": "reconnect", "id": id})
        else:
            self._containers.reload(id, meta)

    def prune(self, wanted: Wanted, *, among: Collection[str] | None = None) -> list[str]:
        """Remove the networks that no container is in, or those of them in ``among``; return their names."""
        from composer.runtime.objects import housekeeping

        gone = []
        for record in housekeeping.unused_networks(self._core.networks, list(self._core.metas()), wanted):
            if among is not None and record["id"] not in among:
                continue
            try:
                self.remove(record["id"])
            except errors.Conflict:
                continue  # somebody has just begun to use it
            gone.append(str(record["name"]))
        return gone


class Volumes:
    """The volumes of a state directory."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def create(self, spec: specs.Volume) -> str:
        """Make a volume, or return the one of this name."""
        self._core.volumes.create(spec)
        self._core.emit_of(spec.owner, spec.event, "volume", "create", spec.name, spec.name)
        return spec.name

    def remove(self, name: str) -> None:
        """Remove a volume with its data. Raises Conflict while a container has it."""
        record = self._core.volumes.find(name)
        if record is not None:
            self._core.volumes.remove(name)
            self._core.emit(record, "volume", "destroy", name)
            if "over" in record:
                self._sweep_snapshots()

    def prune(self, wanted: Wanted, *, everything: bool = False) -> tuple[Sequence[str], int]:
        """Remove anonymous volumes, or all, that no container has; return their names and the bytes freed."""
        from composer.runtime.objects import housekeeping

        core = self._core
        gone, freed_bytes = [], 0
        # A container that is just being made has volumes already, and is not there yet to be seen having them.
        with core.store.excluding():
            self._check_readable()
            unused = list(
                housekeeping.unused_volumes(core.volumes, list(core.metas()), wanted, everything=everything)
            )
            for record in unused:
                size = housekeeping.remove_volume(core.paths, core.volumes, record)
                if size is not None:
                    gone.append(str(record["name"]))
                    freed_bytes += size
                    core.emit(record, "volume", "destroy", record["name"])
        if any("over" in record for record in unused):
            self._sweep_snapshots()
        return gone, freed_bytes

    def _sweep_snapshots(self) -> None:
        """Remove the files of snapshots that were kept for volumes which are gone now."""
        from composer.runtime.snapshots.store import Snapshots

        Snapshots(self._core.paths, self._core.volumes).sweep()

    def _check_readable(self) -> None:
        """Raise Conflict while it is not known of a container which volumes it uses: a pruned one is lost."""
        import os

        from composer.runtime.base import records

        for id in state.list_directory(self._core.paths.containers()):
            directory = self._core.paths.container(id)
            if os.path.isdir(directory) and records.meta(directory) is None and os.path.isdir(directory):
                raise errors.Conflict(
                    f"cannot prune volumes: the file {directory}/meta.json is damaged, so the volumes of "
                    "this container are unknown",
                    hint="restore the file, or remove the directory if the container is not needed",
                )
