"""The half of the runtime that only reads: state files in, observed values out. Asks no process anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.engine.observed import (
    ContainerState,
    Health,
    Observed,
    ObservedContainer,
    ObservedEndpoint,
    ObservedImage,
    ObservedMount,
    ObservedNetwork,
    ObservedPort,
    ObservedVolume,
    Probe,
)
from composer.runtime.base import files, records, state
from composer.runtime.objects import naming, networks, volumes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from composer.engine.facts import DiskUse, PathStat, Processes, Usage
    from composer.engine.wanted import Limitation
    from composer.runtime.images import Image, Store
    from composer.runtime.objects.journal import ProjectEvents
    from composer.runtime.objects.log_reader import Logs

PROJECT_LABEL = "com.docker.compose.project"
_STATES = {
    "created": ContainerState.CREATED,
    "starting": ContainerState.CREATED,
    "running": ContainerState.RUNNING,
    "paused": ContainerState.PAUSED,
    "restarting": ContainerState.RESTARTING,
    "exited": ContainerState.EXITED,
}


class NamespaceObserver:
    """Reads the state directory. Cannot change anything."""

    name = "namespace"
    moves_ports = True

    def __init__(self, paths: state.Paths) -> None:
        self.paths = paths
        self._boot = files.boot_id()
        self._networks = networks.Networks(paths)
        self._volumes = volumes.Volumes(paths)

    @property
    def store(self) -> Store:
        from composer.runtime.images import Store

        return Store(f"{self.paths.root}/images")

    # -------------------------------------------------------------- containers

    def observe(self, project: str) -> Observed:
        return Observed(
            tuple(self._all(project)),
            tuple(
                networks.observed(r)
                for r in self._networks.all()
                if r["labels"].get(PROJECT_LABEL) == project
            ),
            tuple(
                self._observed_volume(r)
                for r in self._volumes.all()
                if r["labels"].get(PROJECT_LABEL) == project
            ),
        )

    def holds(self, project: str) -> bool:
        return any(
            record["labels"].get(PROJECT_LABEL) == project
            for records in (self._metas(), self._volumes.all())
            for record in records
        )

    def projects(self) -> Sequence[ObservedContainer]:
        return [container for container in self._all() if PROJECT_LABEL in container.labels]

    def _metas(self) -> Iterator[dict[str, Any]]:
        """Yield the ``meta.json`` of every container."""
        for id in state.list_directory(self.paths.containers()):
            meta = records.meta(self.paths.container(id))
            if meta is not None:
                yield meta

    def _all(self, project: str | None = None) -> Iterator[ObservedContainer]:
        """Yield all containers, or those of one project: only of these is more read than their labels."""
        watched: dict[str, bool] = {}
        for meta in self._metas():
            if project is None or meta["labels"].get(PROJECT_LABEL) == project:
                yield self._observed(meta, watched)

    def container(self, id: str) -> ObservedContainer:
        from composer.errors import NotFound

        meta = records.meta(self.paths.container(naming.find_container(self.paths, id)))
        if meta is None:
            raise NotFound(f"no container '{id}'")
        return self._observed(meta, {})

    def _observed(self, meta: dict[str, Any], watched: dict[str, bool]) -> ObservedContainer:
        """Return a container; ``watched`` keeps which projects' supervisors listen, each asked once."""
        directory = self.paths.container(meta["id"])
        current = records.state(directory) or {}
        if current.get("status") in ("running", "paused"):
            # A supervisor that is there writes how a container ended as soon as it did: what is written holds, and
            # the event that follows tells the rest. Where none is, it may have ended while nobody watched.
            project = str(meta["project"])
            if project not in watched:
                watched[project] = self._is_watched(project)
            if not watched[project] and not self._is_alive(current):
                current = records.state(directory) or {}
                if current.get("status") in ("running", "paused") and not self._is_alive(current):
                    current = {**current, "status": "exited", "exit_code": None, "exit_unknown": True}
        health = records.health(directory) if meta["health"] else None
        return _observed(meta, current, health)

    def _is_watched(self, project: str) -> bool:
        """Tell whether a project's supervisor listens."""
        import os
        import socket

        from composer.runtime.base import wire

        try:
            directory = os.open(self.paths.project(project), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
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

    def _is_alive(self, current: Mapping[str, Any]) -> bool:
        ticks = files.start_time(int(current.get("pid") or 0))
        return (
            current.get("boot_id") == self._boot and ticks is not None and ticks == current.get("start_ticks")
        )

    def network_faults(self, ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        from composer.runtime.objects import kernel_state

        return kernel_state.network_faults(self.paths, ids)

    def probes(self, id: str) -> Sequence[Probe]:
        directory = self.paths.container(naming.find_container(self.paths, id))
        record = records.health(directory) or {}
        return [Probe(**probe) for probe in record.get("probes", ())]

    def stat_path(self, id: str, path: str) -> PathStat:
        from composer.runtime.objects import inside

        return inside.stat_path(self.paths.container(naming.find_container(self.paths, id)), path)

    def read_path(self, id: str, path: str) -> tuple[PathStat, Iterator[bytes]]:
        from composer.runtime.objects import inside

        return inside.read_path(self.paths.container(naming.find_container(self.paths, id)), path)

    def export_container(self, id: str) -> Iterator[bytes]:
        from composer.runtime.objects.committing import OwnFiles

        return OwnFiles(self.paths.container(naming.find_container(self.paths, id)))

    def disk_use(self) -> DiskUse:
        from composer.runtime.objects import housekeeping

        return housekeeping.disk_use(self.paths, self.store.images(), list(self._all()), self._volumes)

    def processes(self, id: str) -> Processes:
        from composer.errors import Conflict
        from composer.runtime.objects import usage

        id = naming.find_container(self.paths, id)
        if self._pid(id) is None:
            raise Conflict(f"container '{self.container(id).name}' is not running")
        return usage.processes(usage.cgroup_of(self._config(id), id))

    def usage(self, id: str) -> Usage | None:
        from composer.runtime.objects import usage

        id = naming.find_container(self.paths, id)
        pid = self._pid(id)
        return None if pid is None else usage.usage(usage.cgroup_of(self._config(id), id), pid)

    def _pid(self, id: str) -> int | None:
        """Return the first process of a container; None when it does not run."""
        current = records.state(self.paths.container(id)) or {}
        is_running = current.get("status") in ("running", "paused") and self._is_alive(current)
        return int(current["pid"]) if is_running else None

    def _config(self, id: str) -> Mapping[str, Any]:
        return records.config(self.paths.container(id)) or {"linux": {}, "composer": {}}

    # -------------------------------------------------------------- the rest

    def find_network(self, name: str) -> ObservedNetwork | None:
        record = self._networks.find(name)
        return networks.observed(record) if record else None

    def find_volume(self, name: str) -> ObservedVolume | None:
        record = self._volumes.find(name)
        return self._observed_volume(record) if record else None

    def _observed_volume(self, record: Mapping[str, Any]) -> ObservedVolume:
        return volumes.observed(record, self.paths.volumes())

    def networks(self) -> Sequence[ObservedNetwork]:
        return [networks.observed(record) for record in self._networks.all()]

    def volumes(self) -> Sequence[ObservedVolume]:
        return [self._observed_volume(record) for record in self._volumes.all()]

    def find_image(self, reference: str) -> ObservedImage | None:
        found = self.store.find(reference)
        return observed_image(found) if found else None

    def images(self) -> Sequence[ObservedImage]:
        return [observed_image(image) for image in self.store.images()]

    def limitations(self, attributes: Mapping[str, Any]) -> Sequence[Limitation]:
        from composer.backends.namespace import translate

        return translate.limitations(attributes)

    def network_limitations(self, attributes: Mapping[str, Any]) -> Sequence[Limitation]:
        from composer.backends.namespace import networkoptions

        return networkoptions.limitations(attributes)

    def logs(
        self,
        ids: Sequence[str],
        *,
        follow: bool = False,
        since_ns: int = 0,
        until_ns: int | None = None,
        tail: int | None = None,
    ) -> Logs:
        from composer.runtime.objects.log_reader import Logs

        found = [naming.find_container(self.paths, id) for id in ids]
        return Logs(self.paths, found, follow=follow, since_ns=since_ns, until_ns=until_ns, tail=tail)

    def events(
        self, project: str | None = None, *, since_ns: int | None = None, until_ns: int | None = None
    ) -> ProjectEvents:
        from composer.runtime.objects.journal import ProjectEvents

        return ProjectEvents(self.paths, project, since_ns, until_ns)


def _observed(
    meta: Mapping[str, Any], current: Mapping[str, Any], health: Mapping[str, Any] | None
) -> ObservedContainer:
    status = _STATES.get(current.get("status", "created"), ContainerState.DEAD)
    if current.get("status") == "starting" and current.get("again"):
        # for the restart policy, and not done yet
        status = ContainerState.RESTARTING
    running = status in (ContainerState.RUNNING, ContainerState.PAUSED)
    starting = Health.STARTING if meta["health"] and running else Health.NONE
    return ObservedContainer(
        id=meta["id"],
        name=meta["name"],
        labels=meta["labels"],
        state=status,
        image=meta["image"],
        image_id=meta["image_id"],
        health=Health(health["status"]) if health and running else starting,
        exit_code=current.get("exit_code"),
        exit_unknown=bool(current.get("exit_unknown")),
        oom_killed=bool(current.get("oom_killed")),
        error=current.get("error") or "",
        created_ns=meta["created_ns"],
        started_ns=int(current.get("started_ns") or 0),
        finished_ns=int(current.get("finished_ns") or 0),
        restarts=int(current.get("restarts") or 0),
        command=tuple(meta["command"]),
        ports=tuple(_ports(meta, current if running else {})),
        endpoints=tuple(_endpoints(meta, current if running else {})),
        mounts=tuple(
            ObservedMount(
                m["type"], m["target"], m.get("name", ""), m.get("source", ""), bool(m.get("read_only"))
            )
            for m in meta["mounts"]
        ),
    )


def _ports(meta: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[ObservedPort]:
    published = current.get("ports", ())
    for port in published:
        yield ObservedPort(
            port["protocol"], port["container_port"], port["host_ip"] or "0.0.0.0", port["host_port"]
        )
    taken = {(port["protocol"], port["container_port"]) for port in published}
    for text in meta["exposed"]:
        number, _, protocol = text.partition("/")
        if (protocol or "tcp", int(number)) not in taken:
            yield ObservedPort(protocol or "tcp", int(number))


def _endpoints(meta: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[ObservedEndpoint]:
    attached = {record["network"]: record for record in current.get("endpoints", ())}
    for name, network_id in meta["networks"]:
        record = attached.get(name, {})
        addresses = [address for address, _ in record.get("addresses", ())]
        yield ObservedEndpoint(
            name,
            network_id,
            ipv4=next((a for a in addresses if ":" not in a), ""),
            ipv6=next((a for a in addresses if ":" in a), ""),
            mac=record.get("mac", ""),
            aliases=tuple(meta["aliases"].get(name, ())),
        )


def observed_image(image: Image) -> ObservedImage:
    from composer.runtime.images import adding

    config = image.config
    return ObservedImage(
        image.id,
        tuple(image.references),
        created=image.created,
        size_bytes=image.size_bytes,
        labels=config.get("Labels") or {},
        volumes=tuple(config.get("Volumes") or ()),
        has_healthcheck=bool((config.get("Healthcheck") or {}).get("Test")),
        digests=image.digests,
        tagged_ns=image.tagged_ns,
        platform=f"linux/{adding.architecture()}",  # the store has no others
    )
