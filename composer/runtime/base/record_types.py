"""The shapes of what is on the disk. For types only: nothing imports this at run time.

`records` reads and writes them. What may be missing in a record of an earlier version is given its default there, so
a record that was read has every field that is not `NotRequired`. (Annotations are evaluated here: a TypedDict sees no
`NotRequired` in a text.)
"""

from typing import Any, NotRequired, TypedDict

Config = dict[str, Any]
"""An OCI runtime configuration; what is the runtime's own in it is `Extras`, see `records.extras`."""


# ------------------------------------------------------------------ ports: one vocabulary, from the wish to the end


class PortRequest(TypedDict):
    """A port that is to be published. ``host_port`` 0 is any; up to ``host_port_end`` it is the first that is free."""

    protocol: str
    container_port: int
    host_ip: str
    host_port: int
    host_port_end: int


class PublishedPort(TypedDict):
    """A port that is published. ``host_ip`` is empty for every address."""

    protocol: str
    container_port: int
    host_ip: str
    host_port: int


# ------------------------------------------------------------------ containers


class MountRecord(TypedDict):
    """What is shown of a mount. ``name`` is the volume's; an ``anonymous`` one goes with its container."""

    type: str
    target: str
    source: str
    read_only: NotRequired[bool]
    name: NotRequired[str]
    anonymous: NotRequired[bool]


class Owned(TypedDict):
    """``project`` is the owner; ``event`` is what each event of the object says of it."""

    labels: dict[str, str]
    project: str
    event: dict[str, str]


class Meta(Owned):
    """``meta.json``: what is shown of a container. ``networks`` are pairs of name and id."""

    id: str
    name: str
    image: str
    image_id: str
    created_ns: int
    command: list[str]
    mounts: list[MountRecord]
    networks: list[list[str]]
    aliases: dict[str, list[str]]
    exposed: list[str]
    health: bool
    auto_remove: bool


class AttachmentRecord(TypedDict):
    """A network that a running container is in: its interface, and its addresses as pairs of address and prefix."""

    network: str
    network_id: str
    interface: str
    link: str
    mac: str
    addresses: list[list[Any]]
    gateways: list[str]
    aliases: list[str]
    link_local: NotRequired[list[list[Any]]]
    priority: NotRequired[int]
    sysctls: NotRequired[dict[str, str]]


class State(TypedDict, total=False):
    """``state.json``: how a container is. Times are Unix nanoseconds."""

    status: str
    pid: int
    start_ticks: int
    boot_id: str
    started_ns: int
    started_before_ns: int
    finished_ns: int
    exit_code: int | None
    exit_unknown: bool
    oom_killed: bool
    error: str
    restarts: int
    stopped: bool
    killed: bool
    kept: bool
    executed: bool
    again: bool
    prepared: bool
    renewing: bool
    renewed: bool
    owes: str
    warnings: list[str]
    ports: list[PublishedPort]
    endpoints: list[AttachmentRecord]


class EndpointRequest(TypedDict):
    """A network that a container is to be in."""

    network: str
    network_id: str
    aliases: list[str]
    links: list[list[str]]
    ipv4: str
    ipv6: str
    mac: str | None
    interface: str | None
    link_local: list[str]
    sysctls: dict[str, str]
    gw_priority: int


class NetworkExtras(TypedDict, total=False):
    mode: str
    endpoints: list[EndpointRequest]
    ports: list[PortRequest]
    names: bool
    extra_hosts: list[list[str]]
    dns: dict[str, list[str]]
    takes_over: str
    replaces: str


class RenewWith(TypedDict):
    """A service whose containers this one begins anew with; ``healthy``: once such a container is healthy again."""

    service: str
    healthy: bool


class Extras(TypedDict, total=False):
    """The runtime's own part of a container's configuration, under ``composer``."""

    version: int
    id: str
    project: str
    service: str
    name: str
    names: list[str]
    event: dict[str, str]
    network: NetworkExtras
    overlay: dict[str, Any]
    restart: dict[str, Any]
    renew_with: list[RenewWith]
    stop: dict[str, Any]
    health: dict[str, Any] | None
    log: dict[str, Any]
    forward: dict[str, Any]
    annotations: Any
    auto_remove: bool
    cgroup_parent: str
    init: bool
    ipc: str
    privileged: bool
    stdin: bool
    term: str
    time_namespace: bool


class ProbeRecord(TypedDict):
    started_ns: int
    ended_ns: int
    exit_code: int
    output: str


class HealthRecord(TypedDict):
    """``health.json``: what a container's health checks have found, and the last of them."""

    status: str
    probes: list[ProbeRecord]


# ------------------------------------------------------------------ networks, volumes, processes of ours


class PoolRecord(TypedDict):
    """A subnet of a network. ``reserved`` maps addresses to what they are for."""

    subnet: str
    gateway: str
    range: str
    reserved: dict[str, str]


class NetworkRecord(Owned):
    id: str
    name: str
    driver: str
    created_ns: int
    attributes: dict[str, Any]
    bridge: str
    internal: bool
    pools: list[PoolRecord]
    mtu: NotRequired[int | None]
    masquerade: NotRequired[bool]
    isolated: NotRequired[bool]
    host_bindings: NotRequired[list[str]]


class OverRecord(TypedDict):
    """What a volume lies over: part ``part`` of a snapshot. Its own changes are in ``over/<generation>``."""

    snapshot: str
    part: int
    generation: str


class VolumeRecord(Owned):
    name: str
    driver: str
    created_ns: int
    options: dict[str, str]
    over: NotRequired[OverRecord]


class PartRecord(TypedDict):
    """A volume in a snapshot, or the layers of a container. ``about`` is what its maker wants to know of it later."""

    kind: str
    source: str
    about: dict[str, Any]


class SnapshotRecord(TypedDict):
    """``snapshot.json``. ``quiet`` says what was done to who used the data, ``way`` how it was copied.

    With ``removed`` it has no name any more, and goes with the last volume that lies over it.
    """

    id: str
    name: str
    project: str
    created_ns: int
    quiet: str
    way: str
    size_bytes: int
    parts: list[PartRecord]
    removed: bool


class PlacingRecord(TypedDict):
    """``placing/<id>.json``: a snapshot on its way into volumes and containers, as pairs of part and target.

    Once it is ``committed`` it is carried out to the end, by whomever.
    """

    snapshot: str
    project: str
    targets: list[list[Any]]
    generation: str
    way: str
    committed: bool


class FrozenRecord(TypedDict):
    """``frozen/<id>.json``: containers that a save has paused, until it lets them go on.

    ``sources`` are the volumes and containers whose data it copies: whoever has them is not started meanwhile.
    """

    containers: list[str]
    sources: list[str]


class NameRecord(TypedDict):
    """``endpoints/<container>``: by which names and addresses a network knows a container."""

    network: str
    names: list[str]
    addresses: list[str]


class KeeperRecord(TypedDict):
    pid: int
    start_ticks: int
    boot_id: NotRequired[str]
