"""Docker Engine as a backend: each effect is a call or two of the Docker SDK, and safe to repeat."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from composer.backends.docker import creation, reading
from composer.backends.docker.observing import DockerObserver
from composer.engine.lacking import Lacking
from composer.engine.observed import ContainerState, RemovedImage
from composer.errors import BackendError, Conflict, NotFound, PullFailed, Unavailable, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from composer.backends.docker.client import Client
    from composer.backends.docker.sdk import Sdk
    from composer.engine.backend import Session
    from composer.engine.observed import Advance, ImageStep, ObservedImage
    from composer.engine.wanted import (
        BuildSpec,
        CommitSpec,
        ContainerSpec,
        EndpointSpec,
        ExecSpec,
        LabelFilter,
        NetworkSpec,
        VolumeSpec,
    )


class DockerBackend(DockerObserver, Lacking):
    """Containers of a Docker Engine."""

    def __init__(self, client: Client, environment: Mapping[str, str]) -> None:
        super().__init__(client, environment)
        self._effects: Sdk | None = None
        self._effects_lock = threading.Lock()
        self._ranged: set[str] = set()
        self._range_lock = threading.Lock()
        self._proxies: dict[str, str] | None = None

    @property
    def _sdk(self) -> Sdk:
        """The way of all effects; a command that has none does not even import the way."""
        with self._effects_lock:
            if self._effects is None:
                from composer.backends.docker.sdk import Sdk

                self._effects = Sdk(self.client)
            return self._effects

    # -------------------------------------------------------------- networks and volumes

    def create_network(self, spec: NetworkSpec) -> str:
        try:
            # the SDK's create_network has no EnableIPv4, and cannot say that IPv6 is off
            body = creation.network(spec, self.client.api)
            return str(self._sdk.post("/networks/create", body=body)["Id"])
        except Conflict as error:
            found = self.find_network(spec.name)
            if found is None:
                raise
            if not creation.is_the_same(creation.NETWORK, found.labels, spec.labels):
                raise Conflict(f"network '{spec.name}' already exists") from error
            return found.id  # another command, or Docker Compose, made it since this one looked

    def remove_network(self, id: str) -> None:
        try:
            with self._sdk.call() as api:
                api.remove_network(id)
        except NotFound:
            pass  # that is what was asked for

    def mend_network(self, id: str) -> None:
        raise Unsupported(
            "mend_network", "Docker Engine restores its networks itself", hint="restart the engine"
        )

    def connect_network(self, id: str, endpoint: EndpointSpec) -> None:
        config = creation.endpoint_settings(endpoint, self.client.api)
        body = {"Container": id, "EndpointConfig": config}
        try:
            # the SDK's connect_container_to_network has no GwPriority
            self._sdk.post("/networks/{0}/connect", endpoint.network, body=body)
        except BackendError as error:
            if "already exists in network" not in str(error):
                raise

    def disconnect_network(self, id: str, network: str) -> None:
        try:
            with self._sdk.call() as api:
                api.disconnect_container_from_network(id, network, force=True)
        except NotFound:
            pass  # as above
        except BackendError as error:
            if "is not connected to" not in str(error):
                raise

    def create_volume(self, spec: VolumeSpec) -> str:
        wanted = creation.volume(spec)
        with self._sdk.call() as api:
            found = api.create_volume(
                wanted["Name"], wanted["Driver"], wanted["DriverOpts"], wanted["Labels"]
            )
        if not creation.is_the_same(creation.VOLUME, found.get("Labels") or {}, spec.labels):
            raise Conflict(f"volume '{spec.name}' already exists")
        return str(found["Name"])

    def remove_volume(self, name: str) -> None:
        try:
            with self._sdk.call() as api:
                api.remove_volume(name)
        except NotFound:
            pass  # as above

    def prune_networks(self, labels: Sequence[LabelFilter]) -> Sequence[str]:
        from composer.backends.docker import housekeeping

        return housekeeping.prune_networks(self._sdk, labels)

    def prune_volumes(
        self, labels: Sequence[LabelFilter], *, everything: bool = False
    ) -> tuple[Sequence[str], int]:
        from composer.backends.docker import housekeeping

        return housekeeping.prune_volumes(self._sdk, self.client.api, labels, everything=everything)

    # -------------------------------------------------------------- containers

    def create_container(self, spec: ContainerSpec) -> str:
        made = creation.container(spec, self.client.api)
        self._add_proxies(made.body)
        try:
            with self._sdk.call() as api:
                create: Callable[..., Any] = api.create_container_from_config
                id = str(create(made.body, spec.name, made.platform)["Id"])
        except Conflict:
            return self._same_container(spec)
        try:
            for endpoint in made.later:
                self.connect_network(id, endpoint)
            if made.archive:
                with self._sdk.call() as api:
                    api.put_archive(id, "/", made.archive)
        except BaseException:
            # half of a container must not be taken for a whole one by the next run
            self.remove_container(id, force=True, volumes=True)
            raise
        if _has_range(spec):
            self._ranged.add(id)
        return id

    def _same_container(self, spec: ContainerSpec) -> str:
        """Return the container of this name where it is this one, made by an earlier try."""
        found = self.container(spec.name)
        if dict(found.labels) != dict(spec.labels):
            raise Conflict(
                f'container name "{spec.name}" is already in use by container {found.id[:12]}',
                hint="remove or rename that container, or use another container_name or project name",
            )
        return found.id

    def _add_proxies(self, body: dict[str, Any]) -> None:
        """Hand on the proxies of Docker's configuration, below what the service says itself."""
        if self._proxies is None:
            from composer.backends.docker.endpoint import read_config

            self._proxies = _proxies_of(read_config(self._environment), self.client.endpoint.url)
        if self._proxies:
            own = {entry.partition("=")[0] for entry in body.get("Env") or ()}
            added = [f"{key}={value}" for key, value in self._proxies.items() if key not in own]
            body["Env"] = [*added, *(body.get("Env") or ())]

    def start_container(self, id: str) -> None:
        with self._sdk.call() as api:
            if id not in self._ranged:
                api.start(id)
                return
            # the engine takes ports out of a range one by one and without a lock: two starts may meet on one port
            with self._range_lock:
                api.start(id)

    def stop_container(self, id: str, *, timeout_s: float | None = None, signal: str = "") -> None:
        self._end(id, "stop", timeout_s, signal)

    def restart_container(self, id: str, *, timeout_s: float | None = None, signal: str = "") -> None:
        if id not in self._ranged:
            self._end(id, "restart", timeout_s, signal)
            return
        with self._range_lock:  # as in a start
            self._end(id, "restart", timeout_s, signal)

    def _end(self, id: str, verb: str, timeout_s: float | None, signal: str) -> None:
        from composer.backends.docker.sdk import send

        wanted = {"t": None if timeout_s is None else int(timeout_s), "signal": signal or None}
        query = {key: value for key, value in wanted.items() if value is not None}
        with self._sdk.call(patient=True) as api:
            # the SDK's stop and restart have no signal
            send(api, "post", f"/containers/{{0}}/{verb}", id, params=query)

    def kill_container(self, id: str, signal: str) -> None:
        with self._sdk.call() as api:
            api.kill(id, signal)

    def remove_container(self, id: str, *, force: bool = False, volumes: bool = False) -> None:
        try:
            with self._sdk.call(patient=True) as api:
                api.remove_container(id, v=volumes, force=force)
        except NotFound:
            pass  # as above
        except Conflict as error:
            if "is already in progress" not in str(error):
                raise
            self._await_removal(id)

    def _await_removal(self, id: str) -> None:
        try:
            with self._sdk.call(patient=True) as api:
                api.wait(id, condition="removed")
        except NotFound:
            pass  # as above

    def update_container(self, id: str, attributes: Mapping[str, Any]) -> Sequence[str]:
        from composer.backends.docker import translate

        host = translate.body_of(attributes, "")["HostConfig"]
        # the SDK's update_container has no words for some of these
        found = self._sdk.post("/containers/{0}/update", id, body=host)
        return [str(one) for one in (found or {}).get("Warnings") or ()]

    def rename_container(self, id: str, name: str) -> None:
        if self.container(id).name != name:
            with self._sdk.call() as api:
                api.rename(id, name)

    def move_ports(self, source: str, target: str) -> None:
        raise Unsupported(
            "services.ports",
            "Docker Engine cannot move a published port between running containers",
            hint="stop the old container first: deploy.update_config.order: stop-first",
        )

    def wait_container(self, id: str) -> int | None:
        with self._sdk.call(patient=True) as api:
            return int(api.wait(id, condition="not-running")["StatusCode"])

    def exec(self, id: str, spec: ExecSpec) -> Session:
        from composer.backends.docker.session import ExecSession

        return ExecSession(self._sdk, self.client, id, spec)

    def write_path(self, id: str, path: str, archive: Iterable[bytes], *, to_user: bool = False) -> None:
        from composer.backends.docker import files

        files.write(self._sdk, id, path, archive, to_user=to_user)

    def empty_path(self, id: str, path: str) -> None:
        from composer.backends.docker import files

        files.empty(self._sdk, id, path)

    def attach(self, id: str, *, stdin: bool = False, start: bool = False) -> Session:
        from composer.backends.docker.session import AttachSession

        return AttachSession(self._sdk, self.client, id, stdin=stdin, start=start)

    def pause_container(self, id: str) -> None:
        if self.container(id).state is not ContainerState.PAUSED:
            with self._sdk.call() as api:
                api.pause(id)

    def unpause_container(self, id: str) -> None:
        if self.container(id).state is ContainerState.PAUSED:
            with self._sdk.call() as api:
                api.unpause(id)

    # -------------------------------------------------------------- images

    def pull_image(
        self, reference: str, *, progress: Callable[[Advance], None] | None = None
    ) -> ObservedImage:
        from composer.backends.docker import images

        try:
            images.pull(self._sdk, reference, self._environment, progress)
        except (PullFailed, Unavailable):
            raise
        except BackendError as error:
            text = str(error) if reference in str(error) else f"cannot pull '{reference}': {error}"
            raise PullFailed(text, hint=error.hint) from error
        return reading.image(self.client.get(f"/images/{reference}/json"))

    def resolve_image(self, reference: str) -> str:
        from composer.backends.docker import images

        return images.resolve(self._sdk, reference, self._environment)

    def build_image(
        self, spec: BuildSpec, *, progress: Callable[[Advance], None] | None = None
    ) -> ObservedImage | None:
        from composer.backends.docker.building import builds

        built = builds.build(self._sdk, self.client.endpoint, spec, self._environment, progress)
        return reading.image(self.client.get(f"/images/{built}/json")) if built else None

    def push_image(
        self,
        reference: str,
        *,
        progress: Callable[[Advance], None] | None = None,
        compression: str = "",
    ) -> str:
        from composer.backends.docker import images

        if compression not in ("", "gzip"):
            raise Unsupported(
                "compression",
                f"cannot push image '{reference}' with {compression}: Docker Engine compresses with gzip",
                hint="leave out --compression, or use --backend namespace",
            )
        return images.push(self._sdk, reference, self._environment, progress)

    def remove_image(self, reference: str, *, force: bool = False) -> RemovedImage:
        with self._sdk.call(patient=True) as api:
            found = api.remove_image(reference, force=force)
        return RemovedImage(
            *(tuple(str(one[word]) for one in found if word in one) for word in ("Untagged", "Deleted"))
        )

    def image_history(self, reference: str) -> Sequence[ImageStep]:
        return reading.image_history(self.client.get(f"/images/{reference}/history"))

    def import_image(self, path: str, reference: str, config: Mapping[str, Any]) -> ObservedImage:
        from composer.backends.docker import images

        images.import_rootfs(self._sdk, path, reference, config)
        return reading.image(self.client.get(f"/images/{reference}/json"))

    def commit_container(self, id: str, spec: CommitSpec) -> ObservedImage:
        from composer.backends.docker import images

        made = images.commit(self._sdk, id, spec)
        return reading.image(self.client.get(f"/images/{made}/json"))

    def load_images(self, path: str) -> Sequence[ObservedImage]:
        from composer.backends.docker import images

        names = images.load(self._sdk, path)
        return [reading.image(self.client.get(f"/images/{name}/json")) for name in names]

    def tag_image(self, reference: str, name: str) -> None:
        from composer.backends.docker.images import split_reference

        repository, tag = split_reference(name)
        with self._sdk.call() as api:
            api.tag(reference, repository, tag)

    def save_images(self, references: Sequence[str], path: str) -> None:
        from composer.backends.docker import images

        images.save(self._sdk, references, path)

    def prune_images(self, *, unused: bool = False) -> tuple[Sequence[str], int]:
        from composer.backends.docker import housekeeping

        return housekeeping.prune_images(self._sdk, unused=unused)

    def prune_builds(
        self, *, everything: bool = False, most_bytes: int | None = None, unused_for_s: float = 0.0
    ) -> tuple[Sequence[str], int]:
        from composer.backends.docker import housekeeping

        return housekeeping.prune_builds(
            self._sdk, everything=everything, most_bytes=most_bytes, unused_for_s=unused_for_s
        )

    def recover(self, project: str) -> None:
        """The engine does each step whole; all that is half done of a project is seen when it is observed."""

    def rest(self) -> None:
        """The engine waits for no connection to end."""

    def close(self) -> None:
        if self._effects is not None:
            self._effects.close()
        self.client.close()


if TYPE_CHECKING:
    from composer.engine.backend import Backend

    _CHECKED: type[Backend] = DockerBackend


def _has_range(spec: ContainerSpec) -> bool:
    return any("-" in str(port.get("published") or "") for port in spec.attributes.get("ports") or ())


def _proxies_of(config: Mapping[str, Any], url: str) -> dict[str, str]:
    """Return the variables of ``proxies`` in Docker's configuration, for this engine or for all."""
    entries = config.get("proxies") or {}
    found = entries.get(url) or entries.get("default") or {}
    variables = {}
    for key, name in _PROXY_VARIABLES.items():
        if found.get(key):
            variables[name] = str(found[key])
            variables[name.lower()] = str(found[key])
    return variables


_PROXY_VARIABLES = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "ftpProxy": "FTP_PROXY",
    "noProxy": "NO_PROXY",
    "allProxy": "ALL_PROXY",
}
