"""What the engine needs of a backend: the protocols. The values that cross the border are in `wanted` and `observed`.

A backend is two protocols. `Observer` reads and cannot change anything; a plan is made with nothing else.
`Backend` adds the effects. Both speak of resolved things: real names of networks and volumes, absolute paths,
contents of secrets. A backend never sees a compose file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from composer.engine.facts import Handling, Inspection

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from composer.engine.observed import (
        Event,
        LogLine,
        Observed,
        ObservedContainer,
        ObservedImage,
        ObservedNetwork,
        ObservedVolume,
        Probe,
    )
    from composer.engine.wanted import (
        BuildSpec,
        ContainerSpec,
        EndpointSpec,
        ExecSpec,
        Limitation,
        NetworkSpec,
        VolumeSpec,
    )


class LogStream(Protocol):
    """Lines merged by time. Iterating ends at the end, or soon after ``close()``, from any thread."""

    def __iter__(self) -> Iterator[LogLine]: ...
    def close(self) -> None: ...


class EventStream(Protocol):
    """Events from the moment that `Observer.events` returned: what happens after that is never missed."""

    def next(self, timeout_s: float | None) -> Event | None:
        """Return the next event; None when ``timeout_s`` has passed, at the end, or after ``close()``."""
        ...

    def close(self) -> None: ...


class Session(Protocol):
    """A command that runs with its input and output here (exec, attach).

    With ``tty`` all output is on ``stdout``. ``read`` blocks; it returns None at the end of all output.
    """

    @property
    def tty(self) -> bool: ...

    def fileno(self) -> int:
        """Return a descriptor that is readable when ``read`` would not block."""
        ...

    def read(self) -> tuple[str, bytes] | None: ...
    def write(self, data: bytes) -> None: ...
    def close_stdin(self) -> None: ...
    def resize(self, rows: int, columns: int) -> None: ...
    def signal(self, number: int) -> None: ...
    def wait(self) -> int:
        """Return the exit code, once the command has ended."""
        ...

    def close(self) -> None: ...


class Observer(Inspection, Protocol):
    """The half of a backend that cannot change anything."""

    name: str
    moves_ports: bool
    """Whether `Backend.move_ports` can be: a published port passes from one running container to another."""

    def observe(self, project: str) -> Observed: ...

    def holds(self, project: str) -> bool:
        """Tell whether a project has a container or a volume here; cheaper than to observe it."""
        ...

    def projects(self) -> Sequence[ObservedContainer]:
        """Return every container that carries a project label, of all projects."""
        ...

    def container(self, id: str) -> ObservedContainer:
        """Return one container by id or name. Raises NotFound."""
        ...

    def find_network(self, name: str) -> ObservedNetwork | None: ...
    def find_volume(self, name: str) -> ObservedVolume | None: ...
    def find_image(self, reference: str) -> ObservedImage | None: ...
    def images(self) -> Sequence[ObservedImage]: ...
    def networks(self) -> Sequence[ObservedNetwork]: ...
    def volumes(self) -> Sequence[ObservedVolume]: ...

    def network_faults(self, ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Return, by network id, what others took away of networks that containers run in: links, rules, addresses."""
        ...

    def probes(self, id: str) -> Sequence[Probe]:
        """Return the last runs of a container's health check, oldest first."""
        ...

    def limitations(self, attributes: Mapping[str, Any]) -> Sequence[Limitation]:
        """Return what this backend would not honour of a service's canonical attributes."""
        ...

    def network_limitations(self, attributes: Mapping[str, Any]) -> Sequence[Limitation]:
        """Return the same of a network's. Paths are relative to the network."""
        ...

    def logs(
        self,
        ids: Sequence[str],
        *,
        follow: bool = False,
        since_ns: int = 0,
        until_ns: int | None = None,
        tail: int | None = None,
    ) -> LogStream:
        """Return the output of containers. ``tail`` counts lines per container.

        With ``follow`` the stream goes on over restarts and ends when every container has been removed, or
        when all have stopped for good.
        """
        ...

    def events(
        self, project: str | None = None, *, since_ns: int | None = None, until_ns: int | None = None
    ) -> EventStream:
        """Return what happens from now on; with ``since_ns`` also what has, as far back as the backend knows.

        With ``until_ns`` the stream ends at that time, which may be past.
        """
        ...


class Backend(Observer, Handling, Protocol):
    """The half that changes things.

    Every step is safe to repeat: creating what is there with the same labels returns it, removing what is gone
    does nothing. Methods are called from several threads at once, never two for the same object.
    """

    def recover(self, project: str) -> None:
        """Take away what killed commands left half made or half removed, where nothing that is observed shows it.

        Called by whoever has the project's lock, before it looks.
        """
        ...

    def create_network(self, spec: NetworkSpec) -> str: ...
    def remove_network(self, id: str) -> None: ...
    def mend_network(self, id: str) -> None:
        """Put back what `network_faults` names, under the containers that run in it."""
        ...

    def connect_network(self, id: str, endpoint: EndpointSpec) -> None: ...
    def disconnect_network(self, id: str, network: str) -> None: ...
    def create_volume(self, spec: VolumeSpec) -> str: ...
    def remove_volume(self, name: str) -> None: ...

    def create_container(self, spec: ContainerSpec) -> str:
        """Return the new container's id. Raises Conflict when the name is taken by another."""
        ...

    def start_container(self, id: str) -> None:
        """Return when the command has been executed. Raises StartFailed when it could not be."""
        ...

    def stop_container(self, id: str, *, timeout_s: float | None = None) -> None:
        """Send the stop signal, and SIGKILL after the grace period; return when it has exited."""
        ...

    def kill_container(self, id: str, signal: str) -> None: ...
    def remove_container(self, id: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove it, with its anonymous volumes where asked."""
        ...

    def rename_container(self, id: str, name: str) -> None: ...
    def move_ports(self, source: str, target: str) -> None:
        """Lead the published ports of ``source`` to ``target``, which was created with ``takes_over``.

        Connections that exist stay with ``source``. Returns when no new one can reach it: neither by a port nor
        by a service name that ``target`` answers to as well.
        """
        ...

    def wait_container(self, id: str) -> int | None:
        """Return the exit code once the container is not running (at once when it is not); None if unknown."""
        ...

    def pause_container(self, id: str) -> None:
        """Freeze a running container; nothing happens to one that is paused."""
        ...

    def unpause_container(self, id: str) -> None: ...
    def attach(self, id: str, *, stdin: bool = False, start: bool = False) -> Session:
        """Return the output of a container's own command from now on, and with ``stdin`` its input.

        With ``start`` it is started, nothing of its output is missed, and its input ends with the session's.
        Raises Conflict when it does not run, StartFailed as `start_container` does.
        """
        ...

    def exec(self, id: str, spec: ExecSpec) -> Session: ...
    def pull_image(
        self, reference: str, *, progress: Callable[[str], None] | None = None
    ) -> ObservedImage: ...
    def build_image(self, spec: BuildSpec, *, progress: Callable[[str], None] | None = None) -> ObservedImage:
        """Build an image. Raises BuildFailed, with the end of the builder's output as notes."""
        ...

    def push_image(self, reference: str, *, progress: Callable[[str], None] | None = None) -> None:
        """Send an image to the registry that its name says. Raises ImageError."""
        ...

    def remove_image(self, reference: str, *, force: bool = False) -> None: ...
    def tag_image(self, reference: str, name: str) -> None: ...
    def import_image(self, path: str, reference: str, config: Mapping[str, Any]) -> ObservedImage:
        """Make an image of one layer from a tarball of a root filesystem.

        ``config`` has the OCI image configuration's words: Cmd, Entrypoint, Env, WorkingDir, User, Volumes, ….
        """
        ...

    def load_images(self, path: str) -> Sequence[ObservedImage]:
        """Read images from a docker-archive or an OCI layout (directory or tar)."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Preparer(Protocol):
    """What a backend can do that makes starts ready ahead; the engine asks with isinstance."""

    def prepare_container(self, id: str) -> None:
        """Do now what nobody can notice of a start, so that `start_container` takes less time.

        A hint: nothing depends on it, and what goes wrong is left to the start, which may come while this is at it.
        """
        ...

    def unprepare_container(self, id: str) -> None:
        """Take that back: there will be no start. Safe to repeat, and after a start."""
        ...


@runtime_checkable
class ImageStore(Protocol):
    """What a backend can do that keeps its images itself; the command asks with isinstance."""

    def resolve_image(self, reference: str) -> str:
        """Return the digest that the registry has for a reference now. Raises PullFailed."""
        ...

    def save_images(self, references: Sequence[str], path: str) -> None:
        """Write images to one tar that is an OCI layout and a docker-archive."""
        ...

    def prune_images(self, *, unused: bool = False) -> tuple[Sequence[str], int]:
        """Remove images without a name, or all that no container uses; return their ids and the bytes freed."""
        ...


# ------------------------------------------------------------------ what a machine can do


class Finding(NamedTuple):
    """One thing that a backend found when it looked at this machine, for ``composer doctor``.

    ``level``: ``ok``, ``note`` (worth knowing), ``warning`` (something will not work) or ``missing`` (the backend
    does not work without it). ``hint`` is the remedy.
    """

    level: str
    subject: str
    text: str
    hint: str | None = None
