"""The built-in runtime as a backend: objects are made here, processes are asked of the project's supervisor."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.backends.namespace.observing import PROJECT_LABEL, NamespaceObserver, observed_image
from composer.engine.observed import ContainerState
from composer.runtime.base import files, records, signals, state, status
from composer.runtime.objects import naming
from composer.runtime.objects.filesystems import Filesystems
from composer.runtime.objects.joining import DEFAULT_NETWORK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from composer.engine.backend import Session
    from composer.engine.facts import CommitSpec, LabelFilter
    from composer.engine.observed import ObservedImage
    from composer.engine.wanted import (
        BuildSpec,
        ContainerSpec,
        EndpointSpec,
        ExecSpec,
        NetworkSpec,
        VolumeSpec,
    )
    from composer.runtime.images.pull import Puller
    from composer.runtime.objects.client import Client


_LINKS_GONE_S = 5.0


class NamespaceBackend(NamespaceObserver):
    """Containers on this machine, without a daemon. One supervisor per project does what outlives a command."""

    def __init__(self, paths: state.Paths, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(paths)
        self._environment = environment or {}
        self._puller: Puller | None = None
        self._filesystems = Filesystems(paths, self._volumes)
        self._clients: dict[str, Client] = {}
        self._doomed_links: list[str] = []
        self._touched: set[str] = set()
        self._recovered: set[str] = set()
        self._lock = threading.Lock()

    # -------------------------------------------------------------- networks and volumes

    def create_network(self, spec: NetworkSpec) -> str:
        id = self._networks.create(spec)
        self._emit(spec.labels, "network", "create", id, spec.name)
        return id

    def remove_network(self, id: str) -> None:
        record = self._networks.find(id)
        if record is not None:
            self._networks.remove(record["id"])
            # The containers went before; a command that was killed meanwhile may have left half of the last one.
            project = record["labels"].get(PROJECT_LABEL)
            if project:
                self._touched.add(project)
            self._emit(record["labels"], "network", "destroy", record["id"], record["name"])

    def mend_network(self, id: str) -> None:
        from composer.runtime.objects import kernel_state

        for project in kernel_state.projects_in(self.paths, id):
            try:
                self._client({"project": project}).ask({"op": "mend"})
            except errors.NotFound:
                # The request names nothing that could be missing: an earlier version looks for a container in it.
                raise errors.Unsupported(
                    "networks",
                    f"the supervisor of project '{project}' was started by an earlier version, which puts nothing back",
                    hint=f"composer -p {project} down, then composer up",
                ) from None

    def connect_network(self, id: str, endpoint: EndpointSpec) -> None:
        from composer.runtime.objects import joining

        id, meta = self._meta(id)
        joined = dict(meta["networks"])
        record = self._networks.find(endpoint.network)
        if record is not None and joined.get(endpoint.network) == record["id"]:
            return
        before = joining.connect(self.paths.container(id), endpoint, self._networks)
        if record is not None:
            self._networks.ensure_up(record["id"])
        self._reconnect(id, meta, before)

    def disconnect_network(self, id: str, network: str) -> None:
        from composer.runtime.objects import joining

        id, meta = self._meta(id)
        record = self._networks.find(network)
        if record is None or not any(joined == record["id"] for _, joined in meta["networks"]):
            return
        before = joining.disconnect(self.paths.container(id), record)
        self._reconnect(id, meta, before)

    def _reconnect(self, id: str, meta: Mapping[str, Any], before: list[dict[str, Any]]) -> None:
        """Let a running container follow its files; where it cannot, the files are as they were."""
        from composer.runtime.objects import joining

        if not self._is_active(id):
            self._reload(id, meta)
            return
        try:
            self._client(meta).ask({"op": "reconnect", "id": id})
        except errors.BackendError:
            joining.restore(self.paths.container(id), before)
            self._reload(id, meta)
            raise

    def _reload(self, id: str, meta: Mapping[str, Any]) -> None:
        """Let the supervisor, where there is one, read a container's configuration again: it may know it."""
        if os.path.exists(f"{self.paths.project(str(meta['project']))}/control.sock"):
            self._client(meta).ask({"op": "reload", "id": id})

    def create_volume(self, spec: VolumeSpec) -> str:
        self._volumes.create(spec)
        self._emit(spec.labels, "volume", "create", spec.name, spec.name)
        return spec.name

    def remove_volume(self, name: str) -> None:
        record = self._volumes.find(name)
        if record is not None:
            self._volumes.remove(name)
            self._emit(record["labels"], "volume", "destroy", name, name)

    def prune_networks(self, labels: Sequence[LabelFilter]) -> Sequence[str]:
        from composer.runtime.objects import housekeeping

        gone = []
        for record in housekeeping.unused_networks(self._networks, list(self._metas()), labels):
            try:
                self.remove_network(record["id"])
            except errors.Conflict:
                continue  # somebody has just begun to use it
            gone.append(str(record["name"]))
        return gone

    def prune_volumes(
        self, labels: Sequence[LabelFilter], *, everything: bool = False
    ) -> tuple[Sequence[str], int]:
        from composer.runtime.objects import housekeeping

        gone, freed_bytes = [], 0
        # A container that is just being made has volumes already, and is not there yet to be seen having them.
        with self.store.excluding():
            self._check_readable()
            for record in housekeeping.unused_volumes(
                self._volumes, list(self._metas()), labels, everything=everything
            ):
                size = housekeeping.remove_volume(self.paths, self._volumes, record)
                if size is not None:
                    gone.append(str(record["name"]))
                    freed_bytes += size
                    self._emit(record["labels"], "volume", "destroy", record["name"], record["name"])
        return gone, freed_bytes

    def _check_readable(self) -> None:
        """Raise Conflict while it is not known of a container which volumes it uses: a pruned one is lost."""
        for id in state.list_directory(self.paths.containers()):
            directory = self.paths.container(id)
            if os.path.isdir(directory) and records.meta(directory) is None and os.path.isdir(directory):
                raise errors.Conflict(
                    f"cannot prune volumes: the file {directory}/meta.json is damaged, and what this container uses "
                    "is not known",
                    hint="restore the file, or remove the directory if nothing of it is needed",
                )

    # -------------------------------------------------------------- containers

    def create_container(self, spec: ContainerSpec) -> str:
        from composer.runtime.objects import bundle

        with self.store.using():
            if spec.network_mode == DEFAULT_NETWORK:
                from composer.engine.wanted import NetworkSpec

                self._networks.create(NetworkSpec(DEFAULT_NETWORK, {}, {}))
            image = self.store.find(spec.image_id or spec.image) or self.store.find(spec.image)
            if image is None:
                raise errors.NotFound(
                    f"image '{spec.image}' is not in the store",
                    hint="composer pull, composer image load FILE, or composer image import FILE",
                )
            state.sweep(self.paths)
            id = bundle.create(self.paths, spec, image, self._networks, self._volumes, self.store)
        self._emit(spec.labels, "container", "create", id, spec.name)
        return id

    def start_container(self, id: str) -> None:
        with self._starting(id) as (client, request):
            client.ask(request)

    def prepare_container(self, id: str) -> None:
        with self._starting(id) as (client, request):
            client.ask({**request, "op": "prepare"})

    @contextlib.contextmanager
    def _starting(self, id: str) -> Iterator[tuple[Client, dict[str, Any]]]:
        """Yield the client and the request of a start, once everything that the start needs exists."""
        id, meta = self._meta(id)
        for _, network_id in meta["networks"]:
            self._networks.ensure_up(network_id)
        current = records.state(self.paths.container(id)) or {}
        seen_ns = current.get("started_ns", 0)
        with self._filesystems.mounted(_volumes_of(meta)):
            yield self._client(meta), {"op": "start", "id": id, "seen_ns": seen_ns}

    def unprepare_container(self, id: str) -> None:
        id, meta = self._meta(id)
        if self._is_prepared(id):
            self._client(meta).ask({"op": "unprepare", "id": id})

    def stop_container(self, id: str, *, timeout_s: float | None = None) -> None:
        id, meta = self._meta(id)
        if self._is_active(id):
            self._client(meta).ask({"op": "stop", "id": id, "timeout_s": timeout_s})

    def kill_container(self, id: str, signal: str) -> None:
        id, meta = self._meta(id)
        self._client(meta).ask({"op": "kill", "id": id, "signal": _signal_number(signal)})

    def remove_container(self, id: str, *, force: bool = False, volumes: bool = False) -> None:
        from composer.runtime.network.endpoints import link_name
        from composer.runtime.objects import bundle

        try:
            id, meta = self._meta(id)
        except errors.NotFound:
            return
        if self._is_active(id) and not force:
            raise errors.Conflict(
                f"container '{meta['name']}' is running", hint="stop it first, or remove it with force"
            )
        if self._is_active(id) or self._is_prepared(id):
            try:
                self._client(meta).ask({"op": "remove", "id": id})
            except errors.NotFound:
                return  # it ended in the same moment and was to be removed then
        self._touched.add(str(meta["project"]))
        self._doomed_links += [link_name(id, network_id) for _, network_id in meta["networks"]]
        bundle.remove(self.paths, id)
        self._emit(meta["labels"], "container", "destroy", id, meta["name"])
        if any(network == DEFAULT_NETWORK for network, _ in meta["networks"]):
            self._remove_default_network()
        if volumes:
            for mount in meta["mounts"]:
                if mount.get("anonymous"):
                    try:
                        self._volumes.remove(mount["name"])
                    except errors.Conflict:
                        continue  # another container has come by it through `volumes_from`

    def _remove_default_network(self) -> None:
        """Remove what `network_mode: bridge` made, once no container is to be in it."""
        record = self._networks.find(DEFAULT_NETWORK)
        if record is None or record["labels"]:
            return
        joined = (network_id for meta in self._metas() for _, network_id in meta["networks"])
        if record["id"] not in joined:
            try:
                self._networks.remove(record["id"])
            except errors.Conflict:
                pass  # a container that joined in the same moment keeps it, and its removal comes here again

    def _remove_forgotten_network(self) -> None:
        """Remove what `network_mode: bridge` made for containers that went by themselves when they ended."""
        if self._networks.find(DEFAULT_NETWORK) is None:
            return
        try:
            with self.store.excluding(wait=False):
                self._remove_default_network()
        except BlockingIOError:
            pass  # a container is just being made, perhaps for this network: the next command comes here again

    def rename_container(self, id: str, name: str) -> None:
        id, meta = self._meta(id)
        holder = naming.take_name(self.paths, name, id)
        if holder is not None:
            raise errors.Conflict(f"the name '{name}' is in use by container {holder[:12]}")
        directory = self.paths.container(id)
        config = state.config_of(directory)
        config["composer"].update(name=name, names=[name, *config["composer"]["names"][1:]])
        files.write_json(f"{directory}/meta.json", {**meta, "name": name})
        files.write_json(f"{directory}/config.json", config)
        naming.free_name(self.paths, meta["name"], id)
        self._reload(id, meta)
        self._emit(meta["labels"], "container", "rename", id, name)

    def move_ports(self, source: str, target: str) -> None:
        source, _ = self._meta(source)
        target, meta = self._meta(target)
        self._client(meta).ask({"op": "move_ports", "id": target, "source": source})

    def wait_container(self, id: str) -> int | None:
        id, meta = self._meta(id)
        if not self._is_active(id):
            return self.container(id).exit_code
        answer = self._client(meta).ask({"op": "wait", "id": id})
        return None if answer.get("exit_code") is None else int(answer["exit_code"])

    def exec(self, id: str, spec: ExecSpec) -> Session:
        from composer.runtime.objects.session import ExecSession

        id, meta = self._meta(id)
        config = state.config_of(self.paths.container(id))
        process: dict[str, Any] = {**config["process"], "args": list(spec.command), "terminal": spec.tty}
        kept = [entry for entry in process["env"] if entry != config["composer"].get("term")]
        process["env"] = _merged(kept, spec.environment, tty=spec.tty)
        if spec.user:
            process["user"] = {**process["user"], "name": spec.user}
        if spec.working_dir:
            process["cwd"] = spec.working_dir
        if spec.privileged:
            from composer.runtime.container import capabilities

            process["capabilities"] = {"bounding": sorted(capabilities.resolve((), (), privileged=True))}
        request = {"op": "exec", "id": id, "process": process, "privileged": spec.privileged}
        return ExecSession(
            self._client(meta), request, tty=spec.tty, interactive=spec.interactive, detach=spec.detach
        )

    def write_path(self, id: str, path: str, archive: Iterable[bytes], *, to_user: bool = False) -> None:
        from composer.runtime.objects import inside

        id, meta = self._meta(id)
        directory = self.paths.container(id)
        config = state.config_of(directory)
        inside.write_path(directory, config, path, archive, to_user=to_user)
        self._emit(meta["labels"], "container", "extract-to-dir", id, meta["name"])

    def attach(self, id: str, *, stdin: bool = False, start: bool = False) -> Session:
        from composer.runtime.objects.attaching import AttachSession, lend_input, start_with_input

        id, meta = self._meta(id)
        if not start and not self._is_active(id):
            raise errors.Conflict(f"container '{meta['name']}' is not running")
        config = state.config_of(self.paths.container(id))
        wants_input = stdin or bool(config["process"].get("terminal"))

        def begin() -> tuple[int, bool]:
            if not start:
                return lend_input(self._client(meta), id) if wants_input else (-1, False)
            with self._starting(id) as (client, request):
                if wants_input:
                    return start_with_input(client, request)
                client.ask(request)
                return (-1, False)

        return AttachSession(
            self.paths.container(id),
            begin=begin,
            wait=lambda: self.wait_container(id),
            kill=lambda number: self.kill_container(id, number),
        )

    def pause_container(self, id: str) -> None:
        id, meta = self._meta(id)
        self._client(meta).ask({"op": "pause", "id": id})

    def unpause_container(self, id: str) -> None:
        id, meta = self._meta(id)
        self._client(meta).ask({"op": "unpause", "id": id})

    # -------------------------------------------------------------- images

    def pull_image(self, reference: str, *, progress: Callable[[str], None] | None = None) -> ObservedImage:
        image = self.store.pull(reference, self._puller_for_all(), progress)
        return observed_image(image)

    def resolve_image(self, reference: str) -> str:
        from composer.registry.reference import parse

        return self._puller_for_all().resolve(parse(reference))

    def _puller_for_all(self) -> Puller:
        """Return the one that all threads share, so that what several images have in common is fetched once."""
        with self._lock:
            if self._puller is None:
                self._puller = self.store.puller(self._environment)
            return self._puller

    def build_image(self, spec: BuildSpec, *, progress: Callable[[str], None] | None = None) -> ObservedImage:
        raise errors.BuildFailed(
            f"cannot build image '{spec.reference}': the built-in runtime does not build images yet",
            hint="build it elsewhere and import it with composer image load, or use --backend docker",
        )

    def push_image(self, reference: str, *, progress: Callable[[str], None] | None = None) -> None:
        raise errors.ImageError(
            f"cannot push image '{reference}': the built-in runtime does not push to registries yet",
            hint="composer image save, and push it with another tool",
        )

    def remove_image(self, reference: str, *, force: bool = False) -> None:
        found = self.store.find(reference)
        if found is None:
            raise errors.NotFound(f"no image '{reference}'")
        users = sorted(c.name for c in self._all() if c.image_id == found.id)
        if users and not force:
            raise errors.Conflict(
                f"image '{reference}' is in use by {', '.join(users)}", hint="remove these containers first"
            )
        self.store.remove(reference)

    def import_image(self, path: str, reference: str, config: Mapping[str, Any]) -> ObservedImage:
        state.sweep(self.paths)
        return observed_image(self.store.import_rootfs(path, reference, config))

    def commit_container(self, id: str, spec: CommitSpec) -> ObservedImage:
        from composer.runtime.objects import committing

        id, meta = self._meta(id)
        config = state.config_of(self.paths.container(id))
        is_running = self.container(id).state is ContainerState.RUNNING
        if is_running and spec.pause:
            self.pause_container(id)
        try:
            made = observed_image(committing.commit(self.store, config, meta, spec))
        finally:
            if is_running and spec.pause:
                self.unpause_container(id)
        self._emit(meta["labels"], "container", "commit", id, meta["name"])
        return made

    def load_images(self, path: str) -> Sequence[ObservedImage]:
        state.sweep(self.paths)
        return [observed_image(image) for image in self.store.load(path)]

    def tag_image(self, reference: str, name: str) -> None:
        self.store.tag(reference, name)

    def save_images(self, references: Sequence[str], path: str) -> None:
        self.store.save(references, path)

    def prune_images(self, *, unused: bool = False) -> tuple[Sequence[str], int]:
        state.sweep(self.paths)
        return self.store.prune(unused=unused)

    # -------------------------------------------------------------- the begin and the end of a command

    def recover(self, project: str) -> None:
        state.sweep(self.paths)
        self._filesystems.release(self._volumes_in_use)
        self._remove_ended(project)
        self._watch_over(project)
        self._remove_forgotten_network()
        self._recovered.add(project)  # its directory of run state goes at the end, when nobody is in there

    def _watch_over(self, project: str) -> None:
        """Start the supervisor where something is to run and nobody watches: after a reboot, for one."""
        if self._is_watched(project):
            return
        mine = (meta for meta in self._metas() if meta["project"] == project)
        active = next((meta for meta in mine if self._is_active(meta["id"])), None)
        if active is not None:
            self._client(active).ask({"op": "hello"})

    def _raise_for(self, project: str) -> None:
        """Recreate what a reboot removed and a supervisor cannot create: bridges and mounted file systems."""
        for meta in self._metas():
            if meta["project"] == project and self._is_active(meta["id"]):
                try:
                    self._raise_all(meta)
                except (errors.BackendError, OSError):
                    continue  # its start says what is missing; others may have all that they need

    def _raise_all(self, meta: Mapping[str, Any]) -> None:
        for _, network_id in meta["networks"]:
            self._networks.ensure_up(network_id)
        with self._filesystems.mounted(_volumes_of(meta)):
            pass  # it stays: the container counts as one that has it

    def _remove_ended(self, project: str) -> None:
        """Remove what was to go by itself, and ended when no supervisor was there to see it."""
        doomed = [meta for meta in self._metas() if meta["project"] == project and meta.get("auto_remove")]
        for meta in doomed:
            try:
                has_ended = self.container(meta["id"]).state is ContainerState.EXITED
            except errors.NotFound:
                continue  # a supervisor was there, and has removed it in this moment
            if has_ended:
                self.remove_container(meta["id"], force=True, volumes=True)

    def close(self) -> None:
        """Let go of the supervisors; wait for those that have nothing left to do, so that nothing stays behind."""
        with self._lock:
            for project, client in self._clients.items():
                client.close(wait=not self._has_active(project))
            for project in self._recovered.union(self._touched, self._clients):
                self._sweep_project(project)
            if self._clients:
                self._filesystems.release(self._volumes_in_use)
            self._clients.clear()
            if self._puller is not None:
                self._puller.close()
        if self._touched:
            self._clear_away()

    def _clear_away(self) -> None:
        """Wait for what goes by itself after a removal, and take away what the last container leaves."""
        from composer.runtime.container import cgroups
        from composer.runtime.objects import links

        state.sweep(self.paths)
        links.delete(links.wait_gone(self._doomed_links, _LINKS_GONE_S))
        self._doomed_links.clear()
        self._touched.clear()
        if not state.list_directory(self.paths.containers()):
            cgroups.remove_parents()

    def _sweep_project(self, project: str) -> None:
        directory, place = self.paths.project(project), self.paths.supervision(project)
        if os.path.exists(f"{directory}/control.sock") or not (
            os.path.isdir(directory) or os.path.isdir(place)
        ):
            return
        if not any(meta.get("project") == project for meta in self._metas()):
            state.sweep_run_state(self.paths, project)

    def _has_active(self, project: str) -> bool:
        return any(meta["project"] == project and self._is_active(meta["id"]) for meta in self._metas())

    def _volumes_in_use(self) -> set[str]:
        """Return the volumes that a container has which runs, or is prepared."""
        return {
            name
            for meta in self._metas()
            if self._is_active(meta["id"]) or self._is_prepared(meta["id"])
            for name in _volumes_of(meta)
        }

    # -------------------------------------------------------------- small things

    def _meta(self, id: str) -> tuple[str, dict[str, Any]]:
        full = naming.find_container(self.paths, id)
        meta = records.meta(self.paths.container(full))
        if meta is None:
            raise errors.NotFound(f"no container '{id}'")
        return full, meta

    def _is_active(self, id: str) -> bool:
        current = records.state(self.paths.container(id)) or {}
        return current.get("status") in status.ACTIVE

    def _is_prepared(self, id: str) -> bool:
        return bool((records.state(self.paths.container(id)) or {}).get("prepared"))

    def _client(self, meta: Mapping[str, Any]) -> Client:
        from composer.runtime.objects.client import Client

        project = str(meta["project"])
        with self._lock:
            if project not in self._clients:
                self._clients[project] = Client(self.paths, project, lambda: self._raise_for(project))
            return self._clients[project]

    def _emit(self, labels: Mapping[str, str], kind: str, action: str, id: str, name: str) -> None:
        from composer.runtime.objects.bundle import EVENT_LABELS

        project = labels.get(PROJECT_LABEL)
        if project:
            attributes = {key: labels[key] for key in EVENT_LABELS if key in labels}
            directory = self.paths.project(project)
            files.append_event(directory, kind, action, id, {"name": name, **attributes})


def _volumes_of(meta: Mapping[str, Any]) -> list[str]:
    return [mount["name"] for mount in meta["mounts"] if mount["type"] == "volume"]


def _merged(base: Sequence[str], extra: Sequence[str], *, tty: bool) -> list[str]:
    merged = dict(entry.partition("=")[::2] for entry in base)
    if tty:
        merged.setdefault("TERM", "xterm")
    for entry in extra:
        key, _, value = entry.partition("=")
        merged[key] = value
    return [f"{key}={value}" for key, value in merged.items()]


def _signal_number(name: str) -> int:
    number = signals.number(name)
    if number is None:
        raise errors.BackendError(f"'{name}' is not a signal", hint="use a name such as SIGTERM, or a number")
    return number
