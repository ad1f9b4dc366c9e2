"""What a backend shows of what exists. A module without protocols: whoever only looks imports no more than this."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class ContainerState(Enum):
    """Docker's container states, under Docker's names."""

    CREATED = "created"
    RUNNING = "running"
    RESTARTING = "restarting"
    PAUSED = "paused"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


ACTIVE = frozenset((ContainerState.RUNNING, ContainerState.RESTARTING, ContainerState.PAUSED))
"""What has a program, or gets it back by itself."""


class Health(Enum):
    """Docker's health states; NONE when the container has no health check."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Capability(Enum):
    """An optional feature of a backend."""

    MOVES_PORTS = "moves ports"
    """A published port passes from one running container to another."""

    PREPARES_STARTS = "prepares starts"
    """A container behind a condition is made ready while that is waited for."""

    OWNS_FILES = "owns files"
    """The file of a config or secret has the owner and the mode that its grant says, also one of the host."""

    RESTARTS_DEPENDENTS = "restarts dependents"
    """A container restarts with what it depends on (`ContainerSpec.restarts_with`) also when that crashes."""

    REACHES_TMPFS = "reaches tmpfs"
    """Files in tmpfs mounts of a running container are read and written as any others."""

    SNAPSHOTS = "snapshots"
    """It takes and places snapshots of data itself, sharing what does not change (`Snapshots`)."""

    KEEPS_IMAGES = "keeps images"
    """It has a store of images of its own, which are resolved, saved and pruned through it."""


class Advance(NamedTuple):
    """The progress of a pull, a push or a build.

    ``what`` is a word (``pulling``), or for a build the step. ``done`` of ``total`` are in ``unit`` (``bytes``,
    ``layers``); ``total`` is 0 where nobody knows it. ``parts`` are the same of each layer. ``line`` is one of a
    builder's output, for who shows all of it: it has a ``what`` where a step begins, and ``is_warning`` where it is
    what everybody wants to read. ``is_phase``: ``what`` stands in place of the operation's own word.
    """

    what: str
    done: int = 0
    total: int = 0
    unit: str = ""
    parts: tuple[tuple[int, int], ...] = ()
    line: str = ""
    is_warning: bool = False
    is_phase: bool = False


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
    """The current state of a container. Times are Unix nanoseconds, 0 if it has not happened.

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
    network_of: str = ""
    """The id of the container whose network it has, where the backend tells."""


class ObservedNetwork(NamedTuple):
    """The current state of a network. ``attributes`` are those of the `NetworkSpec` that would recreate it.

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
    """The current state of a volume. ``options`` are its ``driver_opts``; ``mountpoint`` is its path on the host."""

    name: str
    labels: Mapping[str, str]
    driver: str = "local"
    options: Mapping[str, str] = {}
    mountpoint: str = ""
    created_ns: int = 0


class SnapshotPart(NamedTuple):
    """A volume in a snapshot (``kind`` volume), or the layers of a container (layer).

    ``source`` is the volume's name or the container's id when it was taken. ``about`` says whose it is: ``uses`` are
    (service, number, target) of a volume, ``service`` and ``number`` are a layer's.
    """

    kind: str
    source: str
    about: Mapping[str, Any] = {}


class ObservedSnapshot(NamedTuple):
    """A snapshot. ``quiet``: how the data was kept still (frozen, stopped, idle); ``way``: how it was taken.

    ``users`` are the volumes that lie over its files.
    """

    id: str
    name: str
    project: str
    created_ns: int
    quiet: str
    way: str
    size_bytes: int
    parts: tuple[SnapshotPart, ...]
    users: tuple[str, ...] = ()


class ImageVariant(NamedTuple):
    """One of the images that a name has for several platforms. ``digest`` is that of its manifest."""

    id: str
    platform: str
    digest: str
    size_bytes: int


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
    platform: str = ""
    """``linux/amd64``; empty where the backend does not say."""
    config: Mapping[str, Any] = {}
    """The image configuration (OCI's ``config``), whole; empty where the backend does not say."""
    layers: tuple[str, ...] = ()
    """The digests of its layers as plain archives, lowest first; empty where the backend does not say."""
    index_digest: str = ""
    """The digest of the index of the image and of those for other platforms; empty for an image of one platform."""
    variants: tuple[ImageVariant, ...] = ()
    """All images of that index, this one first."""

    @property
    def whole_id(self) -> str:
        """What stands for the image with those for other platforms."""
        return self.index_digest or self.id


class RemovedImage(NamedTuple):
    """What the removal of an image took away: names, and digests of images and layers."""

    untagged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


class ImageStep(NamedTuple):
    """One step of how an image was made. ``created`` is a date (RFC 3339), or empty; ``id`` that of an image here."""

    created: str
    created_by: str
    size_bytes: int
    comment: str = ""
    id: str = ""


class Probe(NamedTuple):
    """One run of a health check. ``output`` is cut to 4096 bytes."""

    started_ns: int
    ended_ns: int
    exit_code: int
    output: str


class Observed(NamedTuple):
    """All objects with a project's label."""

    containers: tuple[ObservedContainer, ...] = ()
    networks: tuple[ObservedNetwork, ...] = ()
    volumes: tuple[ObservedVolume, ...] = ()


class Event(NamedTuple):
    """An event of a container. ``action`` is Docker's name of it.

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


class LogPiece(NamedTuple):
    """A part of one output stream: whole lines that came together, or a last line without a newline.

    ``time_ns`` is in ns since the epoch.
    """

    container_id: str
    time_ns: int
    stream: str
    data: bytes


def lines(pieces: Iterable[LogPiece]) -> Iterator[bytes]:
    """Yield single lines, each with its newline where it has one."""
    for piece in pieces:
        *whole, rest = piece.data.split(b"\n")
        yield from (line + b"\n" for line in whole)
        if rest:
            yield rest
