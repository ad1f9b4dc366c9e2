"""Containers: made and removed here, run by the supervisor of their owner."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.runtime.base import making, records
from composer.runtime.objects import naming
from composer.runtime.objects.networks import DEFAULT_NETWORK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.runtime.base.record_types import Meta
    from composer.runtime.engine.core import Core
    from composer.runtime.objects import specs
    from composer.runtime.objects.attaching import AttachSession
    from composer.runtime.objects.client import Client
    from composer.runtime.objects.filesystems import Filesystems
    from composer.runtime.objects.session import ExecSession


class Containers:
    """The containers of a state directory."""

    def __init__(self, core: Core, filesystems: Filesystems) -> None:
        self._core, self._filesystems = core, filesystems

    # -------------------------------------------------------------- made and removed

    def create(self, spec: specs.Container) -> str:
        """Return the new container's id. Raises Conflict when the name is taken, NotFound without the image."""
        from composer.runtime.objects import bundle

        core = self._core
        with core.store.using():
            if spec.namespaces.get("network") == DEFAULT_NETWORK:
                self._make_default_network()
            image = core.store.find(spec.image_id or spec.image) or core.store.find(spec.image)
            if image is None:
                raise errors.NotFound(
                    f"no such image: {spec.image}",
                    hint="run composer pull, composer image load FILE, or composer image import FILE",
                )
            making.sweep(core.paths)
            id = bundle.create(core.paths, spec, image, core.networks, core.volumes, core.store)
        core.emit_of(spec.owner, bundle.event_of(spec, image), "container", "create", id, spec.name)
        return id

    def remove(self, id: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container, with its anonymous volumes where asked. Raises Conflict while it runs, without force."""
        from composer.runtime.network.endpoints import link_name

        core = self._core
        try:
            id, meta = core.meta(id)
        except errors.NotFound:
            return
        if core.is_active(id) and not force:
            raise errors.Conflict(
                f"container '{meta['name']}' is running", hint="stop it first, or force its removal"
            )
        if core.is_active(id) or core.is_prepared(id):
            try:
                core.ask(meta, {"op": "remove", "id": id})
            except errors.NotFound:
                return  # it ended in the same moment and was to be removed then
        core.aftermath.owners.add(str(meta["project"]))
        core.aftermath.links += [link_name(id, network_id) for _, network_id in meta["networks"]]
        core.aftermath.cgroups.append((id, records.cgroup_parent(core.paths.container(id))))
        naming.remove_container(core.paths, id)
        self._emit(meta, "destroy")
        if any(network == DEFAULT_NETWORK for network, _ in meta["networks"]):
            self._remove_default_network()
        if volumes:
            self._remove_anonymous(meta)

    def _remove_anonymous(self, meta: Mapping[str, Any]) -> None:
        for mount in meta["mounts"]:
            if mount.get("anonymous"):
                try:
                    self._core.volumes.remove(mount["name"])
                except errors.Conflict:
                    continue  # another container has come by it through `volumes_from`

    def _make_default_network(self) -> None:
        from composer.runtime.objects import specs

        self._core.networks.create(specs.Network(DEFAULT_NETWORK))

    def _remove_default_network(self) -> None:
        """Remove what the network mode ``bridge`` made, once no container is to be in it."""
        record = self._core.networks.find(DEFAULT_NETWORK)
        if record is None or record["labels"]:
            return
        joined = (network_id for meta in self._core.metas() for _, network_id in meta["networks"])
        if record["id"] not in joined:
            try:
                self._core.networks.remove(record["id"])
            except errors.Conflict:
                pass  # a container that joined in the same moment keeps it, and its removal comes here again

    def remove_forgotten_network(self) -> None:
        """Remove what the network mode ``bridge`` made for containers that went by themselves when they ended."""
        if self._core.networks.find(DEFAULT_NETWORK) is None:
            return
        try:
            with self._core.store.excluding(wait=False):
                self._remove_default_network()
        except BlockingIOError:
            pass  # a container is just being made, perhaps for this network: the next command comes here again

    def remove_ended(self, owner: str) -> None:
        """Remove what was to go by itself, and ended when no supervisor was there to see it.

        Raises Unsupported where a later version of composer has made a container of this owner's.
        """
        mine = [meta for meta in self._core.metas() if meta["project"] == owner]
        for meta in mine:
            records.refuse_later(meta, f"container '{meta['name']}'")
        for meta in [meta for meta in mine if meta["auto_remove"]]:
            try:
                look = self._core.look(meta, {})
            except errors.NotFound:
                continue  # a supervisor was there, and has removed it in this moment
            if look.status == "exited" and not _is_restarting(look.state):
                self.remove(meta["id"], force=True, volumes=True)

    def rename(self, id: str, name: str) -> None:
        with self._core.changing(id) as (id, meta):
            self._rename(id, meta, name)

    def _rename(self, id: str, meta: Meta, name: str) -> None:
        core = self._core
        naming.check_name(name, "container")
        naming.begin_renaming(core.paths, id, meta["name"], name)
        holder = naming.take_name(core.paths, name, id)
        if holder is not None:
            naming.settle_renaming(core.paths, id, meta["name"])
            raise errors.Conflict(f'container name "{name}" is already in use by container {holder[:12]}')
        directory = core.paths.container(id)
        config = core.config(id)
        extras = records.extras(config)
        extras["name"], extras["names"] = name, [name, *extras["names"][1:]]
        records.write_meta(directory, {**meta, "name": name})
        records.write_config(directory, config)
        naming.settle_renaming(core.paths, id, name)
        self.reload(id, meta)
        about = {**meta["event"], "oldName": f"/{meta['name']}"}
        core.emit_of(str(meta["project"]), about, "container", "rename", id, name)

    def update(
        self, id: str, *, resources: Mapping[str, Any] | None = None, restart: Mapping[str, Any] | None = None
    ) -> list[str]:
        """Change limits, of a running container at once, and the restart policy; return what this kernel cannot do.

        ``resources`` is OCI's `linux.resources`: what it does not name stays as it is. ``restart`` has a ``policy``
        and a ``maximum`` of retries, as in a configuration. Raises NotFound, Conflict, and BackendError where the
        kernel refuses a value: then nothing has changed.
        """
        with self._core.changing(id) as (id, meta):
            return self._update(id, meta, resources or {}, restart)

    def _update(
        self, id: str, meta: Meta, resources: Mapping[str, Any], restart: Mapping[str, Any] | None
    ) -> list[str]:
        from composer.runtime.engine import updating

        core = self._core
        directory, before = core.paths.container(id), core.config(id)
        after = updating.changed(before, meta, resources, restart)
        records.write_config(directory, after)
        try:
            self.reload(id, meta, op="update")
            warnings = updating.apply(before, after, id, resources) if core.pid(id) is not None else []
        except BaseException:
            records.write_config(directory, before)
            with contextlib.suppress(errors.BackendError):  # the first failure is what is told
                self.reload(id, meta)
            raise
        self._emit(meta, "update")
        return warnings

    def reload(self, id: str, meta: Mapping[str, Any], *, op: str = "reload") -> None:
        """Let the supervisor, where there is one, read a container's configuration again: it may know it."""
        if os.path.exists(f"{self._core.paths.project(str(meta['project']))}/control.sock"):
            self._core.ask(meta, {"op": op, "id": id})

    # -------------------------------------------------------------- started and stopped

    def start(self, id: str) -> None:
        """Return when the command has been executed. Raises StartFailed when it could not be."""
        with self.starting(id) as (client, request):
            client.ask(request)

    def prepare(self, id: str) -> None:
        """Do now what nobody can notice of a start."""
        with self.starting(id) as (client, request):
            client.ask({**request, "op": "prepare"})

    def unprepare(self, id: str) -> None:
        id, meta = self._core.meta(id)
        if self._core.is_prepared(id):
            self._core.ask(meta, {"op": "unprepare", "id": id})

    @contextlib.contextmanager
    def starting(self, id: str) -> Iterator[tuple[Client, dict[str, Any]]]:
        """Yield the client and the request of a start, once everything that the start needs exists."""
        core = self._core
        id, meta = core.meta(id)
        for _, network_id in meta["networks"]:
            core.networks.ensure_up(network_id)
        with core.holding(meta), self._filesystems.mounted(volumes_of(meta)):
            seen_ns = (records.state(core.paths.container(id)) or {}).get("started_ns", 0)
            yield core.client(str(meta["project"])), {"op": "start", "id": id, "seen_ns": seen_ns}

    def restart(self, id: str, *, timeout_s: float | None = None, signal: str = "") -> None:
        """Stop a container where it runs, and start it; one that is to go when it ends does not go by that."""
        self.stop(id, timeout_s=timeout_s, signal=signal, keeps=True)
        self.start(id)

    def stop(self, id: str, *, timeout_s: float | None = None, signal: str = "", keeps: bool = False) -> None:
        """Send the stop signal, and SIGKILL after the grace period; return when it has exited.

        ``signal`` is sent instead of the container's own. With ``keeps`` it stays, also where it is to go by itself
        when it has ended: whoever says so starts it again at once.
        """
        id, meta = self._core.meta(id)
        number = _signal_number(signal) if signal else None
        if self._core.is_active(id):
            request = {"op": "stop", "id": id, "timeout_s": timeout_s, "signal": number, "keeps": keeps}
            self._core.ask(meta, request)

    def kill(self, id: str, signal: str) -> None:
        id, meta = self._core.meta(id)
        self._core.ask(meta, {"op": "kill", "id": id, "signal": _signal_number(signal)})

    def pause(self, id: str) -> None:
        id, meta = self._core.meta(id)
        self._core.ask(meta, {"op": "pause", "id": id})

    def unpause(self, id: str) -> None:
        id, meta = self._core.meta(id)
        self._core.ask(meta, {"op": "unpause", "id": id})

    @contextlib.contextmanager
    def paused(self, id: str) -> Iterator[None]:
        """Have a container that runs stand still for a while. It goes on when we are killed, too."""
        from composer.runtime.objects.client import SupervisorLost

        id, meta = self._core.meta(id)
        with self._core.client(str(meta["project"])).exchanging() as ask:
            ask({"op": "pause", "id": id, "tied": True})
            try:
                yield
            finally:
                try:
                    ask({"op": "unpause", "id": id})
                except SupervisorLost:
                    self.unpause(id)  # the next one, which does not know of us

    def wait(self, id: str, *, until: int = -1) -> int | None:
        """Return the exit code once the container is not running (at once when it is not); None if unknown.

        Raises Abandoned when the descriptor ``until`` can be read before.
        """
        core = self._core
        id, meta = core.meta(id)
        if not core.is_active(id):
            code = core.look(meta, {}).state.get("exit_code")
        else:
            code = core.ask(meta, {"op": "wait", "id": id}, until=until).get("exit_code")
        return None if code is None else int(code)

    def move_ports(self, source: str, target: str) -> None:
        """Lead the published ports of ``source`` to ``target``, which was created with ``takes_over``."""
        source, _ = self._core.meta(source)
        target, meta = self._core.meta(target)
        self._core.ask(meta, {"op": "move_ports", "id": target, "source": source})

    # -------------------------------------------------------------- entered

    def exec(self, id: str, spec: specs.Exec) -> ExecSession:
        from composer.runtime.objects.session import ExecSession

        core = self._core
        id, meta = core.meta(id)
        config = core.config(id)
        process: dict[str, Any] = {**config["process"], "args": list(spec.command), "terminal": spec.tty}
        kept = [entry for entry in process["env"] if entry != records.extras(config).get("term")]
        process["env"] = _merged(kept, spec.environment, tty=spec.tty)
        if spec.user:
            process["user"] = {**process["user"], "name": spec.user}
        if spec.working_dir:
            process["cwd"] = spec.working_dir
        if spec.privileged:
            from composer.runtime.base import capabilities

            process["capabilities"] = {"bounding": sorted(capabilities.resolve((), (), privileged=True))}
        request = {"op": "exec", "id": id, "process": process, "privileged": spec.privileged}
        client = core.client(str(meta["project"]))
        return ExecSession(client, request, tty=spec.tty, interactive=spec.interactive, detach=spec.detach)

    def attach(self, id: str, *, stdin: bool = False, start: bool = False) -> AttachSession:
        """Return the output of a container's own command from now on, and with ``stdin`` its input."""
        from composer.runtime.objects.attaching import AttachSession, lend_input, start_with_input

        core = self._core
        id, meta = core.meta(id)
        if not start and not core.is_active(id):
            raise errors.Conflict(f"container '{meta['name']}' is not running")
        wants_input = stdin or bool(core.config(id)["process"].get("terminal"))

        def begin() -> tuple[int, bool]:
            if not start:
                return lend_input(core.client(str(meta["project"])), id) if wants_input else (-1, False)
            with self.starting(id) as (client, request):
                if wants_input:
                    return start_with_input(client, request)
                client.ask(request)
                return (-1, False)

        return AttachSession(
            core.paths.container(id),
            begin=begin,
            wait=lambda until: self.wait(id, until=until),
            kill=lambda number: self.kill(id, number),
        )

    # -------------------------------------------------------------- who uses what

    def volumes_in_use(self) -> set[str]:
        """Return the volumes that a container has which runs, or is prepared."""
        return {
            name
            for meta in self._core.metas()
            if self._core.is_active(meta["id"]) or self._core.is_prepared(meta["id"])
            for name in volumes_of(meta)
        }

    def has_active(self, owner: str) -> bool:
        return any(
            meta["project"] == owner and self._core.is_active(meta["id"]) for meta in self._core.metas()
        )

    def _emit(self, meta: Mapping[str, Any], action: str) -> None:
        self._core.emit(meta, "container", action, meta["id"])


def _is_restarting(state: Mapping[str, Any]) -> bool:
    """Tell whether a container was stopped only to be started again, and whoever does it may still be about it."""
    ended_ns = int(state.get("finished_ns") or 0)
    return bool(state.get("kept")) and time.time_ns() - ended_ns < _RESTART_S * 1e9


_RESTART_S = 60.0
"""How long a start may wait for its turn. After that, whoever was to do it was killed."""


def volumes_of(meta: Mapping[str, Any]) -> list[str]:
    """Return the names of the volumes that a container mounts."""
    return [mount["name"] for mount in meta["mounts"] if mount["type"] == "volume"]


def _merged(base: list[str], extra: Any, *, tty: bool) -> list[str]:
    merged = dict(entry.partition("=")[::2] for entry in base)
    if tty:
        merged.setdefault("TERM", "xterm")
    for entry in extra:
        key, _, value = entry.partition("=")
        merged[key] = value
    return [f"{key}={value}" for key, value in merged.items()]


def _signal_number(name: str) -> int:
    from composer.runtime.base import signals

    number = signals.number(name)
    if number is None:
        raise errors.BackendError(f"invalid signal '{name}'", hint="use a name such as SIGTERM, or a number")
    return number
