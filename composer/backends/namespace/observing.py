"""The half of the backend that only reads: the runtime's records in, observed values out. Asks no process anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.engine.observed import (
    Capability,
    ContainerState,
    Health,
    ImageVariant,
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
from composer.runtime.engine.core import Core

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from composer.backends.namespace.streams import Events, Logs
    from composer.engine.inspected import Change, DiskUse, PathStat, Processes, Settings, Usage
    from composer.engine.wanted import Limitation
    from composer.runtime.base.state import Paths
    from composer.runtime.engine.core import Look
    from composer.runtime.engine.inspecting import Inspection
    from composer.runtime.images import Image

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
    capabilities = frozenset(Capability)

    def __init__(self, paths: Paths, environment: Mapping[str, str] | None = None) -> None:
        self.paths = paths
        self._environment = environment or {}
        self._core = Core(paths)

    # -------------------------------------------------------------- containers

    def observe(self, project: str) -> Observed:
        def is_mine(record: Mapping[str, Any]) -> bool:
            return bool(record["labels"].get(PROJECT_LABEL) == project)

        return Observed(
            tuple(self._all(project)),
            tuple(_network(record) for record in self._core.networks.all() if is_mine(record)),
            tuple(self._volume(record) for record in self._core.volumes.all() if is_mine(record)),
        )

    def holds(self, project: str) -> bool:
        return any(
            record["labels"].get(PROJECT_LABEL) == project
            for records in (self._core.metas(), self._core.volumes.all())
            for record in records
        )

    def runs(self, project: str) -> bool:
        from composer.runtime.base import files, records, status

        boot = files.boot_id()
        mine = (meta["id"] for meta in self._core.metas() if meta["labels"].get(PROJECT_LABEL) == project)
        states = (records.state(self.paths.container(id)) or {} for id in mine)
        return any(one.get("status") in status.ACTIVE and one.get("boot_id", boot) == boot for one in states)

    def projects(self) -> Sequence[ObservedContainer]:
        return [container for container in self._all() if PROJECT_LABEL in container.labels]

    def _all(self, project: str | None = None) -> Iterator[ObservedContainer]:
        """Yield all containers, or those of one project: only of these is more read than their labels."""
        watched: dict[str, bool] = {}
        for meta in self._core.metas():
            if project is None or meta["labels"].get(PROJECT_LABEL) == project:
                yield _container(self._core.look(meta, watched))

    def containers(self) -> Sequence[ObservedContainer]:
        return list(self._all())

    def container(self, id: str) -> ObservedContainer:
        return _container(self._core.look(self._core.meta(id)[1], {}))

    # -------------------------------------------------------------- networks, volumes, images

    def find_network(self, name: str) -> ObservedNetwork | None:
        record = self._core.networks.find(name)
        return _network(record) if record else None

    def find_volume(self, name: str) -> ObservedVolume | None:
        record = self._core.volumes.find(name)
        return self._volume(record) if record else None

    def networks(self) -> Sequence[ObservedNetwork]:
        return [_network(record) for record in self._core.networks.all()]

    def volumes(self) -> Sequence[ObservedVolume]:
        return [self._volume(record) for record in self._core.volumes.all()]

    def _volume(self, record: Mapping[str, Any]) -> ObservedVolume:
        return ObservedVolume(
            record["name"],
            record["labels"],
            record["driver"],
            record["options"],
            f"{self.paths.volumes()}/{record['name']}/_data",
            int(record.get("created_ns") or 0),
        )

    def find_image(self, reference: str) -> ObservedImage | None:
        found = self._core.store.find(reference)
        return observed_image(found) if found else None

    def images(self) -> Sequence[ObservedImage]:
        return [observed_image(image) for image in self._core.store.images()]

    def network_faults(self, ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        if not ids:
            return {}
        from composer.runtime.objects import kernel_state

        return kernel_state.network_faults(self.paths, ids)

    # -------------------------------------------------------------- inside, and what is used

    def _inspection(self) -> Inspection:
        from composer.runtime.engine.inspecting import Inspection

        return Inspection(self._core)

    def settings(self, id: str) -> Settings:
        from composer.backends.namespace import settings

        return settings.settings(self._inspection().configuration(id))

    def probes(self, id: str) -> Sequence[Probe]:
        return [Probe(**probe) for probe in self._inspection().probes(id)]

    def stat_path(self, id: str, path: str) -> PathStat:
        from composer.engine.inspected import PathStat

        return PathStat(*self._inspection().stat_path(id, path))

    def read_path(self, id: str, path: str) -> tuple[PathStat, Iterator[bytes]]:
        from composer.engine.inspected import PathStat

        found, pieces = self._inspection().read_path(id, path)
        return PathStat(*found), pieces

    def export_container(self, id: str) -> Iterator[bytes]:
        return self._inspection().export(id)

    def changes(self, id: str) -> Sequence[Change]:
        from composer.engine.inspected import Change

        return [Change(*one) for one in self._inspection().changes(id)]

    def processes(self, id: str) -> Processes:
        from composer.engine.inspected import Processes

        return Processes(*self._inspection().processes(id))

    def usage(self, id: str) -> Usage | None:
        from composer.engine.inspected import Usage

        found = self._inspection().usage(id)
        return None if found is None else Usage(*found)

    def system_info(self) -> Mapping[str, Any]:
        return self._inspection().info()

    def disk_use(self) -> DiskUse:
        from composer.engine.inspected import CacheUse, ContainerUse, DiskUse, ImageUse, VolumeUse
        from composer.runtime.build.cache import pruning

        found = self._inspection().disk_use()
        containers = {one.id: one for one in self._all()}
        return DiskUse(
            tuple(ImageUse(*image) for image in found.images),
            tuple(
                ContainerUse(containers[one.id], one.size_bytes, one.volumes)
                for one in found.containers
                if one.id in containers
            ),
            tuple(VolumeUse(*volume) for volume in found.volumes),
            tuple(
                CacheUse(
                    one.id, one.kind, one.size_bytes, one.created_ns, one.used_ns, 1, one.in_use, one.shared
                )
                for one in pruning.entries_of(self._core.paths.root)
            ),
            found.layers_bytes,
        )

    # -------------------------------------------------------------- what cannot be

    def compose_version(self) -> str:
        from composer.engine.resolving.installed import compose_version

        return compose_version(self._environment)  # it comes through `composer serve`

    def limitations(self, attributes: Mapping[str, Any]) -> Sequence[Limitation]:
        from composer.backends.namespace import translate

        return translate.limitations(attributes)

    def network_limitations(self, attributes: Mapping[str, Any]) -> Sequence[Limitation]:
        from composer.backends.namespace import networkoptions

        return networkoptions.limitations(attributes)

    # -------------------------------------------------------------- streams

    def logs(
        self,
        ids: Sequence[str],
        *,
        follow: bool = False,
        since_ns: int = 0,
        until_ns: int | None = None,
        tail: int | None = None,
    ) -> Logs:
        from composer.backends.namespace.streams import Logs
        from composer.runtime.objects import log_reader, naming

        found = [naming.find_container(self.paths, id) for id in ids]
        lines = log_reader.Logs(
            self.paths, found, follow=follow, since_ns=since_ns, until_ns=until_ns, tail=tail
        )
        return Logs(lines)

    def events(
        self, project: str | None = None, *, since_ns: int | None = None, until_ns: int | None = None
    ) -> Events:
        from composer.backends.namespace.streams import Events
        from composer.runtime.objects.journal import ProjectEvents

        return Events(ProjectEvents(self.paths, project, since_ns, until_ns))


def _container(look: Look) -> ObservedContainer:
    meta, current, health = look
    status = _STATES.get(look.status, ContainerState.DEAD)
    if look.status == "starting" and current.get("again"):
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


def _network(record: Mapping[str, Any]) -> ObservedNetwork:
    return ObservedNetwork(
        record["id"],
        record["name"],
        record["labels"],
        record["driver"],
        record.get("attributes") or {},
        tuple(_pool(pool) for pool in record["pools"]),
        int(record.get("created_ns") or 0),
    )


def _pool(pool: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pool in the words of ``ipam.config``."""
    found = {"subnet": pool["subnet"], "gateway": pool["gateway"]}
    if pool["range"] != pool["subnet"]:
        found["ip_range"] = pool["range"]
    if pool["reserved"]:
        found["aux_addresses"] = {name: address for address, name in pool["reserved"].items()}
    return found


def observed_image(image: Image) -> ObservedImage:
    config = image.config
    return ObservedImage(
        image.id,
        tuple(image.references),
        created=image.created,
        size_bytes=image.size_bytes + image.others_bytes,
        labels=config.get("Labels") or {},
        volumes=tuple(config.get("Volumes") or ()),
        has_healthcheck=bool((config.get("Healthcheck") or {}).get("Test")),
        digests=image.digests,
        tagged_ns=image.tagged_ns,
        platform=image.platform,
        config=config,
        layers=image.diff_ids,
        index_digest=image.index_digest,
        variants=tuple(map(_variant, (image, *image.others))) if image.index_digest else (),
    )


def _variant(image: Image) -> ImageVariant:
    return ImageVariant(image.id, image.platform, image.manifest, image.size_bytes)
