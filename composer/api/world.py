"""What the endpoints share: the engine, finding objects by Docker's rules, and what is known of this machine."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import errors
from composer.api.http.problems import Problem
from composer.patterns import pattern
from composer.runtime.base import files, records, state
from composer.runtime.build.steps import owned
from composer.runtime.engine.core import Core
from composer.runtime.engine.engine import Engine
from composer.runtime.objects import naming
from composer.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.runtime.base.record_types import Meta, NetworkRecord, VolumeRecord
    from composer.runtime.images import Image

PROJECT_LABEL = "com.docker.compose.project"
_PROJECT = pattern(r"[a-z0-9][a-z0-9_-]*")
_UNUSED_S = 30.0
_HEX = pattern(r"[0-9a-f]+")


class Settings(NamedTuple):
    """What `composer serve` was told. ``environment`` has the user's settings of registries."""

    paths: state.Paths
    environment: Mapping[str, str]


class World:
    """One engine for all requests. Safe for threads."""

    def __init__(self, settings: Settings, log: Callable[[str], None] = lambda text: None) -> None:
        """``log`` is told what nobody has thought of."""
        self.log = log
        self.paths, self.environment = settings.paths, settings.environment
        self.core = Core(settings.paths)
        self.engine = Engine(self.core, settings.environment)
        self._listens = files.listen(state.make_directory(self.paths.project(records.NOBODY)))
        self.version = __version__
        self.lock = threading.Lock()
        self.shared: dict[str, Any] = {}
        """What a room of endpoints keeps between requests, by the room's name; see `kept`."""

    def kept(self, name: str, make: type[Any]) -> Any:
        """Return what a room keeps, made when it is first asked for."""
        with self.lock:
            if name not in self.shared:
                self.shared[name] = make()
            return self.shared[name]

    # -------------------------------------------------------------- objects

    def container(self, id: str) -> Meta:
        """Return a container by id, prefix or name. Raises Problem."""
        try:
            return self.core.meta(id.removeprefix("/"))[1]
        except errors.NotFound as error:
            if "matches" in str(error):
                raise Problem(400, f"multiple IDs found with provided prefix: {id}") from None
            if "damaged" in str(error):
                raise
            raise Problem(404, f"No such container: {id}") from None

    def image(self, reference: str) -> Image:
        """Return an image by name, id or digest. Raises Problem."""
        try:
            found = self.core.store.find(reference)
        except (errors.ComposerError, ValueError):
            found = None
        if found is None:
            raise Problem(404, f"No such image: {with_tag(reference)}")
        return found

    def network(self, name: str) -> NetworkRecord:
        """Return a network by name, id, or the begin of an id. Raises Problem."""
        found = self.core.networks.find(name)
        if found is not None:
            return found
        if _HEX.fullmatch(name):
            begun = [record for record in self.core.networks.all() if record["id"].startswith(name)]
            if len(begun) == 1:
                return begun[0]
            if begun:
                raise Problem(
                    400, f"network {name} is ambiguous ({len(begun)} matches found based on ID prefix)"
                )
        raise Problem(404, f"network {name} not found")

    def volume(self, name: str) -> VolumeRecord:
        found = self.volume_if_any(name)
        if found is None:
            raise Problem(404, f"get {name}: no such volume")
        return found

    def volume_if_any(self, name: str) -> VolumeRecord | None:
        """Return a volume; None where there is none, or the name is none: it would lead elsewhere."""
        try:
            naming.check_name(name, "volume")
        except errors.BackendError:
            return None
        return self.core.volumes.find(name)

    # -------------------------------------------------------------- begin and end

    def recover(self) -> None:
        """Remove the containers of builds that were killed: nobody can start them any more."""
        if any(meta["project"] == owned.OWNER for meta in self.core.metas()):
            try:
                self.engine.builds.sweep()
                self.engine.settle(records.NOBODY)
            except errors.ComposerError as error:
                self.log(f"what killed builds have left stays for now: {error}")

    def settle(self) -> None:
        """Wait for what goes by itself after a removal: interfaces and cgroups, so that nothing is seen of it."""
        self.engine.settle(records.NOBODY)

    def rest(self) -> None:
        """Let go of supervisors that no request has needed for a while."""
        self.core.rest(_UNUSED_S)

    def close(self) -> None:
        files.remove_file(self._listens)
        self.core.aftermath.owners.add(records.NOBODY)  # whose journal ends with the server
        self.engine.close()


def owner_of(labels: Mapping[str, str]) -> str:
    """Return whose an object is: the Compose project's that its labels name, or nobody's."""
    project = labels.get(PROJECT_LABEL, "")
    return project if _PROJECT.fullmatch(project) else records.NOBODY


def with_tag(reference: str) -> str:
    """Return a name as Docker says it: with the tag that it stands for."""
    last = reference.rpartition("/")[2]
    return reference if "@" in reference or ":" in last or not reference else f"{reference}:latest"
