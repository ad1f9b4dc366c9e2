"""What all groups of the engine share: the state directory, its readers, and the way to the supervisors."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.runtime.base import files, records, state, status
from composer.runtime.base.remembering import Remembered
from composer.runtime.objects import naming, networks, volumes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from composer.runtime.base.record_types import Config, HealthRecord, Meta, State
    from composer.runtime.images import Store
    from composer.runtime.objects.client import Client


class Look(NamedTuple):
    """A container as it is: its record, its state in this moment, and what its health checks found."""

    meta: Meta
    state: State
    health: HealthRecord | None

    @property
    def status(self) -> str:
        return str(self.state.get("status", "created"))


_OF_KIND = {"network": {"type": "bridge"}, "volume": {"driver": "local"}}
"""Attributes that the events of all objects of a kind have."""


class Aftermath:
    """What is looked at when a command ends: owners of what was removed, and what goes by itself.

    That is interfaces, and cgroups: (container, its ``cgroup_parent``). Their supervisor removes these, but does not
    know them any more when it dies before it could. ``removals`` are threads that remove files.
    """

    def __init__(self) -> None:
        self.owners: set[str] = set()
        self.links: list[str] = []
        self.cgroups: list[tuple[str, str | None]] = []
        self.removals: list[threading.Thread] = []

    def clear(self) -> None:
        self.owners.clear()
        self.links.clear()
        self.cgroups.clear()


class Core:
    """Reads the state directory, and knows who supervises. Safe for threads."""

    def __init__(self, paths: state.Paths) -> None:
        self.paths = paths
        self.boot = files.boot_id()
        self.networks = networks.Networks(paths)
        self.volumes = volumes.Volumes(paths)
        self.lock = threading.Lock()
        self.before_start: Callable[[str], None] = lambda owner: None
        """Called before an owner's supervisor is started, which goes on with what it finds."""
        self.holding: Callable[[Meta], AbstractContextManager[None]] = lambda meta: contextlib.nullcontext()
        """Entered for each start: the data of the container may be on its way into a snapshot, or back from one."""
        self.aftermath = Aftermath()
        self._clients: dict[str, Client] = {}
        self._metas = Remembered("meta.json", records.meta)
        self._states = Remembered("state.json", records.state)

    @property
    def store(self) -> Store:
        from composer.runtime.images import Store

        return Store(f"{self.paths.root}/images")

    # -------------------------------------------------------------- records

    def metas(self) -> Iterator[Meta]:
        """Return the record of every container."""
        return self._metas.all(self.paths.containers(), state.list_directory(self.paths.containers()))

    def bundle(self, id: str) -> str:
        """Return the directory of a container by id or name. Raises NotFound."""
        return self.paths.container(naming.find_container(self.paths, id))

    def meta(self, id: str) -> tuple[str, Meta]:
        """Return a container's full id and its record. Raises NotFound."""
        from composer.errors import NotFound

        full = naming.find_container(self.paths, id)
        meta = self._metas.record(self.paths.container(full))
        if meta is None:
            raise NotFound(
                f"no such container: {id}"
                if full != id
                else f"cannot use container {id[:12]}: its records are damaged",
                hint="repair them with composer doctor --repair",
            )
        records.refuse_later(meta, f"container '{meta['name']}'")
        return full, meta

    @contextlib.contextmanager
    def changing(self, id: str) -> Iterator[tuple[str, Meta]]:
        """Hold the lock on a container's records while they are read, changed and written; yield as `meta` returns.

        Without it, of two changes at once only one would be there at the end. Raises NotFound.
        """
        full, _ = self.meta(id)
        try:
            fd = os.open(self.paths.container(full), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            fd = -1
        try:
            if fd >= 0:
                fcntl.flock(fd, fcntl.LOCK_EX)
            yield self.meta(full)
        finally:
            if fd >= 0:
                os.close(fd)

    def config(self, id: str) -> Config:
        """Return a container's configuration by its full id. Raises BackendError where it is damaged."""
        return state.config_of(self.paths.container(id))

    def is_active(self, id: str) -> bool:
        current = records.state(self.paths.container(id))
        if current is None:
            return self._is_known_to_run(id)
        return current.get("status") in status.ACTIVE

    def _is_known_to_run(self, id: str) -> bool:
        """Tell whether a container runs whose state is damaged. Raises Conflict where nobody watches over it."""
        from composer.runtime.objects import usage

        found = usage.processes_by_name(self.paths, id) if os.path.isdir(self.paths.container(id)) else []
        meta = records.meta(self.paths.container(id))
        if found and (meta is None or not self.is_watched(meta["project"])):
            from composer.errors import Conflict

            raise Conflict(
                f"state of container '{meta['name'] if meta else id[:12]}' unknown: its file state.json is damaged, "
                f"but its processes are running ({', '.join(map(str, found))})",
                hint="run composer doctor --repair",
            )
        return bool(found)

    def is_prepared(self, id: str) -> bool:
        return bool((records.state(self.paths.container(id)) or {}).get("prepared"))

    def pid(self, id: str) -> int | None:
        """Return the first process of a container; None when it does not run."""
        current = records.state(self.paths.container(id)) or {}
        is_running = current.get("status") in ("running", "paused") and self.is_alive(current)
        return int(current["pid"]) if is_running else None

    # -------------------------------------------------------------- looking

    def look(self, meta: Meta, watched: dict[str, bool]) -> Look:
        """Return a container as it is; ``watched`` keeps which owners' supervisors listen, each asked once."""
        directory = self.paths.container(meta["id"])
        current = self._states.record(directory) or {}
        if current.get("status") in ("running", "paused"):
            # A supervisor that is there writes how a container ended as soon as it did: what is written holds, and
            # the event that follows tells the rest. Where none is, it may have ended while nobody watched.
            owner = str(meta["project"])
            if owner not in watched:
                watched[owner] = self.is_watched(owner)
            if not watched[owner] and not self.is_alive(current):
                current = records.state(directory) or {}
                if current.get("status") in ("running", "paused") and not self.is_alive(current):
                    current = {**current, "status": "exited", "exit_code": None, "exit_unknown": True}
        return Look(meta, current, records.health(directory) if meta["health"] else None)

    def is_alive(self, current: State) -> bool:
        ticks = files.start_time(int(current.get("pid") or 0))
        return (
            current.get("boot_id") == self.boot and ticks is not None and ticks == current.get("start_ticks")
        )

    def is_watched(self, owner: str) -> bool:
        """Tell whether an owner's supervisor listens."""
        import socket

        from composer.runtime.base import wire

        try:
            directory = os.open(self.paths.project(owner), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
                probe.setblocking(False)
                probe.connect(wire.address(directory, wire.SOCKET))
        except BlockingIOError:
            return True  # it has more to do than to accept
        except (FileNotFoundError, ConnectionError):
            return False
        finally:
            os.close(directory)
        return True

    # -------------------------------------------------------------- supervisors and events

    def client(self, owner: str) -> Client:
        from composer.runtime.objects.client import Client

        with self.lock:
            if owner not in self._clients:
                self._clients[owner] = Client(self.paths, owner, lambda: self.before_start(owner))
            return self._clients[owner]

    def clients(self) -> Mapping[str, Client]:
        """Return the supervisors that were talked to, by owner."""
        return self._clients

    def forget_clients(self) -> None:
        self._clients.clear()

    def ask(self, meta: Mapping[str, Any], request: Mapping[str, Any], *, until: int = -1) -> dict[str, Any]:
        """Ask the supervisor of a container; see `Client.ask`."""
        return self.client(str(meta["project"])).ask(request, until=until)

    def rest(self, unused_s: float) -> None:
        """Let go of supervisors that were not talked to for a while, so that those without anything to do end.

        One connection to nobody's stays: it is the one that the next container needs.
        """
        for owner, client in list(self._clients.items()):
            client.rest(unused_s, kept=1 if owner == records.NOBODY else 0)

    def emit(self, record: Mapping[str, Any], kind: str, action: str, id: str) -> None:
        """Write an event of an object, by its record, to the journal of its owner."""
        self.emit_of(str(record["project"]), record["event"], kind, action, id, str(record["name"]))

    def emit_of(
        self, owner: str, about: Mapping[str, str], kind: str, action: str, id: str, name: str
    ) -> None:
        """Write an event of an object whose record is not at hand; ``about`` are its attributes beside the name."""
        attributes = {**_OF_KIND.get(kind, {}), **about, "name": name}
        files.append_event(self.paths.project(owner), kind, action, id, attributes)
