"""What the engine needs of a backend, and the values that cross the border.

A backend is two protocols. `Observer` reads and cannot change anything; a plan is made with nothing else.
`Backend` adds the effects. Both speak of resolved things: real names of networks and volumes, absolute paths,
contents of secrets. A backend never sees a compose file.

`ContainerSpec.attributes` holds the service's canonical attributes under Compose's own names with canonical
values (durations and sizes as strings for `composer.units`, numbers and booleans as such), so a new attribute
is one row in a backend's table and nothing here.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from composer.engine.facts import Handling, Inspection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Path = tuple[str | int, ...]


# ------------------------------------------------------------------ what is wanted


class NetworkSpec(NamedTuple):
    """A network to create. ``attributes``: driver, driver_opts, ipam, internal, enable_ipv6, … as in Compose."""

    name: str
    labels: Mapping[str, str]
    attributes: Mapping[str, Any]


class VolumeSpec(NamedTuple):
    """A named volume to create. ``attributes``: driver, driver_opts."""

    name: str
    labels: Mapping[str, str]
    attributes: Mapping[str, Any]


class MountSpec(NamedTuple):
    """One entry of ``volumes`` or ``tmpfs``.

    ``source`` is an absolute host path (bind), a volume's real name (volume), an image reference (image) or
    None (anonymous volume, tmpfs). ``options`` is the sub-object of that type: ``bind``, ``volume``, ``tmpfs``
    or ``image``, as in Compose's long syntax.
    """

    type: str
    source: str | None
    target: str
    read_only: bool = False
    options: Mapping[str, Any] = {}


class EndpointSpec(NamedTuple):
    """One network that a container joins, under these names. ``network`` is the real name.

    ``attributes``: ipv4_address, ipv6_address, mac_address, gw_priority, interface_name, driver_opts, …
    Specs are in the order in which the container should get its interfaces.
    """

    network: str
    aliases: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = {}


class FileSpec(NamedTuple):
    """A config or secret to appear at ``target``: from the host file ``source``, or with ``content``.

    ``mode`` is an int such as 0o444, or None for the default; ``uid`` and ``gid`` are numbers as text, or None.
    """

    kind: str
    name: str
    target: str
    source: str | None = None
    content: bytes | None = None
    uid: str | None = None
    gid: str | None = None
    mode: int | None = None


class ContainerSpec(NamedTuple):
    """A container to create: everything that a backend has to know, resolved."""

    name: str
    project: str
    service: str
    number: int
    image: str
    labels: Mapping[str, str]
    attributes: Mapping[str, Any]
    mounts: tuple[MountSpec, ...] = ()
    endpoints: tuple[EndpointSpec, ...] = ()
    files: tuple[FileSpec, ...] = ()
    network_mode: str | None = None
    """None when ``endpoints`` says it; else ``host``, ``none`` or ``container:<id or name>``."""
    image_id: str | None = None
    """The image that was observed when the plan was made; None leaves it to the backend's look-up of ``image``."""
    oneoff: bool = False
    auto_remove: bool = False
    """It goes when it has ended, with its anonymous volumes; nobody waits for that."""
    takes_over: str = ""
    """The id of a container whose fixed published ports this one gets later, by `Backend.move_ports`."""


class BuildSpec(NamedTuple):
    """An image to build, to be called ``reference``.

    ``attributes`` is the canonical ``build`` of a service: context, dockerfile, args, target, …; ``labels`` come on
    top of its own. ``secrets`` are its sources, with the build's id for each as ``target``.
    """

    reference: str
    service: str
    attributes: Mapping[str, Any]
    labels: Mapping[str, str] = {}
    secrets: tuple[FileSpec, ...] = ()
    platform: str | None = None
    no_cache: bool = False
    pull: bool = False


class ExecSpec(NamedTuple):
    """A command to run inside a running container. With ``detach`` nobody reads its output or waits for it."""

    command: Sequence[str]
    environment: Sequence[str] = ()
    user: str | None = None
    working_dir: str | None = None
    tty: bool = False
    interactive: bool = True
    privileged: bool = False
    detach: bool = False


class Limitation(NamedTuple):
    """An attribute that a backend does not honour. ``path`` is relative to the service (``("gpus",)``).

    ``fatal`` ones stop the plan; the others are warnings. ``reason`` ends a sentence; ``hint`` is the remedy.
    """

    path: Path
    reason: str
    fatal: bool = True
    hint: str | None = None


# ------------------------------------------------------------------ what exists


class ContainerState(Enum):
    """Docker's states, with Docker's words."""

    CREATED = "created"
    RUNNING = "running"
    RESTARTING = "restarting"
    PAUSED = "paused"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class Health(Enum):
    """Docker's health states; NONE when the container has no health check."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class ObservedPort(NamedTuple):
    """A container's port; ``host_port`` is 0 where it is only exposed, not published."""

    protocol: str
    container_port: int
    host_ip: str = ""
    host_port: int = 0


class ObservedEndpoint(NamedTuple):
    """A container's place in a network, by the network's name and id."""

    network: str
    network_id: str
    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()


class ObservedMount(NamedTuple):
    """A mount of a container. ``name`` is the volume's, ``source`` the host path behind it."""

    type: str
    target: str
    name: str = ""
    source: str = ""
    read_only: bool = False


class ObservedContainer(NamedTuple):
    """A container as it is. Times are Unix nanoseconds, 0 when it has not happened.

    ``exit_code`` is None while it never exited, and also when nobody could see it exit (``exit_unknown``).
    """

    id: str
    name: str
    labels: Mapping[str, str]
    state: ContainerState
    image: str = ""
    image_id: str = ""
    health: Health = Health.NONE
    exit_code: int | None = None
    exit_unknown: bool = False
    oom_killed: bool = False
    error: str = ""
    created_ns: int = 0
    started_ns: int = 0
    finished_ns: int = 0
    restarts: int = 0
    command: tuple[str, ...] = ()
    ports: tuple[ObservedPort, ...] = ()
    endpoints: tuple[ObservedEndpoint, ...] = ()
    mounts: tuple[ObservedMount, ...] = ()


class ObservedNetwork(NamedTuple):
    """A network as it is. ``attributes`` are those of the `NetworkSpec` that would make it again.

    ``pools`` are its addresses, chosen ones too, in the words of ``ipam.config``.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    driver: str = "bridge"
    attributes: Mapping[str, Any] = {}
    pools: tuple[Mapping[str, Any], ...] = ()
    created_ns: int = 0


class ObservedVolume(NamedTuple):
    """A volume as it is. ``options`` are its ``driver_opts``; ``mountpoint`` is where its data is on the host."""

    name: str
    labels: Mapping[str, str]
    driver: str = "local"
    options: Mapping[str, str] = {}
    mountpoint: str = ""
    created_ns: int = 0


class ObservedImage(NamedTuple):
    """An image in the backend's store. ``id`` is the digest that the image label carries.

    ``digests`` are what registries call it (``redis@sha256:…``). ``tagged_ns`` is when the name that was asked for
    was last pulled or given here, in Unix nanoseconds; 0 when the backend does not know.
    """

    id: str
    references: tuple[str, ...] = ()
    created: str = ""
    size_bytes: int = 0
    labels: Mapping[str, str] = {}
    volumes: tuple[str, ...] = ()
    has_healthcheck: bool = False
    digests: tuple[str, ...] = ()
    tagged_ns: int = 0


class Probe(NamedTuple):
    """One run of a health check. ``output`` is cut to 4096 bytes."""

    started_ns: int
    ended_ns: int
    exit_code: int
    output: str


class Observed(NamedTuple):
    """Everything that carries a project's label, by Docker Compose's labels."""

    containers: tuple[ObservedContainer, ...] = ()
    networks: tuple[ObservedNetwork, ...] = ()
    volumes: tuple[ObservedVolume, ...] = ()


class Event(NamedTuple):
    """Something that happened. ``action`` is Docker's word.

    container: create, start, die, stop, kill, restart, destroy, rename, oom, health_status, exec_create, …;
    network: create, connect, disconnect, destroy; volume: create, mount, destroy; image: pull, import, delete.
    ``attributes`` has Docker's: ``name``, ``exitCode`` and ``willRestart`` (``"true"``/``"false"``) on die,
    ``health_status``, and the container's labels.
    """

    time_ns: int
    kind: str
    action: str
    id: str
    attributes: Mapping[str, str] = {}


class LogLine(NamedTuple):
    """A piece of a container's output: at most one line, ``data`` with its newline where it had one."""

    container_id: str
    time_ns: int
    stream: str
    data: bytes


# ------------------------------------------------------------------ the protocols


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

    def probes(self, id: str) -> Sequence[Probe]:
        """Return the last runs of a container's health check, oldest first."""
        ...

    def limitations(self, attributes: Mapping[str, Any]) -> Sequence[Limitation]:
        """Return what this backend would not honour of a service's canonical attributes."""
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
