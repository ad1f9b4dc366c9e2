"""The half of the backend that cannot change anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from composer.backends.docker import reading
from composer.engine.observed import Capability, Observed, ObservedContainer
from composer.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from composer.backends.docker.client import Client
    from composer.backends.docker.event_stream import EngineEvents
    from composer.backends.docker.log_stream import EngineLogs
    from composer.engine.inspected import Change, DiskUse, PathStat, Processes, Settings, Usage
    from composer.engine.observed import ObservedImage, ObservedNetwork, ObservedVolume, Probe
    from composer.engine.wanted import Limitation

T = TypeVar("T")

PROJECT_LABEL = "com.docker.compose.project"
_READERS = 6


class DockerObserver:
    """Reads an engine."""

    name = "docker"
    capabilities = frozenset({Capability.KEEPS_IMAGES})

    def __init__(self, client: Client, environment: Mapping[str, str]) -> None:
        self.client = client
        self._environment = environment

    # -------------------------------------------------------------- objects

    def observe(self, project: str) -> Observed:
        filters = {"label": [f"{PROJECT_LABEL}={project}"]}
        listed = self.client.get("/containers/json", {"all": True, "filters": filters})
        networks = self.client.get("/networks", {"filters": filters})
        volumes = (self.client.get("/volumes", {"filters": filters}) or {}).get("Volumes")
        return Observed(
            tuple(self._inspect_all(entry["Id"] for entry in listed)),
            tuple(reading.network(entry) for entry in networks),
            tuple(reading.volume(entry) for entry in volumes or ()),
        )

    def holds(self, project: str) -> bool:
        filters = {"label": [f"{PROJECT_LABEL}={project}"]}
        if self.client.get("/containers/json", {"all": True, "limit": 1, "filters": filters}):
            return True
        return bool((self.client.get("/volumes", {"filters": filters}) or {}).get("Volumes"))

    def _inspect_all(self, ids: Any) -> list[ObservedContainer]:
        """Return whole containers: the list knows neither times nor names in networks. One that went is left out."""
        from composer.parallel import each

        found = each(ids, self._inspect, _READERS)
        return [reading.from_inspection(entry) for entry in found if entry is not None]

    def _inspect(self, id: str) -> Any:
        try:
            return self.client.get(f"/containers/{id}/json")
        except NotFound:
            return None

    def runs(self, project: str) -> bool:
        filters = {
            "label": [f"{PROJECT_LABEL}={project}"],
            "status": ["running", "paused", "restarting"],
        }
        return bool(self.client.get("/containers/json", {"limit": 1, "filters": filters}))

    def projects(self) -> Sequence[ObservedContainer]:
        listed = self.client.get("/containers/json", {"all": True, "filters": {"label": [PROJECT_LABEL]}})
        return [reading.from_list(entry) for entry in listed]

    def containers(self) -> Sequence[ObservedContainer]:
        return [reading.from_list(entry) for entry in self.client.get("/containers/json", {"all": True})]

    def container(self, id: str) -> ObservedContainer:
        return reading.from_inspection(self.client.get(f"/containers/{id}/json"))

    def stat_path(self, id: str, path: str) -> PathStat:
        from composer.backends.docker import files

        return files.stat(self.client, id, path)

    def read_path(self, id: str, path: str) -> tuple[PathStat, Iterator[bytes]]:
        from composer.backends.docker import files

        return files.read(self.client, id, path)

    def export_container(self, id: str) -> Iterator[bytes]:
        from composer.backends.docker import files

        return files.Pieces(self.client, self.client.open(f"/containers/{id}/export"))

    def system_info(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.client.get("/info")
        return found

    def disk_use(self) -> DiskUse:
        from composer.backends.docker import housekeeping

        return housekeeping.disk_use(self.client)

    def changes(self, id: str) -> Sequence[Change]:
        from composer.backends.docker import usage

        return usage.changes(self.client, id)

    def processes(self, id: str) -> Processes:
        from composer.backends.docker import usage

        return usage.processes(self.client, id)

    def usage(self, id: str) -> Usage | None:
        from composer.backends.docker import usage

        return usage.usage(self.client, id)

    def settings(self, id: str) -> Settings:
        return reading.settings(self.client.get(f"/containers/{id}/json"))

    def probes(self, id: str) -> Sequence[Probe]:
        return reading.probes(self.client.get(f"/containers/{id}/json"))

    def find_network(self, name: str) -> ObservedNetwork | None:
        # an engine may have several networks of one name, and an id that begins like a name
        found = self.client.get("/networks", {"filters": {"name": [name]}})
        return next((reading.network(entry) for entry in found if entry["Name"] == name), None)

    def find_volume(self, name: str) -> ObservedVolume | None:
        return _or_none(lambda: reading.volume(self.client.get(f"/volumes/{name}")))

    def find_image(self, reference: str) -> ObservedImage | None:
        return _or_none(lambda: reading.image(self.client.get(f"/images/{reference}/json")))

    def images(self) -> Sequence[ObservedImage]:
        return [reading.image(entry) for entry in self.client.get("/images/json")]

    def networks(self) -> Sequence[ObservedNetwork]:
        return [reading.network(entry) for entry in self.client.get("/networks")]

    def volumes(self) -> Sequence[ObservedVolume]:
        return [reading.volume(entry) for entry in self.client.get("/volumes").get("Volumes") or ()]

    def network_faults(self, ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        return {}  # the engine watches over its own

    def compose_version(self) -> str:
        from composer.engine.resolving.installed import compose_version

        return compose_version(self._environment)

    def limitations(self, attributes: Mapping[str, Any]) -> Sequence[Limitation]:
        from composer.backends.docker.translate import limitations

        return limitations(attributes, self.client.api)

    def network_limitations(self, attributes: Mapping[str, Any]) -> Sequence[Limitation]:
        return ()  # the engine says it when it is asked for the network

    # -------------------------------------------------------------- streams

    def logs(
        self,
        ids: Sequence[str],
        *,
        follow: bool = False,
        since_ns: int = 0,
        until_ns: int | None = None,
        tail: int | None = None,
    ) -> EngineLogs:
        from composer.backends.docker.log_stream import EngineLogs

        return EngineLogs(self.client, ids, follow=follow, since_ns=since_ns, until_ns=until_ns, tail=tail)

    def events(
        self, project: str | None = None, *, since_ns: int | None = None, until_ns: int | None = None
    ) -> EngineEvents:
        from composer.backends.docker.event_stream import EngineEvents

        return EngineEvents(self.client, project, since_ns, until_ns)


def _or_none(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except NotFound:
        return None
