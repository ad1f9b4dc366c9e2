"""The engine of a state directory: its groups, and what a command does first and last."""

from __future__ import annotations

import contextlib
import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.runtime.base import making, state
from composer.runtime.engine.containers import Containers, volumes_of
from composer.runtime.objects.filesystems import Filesystems

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from contextlib import AbstractContextManager

    from composer.runtime.base.record_types import Meta
    from composer.runtime.engine.builds import Builds
    from composer.runtime.engine.core import Core
    from composer.runtime.engine.images import Images
    from composer.runtime.engine.inspecting import Handling, Inspection
    from composer.runtime.engine.networks import Networks, Volumes
    from composer.runtime.engine.snapshots import Snapshots

_LINKS_GONE_S = 5.0
_CGROUPS_GONE_S = 2.0


class Engine:
    """Containers on this machine, without a daemon. One supervisor per owner does what outlives a command."""

    def __init__(self, core: Core, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        self.core = core
        self._filesystems = Filesystems(core.paths)
        self.containers = Containers(core, self._filesystems)
        core.holding = self._holding
        self._environment = environment
        self._images: Images | None = None
        self._recovered: set[str] = set()
        core.before_start = self._raise_for

    # -------------------------------------------------------------- the groups: loaded by whoever uses them

    @property
    def networks(self) -> Networks:
        from composer.runtime.engine.networks import Networks

        return Networks(self.core, self.containers)

    @property
    def volumes(self) -> Volumes:
        from composer.runtime.engine.networks import Volumes

        return Volumes(self.core)

    @property
    def images(self) -> Images:
        with self.core.lock:
            if self._images is None:
                from composer.runtime.engine.images import Images

                self._images = Images(self.core, self._environment)
            return self._images

    @property
    def snapshots(self) -> Snapshots:
        from composer.runtime.engine.snapshots import Snapshots

        return Snapshots(self.core, self.containers, self._filesystems)

    def _finish_snapshots(self, volumes: Collection[str] | None) -> None:
        if os.path.isdir(self.core.paths.snapshots()):
            self.snapshots.finish(volumes)

    def _holding(self, meta: Meta) -> AbstractContextManager[None]:
        if os.path.isdir(self.core.paths.snapshots()):
            return self.snapshots.starting(meta)
        return contextlib.nullcontext()

    @property
    def builds(self) -> Builds:
        from composer.runtime.engine.builds import Builds

        return Builds(self.core, self.containers, self.images)

    @property
    def files(self) -> Handling:
        from composer.runtime.engine.inspecting import Handling

        return Handling(self.core, self.containers)

    @property
    def reading(self) -> Inspection:
        from composer.runtime.engine.inspecting import Inspection

        return Inspection(self.core)

    # -------------------------------------------------------------- the begin of a command

    def recover(self, owner: str) -> None:
        """Take away what killed commands left half made or half removed; watch over what is to run."""
        making.sweep(self.core.paths)
        self._finish_snapshots(None)
        self._filesystems.release(self.containers.volumes_in_use)
        self.containers.remove_ended(owner)
        self._watch_over(owner)
        self.containers.remove_forgotten_network()
        self._recovered.add(owner)  # its directory of run state goes at the end, when nobody is in there

    def _watch_over(self, owner: str) -> None:
        """Start the supervisor where something is to run and nobody watches: after a reboot, for one."""
        if self.core.is_watched(owner):
            return
        if self.containers.has_active(owner):
            self.core.client(owner).ask({"op": "hello"})

    def _raise_for(self, owner: str) -> None:
        """Recreate what a reboot removed and a supervisor cannot create: bridges and mounted file systems."""
        for meta in self.core.metas():
            if meta["project"] == owner and self.core.is_active(meta["id"]):
                try:
                    self._raise_all(meta)
                except (errors.BackendError, OSError):
                    continue  # its start says what is missing; others may have all that they need

    def _raise_all(self, meta: Mapping[str, Any]) -> None:
        for _, network_id in meta["networks"]:
            self.core.networks.ensure_up(network_id)
        self._finish_snapshots(volumes_of(meta))
        with self._filesystems.mounted(volumes_of(meta)):
            pass  # it stays: the container counts as one that has it

    # -------------------------------------------------------------- the end of a command

    def rest(self) -> None:
        """Close the connections to supervisors; the next request opens them again."""
        with self.core.lock:
            for client in self.core.clients().values():
                client.close()

    def settle(self, keep: str) -> None:
        """Finish removals, for whoever goes on: see `close`.

        The supervisors that still have something stay, and that of the owner ``keep`` in any case.
        """
        core = self.core
        with core.lock:
            touched = set(core.aftermath.owners) - {keep}
            for owner in touched:
                client = core.clients().get(owner)
                if client is not None and not any(meta["project"] == owner for meta in core.metas()):
                    client.close(wait=True)
        if core.aftermath.owners:
            self._clear_away()
            for owner in touched:
                self._sweep_owner(owner)

    def close(self) -> None:
        """Let go of the supervisors; wait for those that have nothing left to do, so that nothing stays behind."""
        core, touched = self.core, self.core.aftermath.owners
        with core.lock:
            clients = core.clients()
            for owner, client in clients.items():
                client.close(wait=not self.containers.has_active(owner))
            for owner in self._recovered.union(touched, clients):
                self._sweep_owner(owner)
            if clients:
                self._filesystems.release(self.containers.volumes_in_use)
            core.forget_clients()
            for thread in core.aftermath.removals:
                thread.join()
            core.aftermath.removals.clear()
            if self._images is not None:
                self._images.close()
        if touched:
            self._clear_away()

    def _clear_away(self) -> None:
        """Wait for what goes by itself after a removal, and take away what the last container leaves."""
        from composer.runtime.container import cgroups
        from composer.runtime.objects import links

        making.sweep(self.core.paths)
        if os.path.isdir(self.core.paths.snapshots()):
            self.snapshots.sweep()
        links.delete(links.wait_gone(self.core.aftermath.links, _LINKS_GONE_S))
        cgroups.remove_of(self.core.aftermath.cgroups, timeout_s=_CGROUPS_GONE_S)
        self.core.aftermath.clear()
        if not state.list_directory(self.core.paths.containers()):
            cgroups.remove_parents()

    def _sweep_owner(self, owner: str) -> None:
        paths = self.core.paths
        directory, place = paths.project(owner), paths.supervision(owner)
        if os.path.exists(f"{directory}/control.sock") or not (
            os.path.isdir(directory) or os.path.isdir(place)
        ):
            return
        if not any(meta["project"] == owner for meta in self.core.metas()):
            state.sweep_run_state(paths, owner)
