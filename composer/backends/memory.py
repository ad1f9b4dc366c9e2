"""A complete backend in memory: what the engine's tests run against, and what users' tests can.

It behaves as Docker does where the engine can tell: states, health, restart policies, events, logs, ports that
collide, names that are taken. What a container would do by itself is scripted with `Behaviour`; what a backend
can fail at is injected with `fail`. Nothing sleeps. Safe to use from several threads.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from composer.backends.memory_files import Files
from composer.backends.memory_images import Images
from composer.backends.memory_networks import Networks
from composer.backends.memory_parts import (
    TERMINATED,
    Container,
    EventStream,
    LogStream,
    Session,
    has_healthcheck,
    publish,
    restarts,
)
from composer.backends.memory_parts import Behaviour as Behaviour
from composer.engine.inspected import Settings
from composer.engine.lacking import Lacking
from composer.engine.observed import (
    ACTIVE,
    Capability,
    ContainerState,
    Event,
    Health,
    LogPiece,
    Observed,
    ObservedContainer,
    ObservedImage,
    ObservedMount,
    ObservedNetwork,
    ObservedVolume,
    Probe,
)
from composer.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from composer.engine.wanted import (
        ContainerSpec,
        ExecSpec,
        LabelFilter,
        Limitation,
        NetworkSpec,
        VolumeSpec,
    )

_PROJECT = "com.docker.compose.project"
_HOOK = "com.docker.compose.hook"
_SERVICE = "com.docker.compose.service"
_ANONYMOUS = "com.docker.volume.anonymous"
_KILLED = 137

_MOVES: dict[ContainerState, frozenset[ContainerState]] = {
    ContainerState.CREATED: frozenset((ContainerState.RUNNING,)),
    ContainerState.RUNNING: frozenset(
        (ContainerState.EXITED, ContainerState.RESTARTING, ContainerState.PAUSED)
    ),
    ContainerState.RESTARTING: frozenset((ContainerState.RUNNING, ContainerState.EXITED)),
    ContainerState.PAUSED: frozenset((ContainerState.RUNNING, ContainerState.EXITED)),
    ContainerState.EXITED: frozenset((ContainerState.RUNNING,)),
}


class MemoryBackend(Images, Networks, Files, Lacking):
    """See the module. ``calls`` records every effect as (method, name), in order."""

    name = "memory"
    capabilities = frozenset({Capability.MOVES_PORTS, Capability.OWNS_FILES, Capability.REACHES_TMPFS})

    def __init__(
        self,
        *,
        images: Sequence[str] = (),
        registry: Sequence[str] | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.calls: list[tuple[str, str]] = []
        self.log: list[Event] = []
        self.commits = []
        self._clock = clock
        self._made: dict[tuple[str, str], int] = {}
        self._registry = None if registry is None else frozenset(registry)
        self.by_id: dict[str, Container] = {}
        self._networks: dict[str, tuple[ObservedNetwork, NetworkSpec]] = {}
        self._volumes: dict[str, ObservedVolume] = {}
        self._images: dict[str, ObservedImage] = {}
        self._untagged: dict[str, ObservedImage] = {}
        self._behaviours: dict[str, Behaviour] = {}
        self._faults: dict[str, tuple[str, ...]] = {}
        self._limitations: Callable[[Mapping[str, Any]], Sequence[Limitation]] = lambda _: ()
        self._failures: dict[tuple[str, str], deque[Exception]] = {}
        for reference in images:
            self.add_image(reference)

    # ------------------------------------------------------------- scripting

    def behave(self, service: str, behaviour: Behaviour) -> None:
        """Script the containers of a service."""
        self._behaviours[service] = behaviour

    def fail(self, method: str, name: str, error: Exception) -> None:
        """Make the next call of ``method`` on the object called ``name`` raise; several are raised in order."""
        self._failures.setdefault((method, name), deque()).append(error)

    def limit(self, limitations: Callable[[Mapping[str, Any]], Sequence[Limitation]]) -> None:
        """Answer `limitations` with this function."""
        self._limitations = limitations

    def set_health(self, container: str, health: Health, output: str = "") -> None:
        """Let a health check come to a result, with one probe."""
        with self.changed:
            found = self._find(container)
            now = self._clock()
            found.probes.append(Probe(now, now, 0 if health is Health.HEALTHY else 1, output))
            found.seen = found.seen._replace(health=health)
            self._emit("container", "health_status", found, health_status=health.value)

    def end(self, container: str, exit_code: int | None) -> None:
        """Let the command of a running container end by itself; None: with a code that nobody saw."""
        with self.changed:
            found = self._find(container)
            self._exit(found, exit_code, by_us=False)

    def write(self, container: str, text: str, stream: str = "stdout") -> None:
        """Let a container write a line."""
        with self.changed:
            found = self._find(container)
            found.lines.append(LogPiece(found.seen.id, self._clock(), stream, text.encode() + b"\n"))
            self.changed.notify_all()

    # ------------------------------------------------------------- inside

    def _new_id(self, kind: str, name: str) -> str:
        # By what it is for, not by a common count: which thread comes first must not show.
        self._made[kind, name] = number = self._made.get((kind, name), 0) + 1
        import hashlib

        return hashlib.sha256(f"{kind} {number} {name}".encode()).hexdigest()

    def _called(self, method: str, name: str) -> None:
        self.calls.append((method, name))
        pending = self._failures.get((method, name))
        if pending:
            raise pending.popleft()

    def _find(self, id: str) -> Container:
        found = self.by_id.get(id)
        if found is None:
            matches = [
                c
                for c in self.by_id.values()
                if c.seen.name == id or (len(id) >= 12 and c.seen.id.startswith(id))
            ]
            if not matches:
                raise NotFound(f"no such container: {id}")
            found = matches[0]
        return found

    def _emit(self, kind: str, action: str, about: Container | str, **attributes: str) -> None:
        if isinstance(about, Container):
            all_attributes = {**about.seen.labels, "name": about.seen.name, **attributes}
            id = about.seen.id
        else:
            all_attributes, id = {"name": about, **attributes}, about
        self.log.append(Event(self._clock(), kind, action, id, all_attributes))
        self.changed.notify_all()

    def _behaviour(self, container: Container) -> Behaviour:
        if _HOOK in container.spec.labels:
            # what a hook is for is to end: scripted as ``behave("web/pre_start", …)``
            return self._behaviours.get(f"{container.spec.service}/pre_start", Behaviour(exits=(0,)))
        return self._behaviours.get(container.spec.service, Behaviour())

    def _move(self, container: Container, state: ContainerState, **fields: Any) -> None:
        """Change the state; the only place that does."""
        if state not in _MOVES.get(container.seen.state, frozenset()):
            raise Conflict(
                f"container '{container.seen.name}' cannot change to {state.value} "
                f"while it is {container.seen.state.value}"
            )
        container.seen = container.seen._replace(state=state, **fields)

    def _run(self, container: Container) -> None:
        """Enter the next run, and leave it again where the script says so."""
        behaviour = self._behaviour(container)
        now = self._clock()
        health = Health.STARTING if has_healthcheck(container.spec, self._images) else Health.NONE
        self._move(
            container,
            ContainerState.RUNNING,
            started_ns=now,
            finished_ns=0,
            exit_code=None,
            exit_unknown=False,
            health=health,
            ports=publish(container, self.by_id.values()),
        )
        container.runs += 1
        self._emit("container", "start", container)
        for line in behaviour.output:
            self.write(container.seen.id, line)
        if health is Health.STARTING:
            for result in behaviour.health:
                self.set_health(container.seen.id, result)
        code = behaviour.exits[min(container.runs, len(behaviour.exits)) - 1]
        if code is not None:
            self._exit(container, code, by_us=False)

    def _exit(self, container: Container, code: int | None, *, by_us: bool, keeps: bool = False) -> None:
        again = not by_us and restarts(container, code)
        state = ContainerState.RESTARTING if again else ContainerState.EXITED
        unknown = code is None
        self._move(
            container, state, exit_code=code, exit_unknown=unknown, finished_ns=self._clock(), ports=()
        )
        exit_code = "" if code is None else str(code)
        self._emit("container", "die", container, exitCode=exit_code, willRestart=str(again).lower())
        exits = self._behaviour(container).exits
        if again:
            container.seen = container.seen._replace(restarts=container.seen.restarts + 1)
            # a run that would end like the last one is what a back-off looks like from outside
            if container.runs < len(exits) or exits[-1] is None:
                self._run(container)
        elif container.spec.auto_remove and not keeps:
            self._drop(container, volumes=True)

    # ------------------------------------------------------------- Observer

    def observe(self, project: str) -> Observed:
        with self.changed:
            return Observed(
                tuple(c.seen for c in self.by_id.values() if c.seen.labels.get(_PROJECT) == project),
                tuple(n for n, _ in self._networks.values() if n.labels.get(_PROJECT) == project),
                tuple(v for v in self._volumes.values() if v.labels.get(_PROJECT) == project),
            )

    def holds(self, project: str) -> bool:
        seen = self.observe(project)
        return bool(seen.containers or seen.volumes)

    def runs(self, project: str) -> bool:
        return any(one.state in ACTIVE for one in self.observe(project).containers)

    def projects(self) -> Sequence[ObservedContainer]:
        with self.changed:
            return [c.seen for c in self.by_id.values() if _PROJECT in c.seen.labels]

    def containers(self) -> Sequence[ObservedContainer]:
        with self.changed:
            return [c.seen for c in self.by_id.values()]

    def container(self, id: str) -> ObservedContainer:
        with self.changed:
            return self._find(id).seen

    def find_volume(self, name: str) -> ObservedVolume | None:
        return self._volumes.get(name)

    def volumes(self) -> Sequence[ObservedVolume]:
        with self.changed:
            return list(self._volumes.values())

    def settings(self, id: str) -> Settings:
        with self.changed:
            given = self._find(id).spec.attributes
        return Settings(
            environment=dict(given.get("environment") or {}),
            healthcheck=dict(given.get("healthcheck") or {}),
            user=str(given.get("user") or ""),
            restart=str(given.get("restart") or ""),
        )

    def probes(self, id: str) -> Sequence[Probe]:
        with self.changed:
            return list(self._find(id).probes[-5:])

    def limitations(self, attributes: Mapping[str, Any]) -> Sequence[Limitation]:
        return self._limitations(attributes)

    def network_limitations(self, attributes: Mapping[str, Any]) -> Sequence[Limitation]:
        return ()

    def logs(
        self,
        ids: Sequence[str],
        *,
        follow: bool = False,
        since_ns: int = 0,
        until_ns: int | None = None,
        tail: int | None = None,
    ) -> LogStream:
        with self.changed:
            return LogStream(self, [self._find(id) for id in ids], follow, since_ns, until_ns, tail)

    def events(
        self, project: str | None = None, *, since_ns: int | None = None, until_ns: int | None = None
    ) -> EventStream:
        with self.changed:
            return EventStream(self, project, since_ns, until_ns)

    # ------------------------------------------------------------- networks, volumes, images

    def create_volume(self, spec: VolumeSpec) -> str:
        with self.changed:
            self._called("create_volume", spec.name)
            found = self._volumes.get(spec.name)
            if found is None:
                driver = spec.attributes.get("driver") or "local"
                self._volumes[spec.name] = ObservedVolume(spec.name, dict(spec.labels), driver)
                self._emit("volume", "create", spec.name)
            elif dict(found.labels) != dict(spec.labels):
                raise Conflict(f"volume '{spec.name}' already exists")
            return spec.name

    def remove_volume(self, name: str) -> None:
        with self.changed:
            self._called("remove_volume", name)
            users = [c.seen.name for c in self.by_id.values() if any(m.name == name for m in c.seen.mounts)]
            if users:
                raise Conflict(f"volume '{name}' is in use by container '{users[0]}'")
            if self._volumes.pop(name, None):
                self._emit("volume", "destroy", name)

    def prune_volumes(
        self, labels: Sequence[LabelFilter], *, everything: bool = False
    ) -> tuple[Sequence[str], int]:
        with self.changed:
            used = {m.name for c in self.by_id.values() for m in c.seen.mounts}
            found = [v for v in self._volumes.values() if v.name not in used]
            found = [v for v in found if everything or _ANONYMOUS in v.labels]
            gone = [v.name for v in found if all(label.matches(v.labels) for label in labels)]
            for name in gone:
                self.remove_volume(name)
            return gone, 0

    # ------------------------------------------------------------- containers

    def create_container(self, spec: ContainerSpec) -> str:
        with self.changed:
            self._called("create_container", spec.name)
            taken = next((c for c in self.by_id.values() if c.seen.name == spec.name), None)
            if taken is not None:
                if dict(taken.seen.labels) == dict(spec.labels):
                    return taken.seen.id
                raise Conflict(
                    f'container name "{spec.name}" is already in use by container {taken.seen.id[:12]}'
                )
            image = self.find_image(spec.image_id or spec.image)
            if image is None:
                raise NotFound(f"no such image: {spec.image}")
            if spec.network_mode and spec.network_mode.startswith("container:"):
                self._find(spec.network_mode.partition(":")[2])
            container = self._new_container(spec, image)
            self.by_id[container.seen.id] = container
            self._emit("container", "create", container)
            return container.seen.id

    def _new_container(self, spec: ContainerSpec, image: ObservedImage) -> Container:
        mounts = [self._mount(spec.name, m.type, m.source, m.target, m.read_only) for m in spec.mounts]
        targets = {m.target for m in mounts}
        mounts += [
            self._mount(spec.name, "volume", None, target, False)
            for target in image.volumes
            if target not in targets
        ]
        command = spec.attributes.get("command") or ()
        seen = ObservedContainer(
            id=self._new_id("container", spec.name),
            name=spec.name,
            labels=dict(spec.labels),
            state=ContainerState.CREATED,
            image=spec.image,
            image_id=image.id,
            created_ns=self._clock(),
            command=tuple(command.split() if isinstance(command, str) else command),
            endpoints=tuple(self._join(spec.name, endpoint) for endpoint in spec.endpoints),
            mounts=tuple(mounts),
        )
        return Container(spec, seen)

    def _mount(
        self, owner: str, kind: str, source: str | None, target: str, read_only: bool
    ) -> ObservedMount:
        if kind != "volume":
            return ObservedMount(kind, target, source=source or "", read_only=read_only)
        name = source or self._new_id("volume", f"{owner}:{target}")
        if name not in self._volumes:
            self._volumes[name] = ObservedVolume(name, {_ANONYMOUS: ""} if source is None else {})
        return ObservedMount(kind, target, name=name, source=f"/volumes/{name}", read_only=read_only)

    def start_container(self, id: str) -> None:
        with self.changed:
            container = self._find(id)
            self._called("start_container", container.seen.name)
            if container.seen.state is ContainerState.RUNNING:
                return
            error = self._behaviour(container).start_error
            if error is not None:
                container.seen = container.seen._replace(error=str(error), exit_code=error.exit_code)
                raise error
            self._run(container)

    def stop_container(self, id: str, *, timeout_s: float | None = None, signal: str = "") -> None:
        self._stop(id, timeout_s)

    def restart_container(self, id: str, *, timeout_s: float | None = None, signal: str = "") -> None:
        self._stop(id, timeout_s, keeps=True)
        self.start_container(id)

    def _stop(self, id: str, timeout_s: float | None, *, keeps: bool = False) -> None:
        with self.changed:
            container = self._find(id)
            self._called("stop_container", container.seen.name)
            if container.seen.state in (
                ContainerState.RUNNING,
                ContainerState.RESTARTING,
                ContainerState.PAUSED,
            ):
                code = _KILLED if timeout_s == 0 else self._behaviour(container).stop_code
                self._exit(container, code, by_us=True, keeps=keeps)
                self._emit("container", "stop", container)

    def kill_container(self, id: str, signal: str) -> None:
        with self.changed:
            container = self._find(id)
            self._called("kill_container", container.seen.name)
            if container.seen.state not in (ContainerState.RUNNING, ContainerState.PAUSED):
                raise Conflict(f"container '{container.seen.name}' is not running")
            self._emit("container", "kill", container, signal=signal)
            code = {"SIGKILL": _KILLED, "KILL": _KILLED, "9": _KILLED}.get(signal)
            if code or signal.removeprefix("SIG") in ("TERM", "INT", "QUIT"):
                self._exit(container, code or TERMINATED, by_us=True)

    def remove_container(self, id: str, *, force: bool = False, volumes: bool = False) -> None:
        with self.changed:
            try:
                container = self._find(id)
            except NotFound:
                return
            self._called("remove_container", container.seen.name)
            if container.seen.state in (ContainerState.RUNNING, ContainerState.PAUSED):
                if not force:
                    raise Conflict(f"container '{container.seen.name}' is running")
                self._exit(container, _KILLED, by_us=True)
            self._drop(container, volumes=volumes)

    def _drop(self, container: Container, *, volumes: bool) -> None:
        if self.by_id.pop(container.seen.id, None) is None:
            return  # it went by itself when it ended
        if volumes:
            in_use = {m.name for c in self.by_id.values() for m in c.seen.mounts}
            for name in {m.name for m in container.seen.mounts} - in_use:
                if name in self._volumes and _ANONYMOUS in self._volumes[name].labels:
                    del self._volumes[name]
        self._emit("container", "destroy", container)

    def update_container(self, id: str, attributes: Mapping[str, Any]) -> Sequence[str]:
        with self.changed:
            container = self._find(id)
            self._called("update_container", container.seen.name)
            changed = {**container.spec.attributes, **attributes}
            container.spec = container.spec._replace(attributes=changed)
            self._emit("container", "update", container)
            return ()

    def rename_container(self, id: str, name: str) -> None:
        with self.changed:
            container = self._find(id)
            self._called("rename_container", container.seen.name)
            if any(c.seen.name == name and c is not container for c in self.by_id.values()):
                raise Conflict(f'container name "{name}" is already in use')
            container.seen = container.seen._replace(name=name)
            self._emit("container", "rename", container)

    def move_ports(self, source: str, target: str) -> None:
        with self.changed:
            old, new = self._find(source), self._find(target)
            self._called("move_ports", new.seen.name)
            new.spec = new.spec._replace(takes_over="")
            published = tuple(port for port in old.seen.ports if port.host_port)
            old.seen = old.seen._replace(ports=tuple(p for p in old.seen.ports if not p.host_port))
            new.seen = new.seen._replace(ports=(*new.seen.ports, *published))

    def wait_container(self, id: str) -> int | None:
        with self.changed:
            container = self._find(id)
            alive = (ContainerState.RUNNING, ContainerState.RESTARTING, ContainerState.PAUSED)
            self.changed.wait_for(lambda: container.seen.state not in alive)
            return container.seen.exit_code

    def exec(self, id: str, spec: ExecSpec) -> Session:
        with self.changed:
            container = self._find(id)
            self._called("exec", container.seen.name)
            if container.seen.state is not ContainerState.RUNNING:
                raise Conflict(f"container '{container.seen.name}' is not running")
            script = self._behaviour(container).exec
        code, output = script(spec) if script else (0, b"")
        return Session(code, output)

    def pause_container(self, id: str) -> None:
        with self.changed:
            container = self._find(id)
            self._called("pause_container", container.seen.name)
            if container.seen.state is not ContainerState.PAUSED:
                self._move(container, ContainerState.PAUSED)
                self._emit("container", "pause", container)

    def unpause_container(self, id: str) -> None:
        with self.changed:
            container = self._find(id)
            self._called("unpause_container", container.seen.name)
            if container.seen.state is ContainerState.PAUSED:
                self._move(container, ContainerState.RUNNING)
                self._emit("container", "unpause", container)

    def attach(self, id: str, *, stdin: bool = False, start: bool = False) -> Session:
        if start:
            self.start_container(id)
        with self.changed:
            container = self._find(id)
            self._called("attach", container.seen.name)
            if not start and container.seen.state is not ContainerState.RUNNING:
                raise Conflict(f"container '{container.seen.name}' is not running")
            output = b"".join(line.data for line in container.lines) if start else b""
        return Session(self.wait_container(container.seen.id) or 0, output)

    def recover(self, project: str) -> None:
        """Nothing of a command outlives it here."""

    def rest(self) -> None:
        """Nothing is kept for the next call."""

    def close(self) -> None:
        """Wake up whoever waits; there is nothing else to release."""
        with self.changed:
            self.changed.notify_all()


def connect(environment: Mapping[str, str]) -> MemoryBackend:
    """Return an empty backend; ``environment`` is what every backend gets, and is not used."""
    return MemoryBackend()
