"""What the runtime is asked to make: objects by name, with absolute paths and resolved values.

Whoever asks, a backend or the REST API, translates into these. Labels mean nothing here. An object has an ``owner``,
whose supervisor runs it and whose journal its events are in; ``event`` goes into each of them. Without an owner it
is nobody's, as are all others without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.runtime.base.records import NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Network(NamedTuple):
    """A network to create.

    ``ipam`` has ``config``: a list of ``subnet``, ``gateway``, ``ip_range``, ``aux_addresses``. ``bridge`` is the
    interface's name, empty for one of the runtime's choice. ``host_bindings`` are the host's addresses at which ports
    without an address are published. ``address_pools`` are (range, prefix length) to take subnets from, in place of the
    default ones. ``attributes`` are kept for whoever asked, and mean nothing here. ``repeatable``: one that is there
    already with this name and these labels is what an earlier try made, and is returned.
    """

    name: str
    labels: Mapping[str, str] = {}
    owner: str = NOBODY
    event: Mapping[str, str] = {}
    ipam: Mapping[str, Any] = {}
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    bridge: str = ""
    mtu: int | None = None
    masquerade: bool = True
    isolated: bool = False
    host_bindings: tuple[str, ...] = ()
    address_pools: tuple[tuple[str, int], ...] = ()
    attributes: Mapping[str, Any] = {}
    repeatable: bool = True


class Volume(NamedTuple):
    """A volume to create. ``options`` are those of Docker's local driver: type, device, o."""

    name: str
    labels: Mapping[str, str] = {}
    owner: str = NOBODY
    event: Mapping[str, str] = {}
    options: Mapping[str, str] = {}


class Mount(NamedTuple):
    """One mount of a container.

    ``source`` is an absolute host path (bind), a volume's name (volume), an image reference (image) or None (anonymous
    volume, tmpfs); an ``anonymous`` volume with a source is another container's, and goes with whoever has it last.
    ``options``: ``propagation``, ``recursive``, ``create_host_path``, ``selinux`` (bind); ``nocopy``, ``subpath``
    (volume); ``size``, ``mode``, ``options`` (tmpfs); ``subpath`` (image).
    """

    type: str
    source: str | None
    target: str
    read_only: bool = False
    options: Mapping[str, Any] = {}
    anonymous: bool = False


class Endpoint(NamedTuple):
    """A container's place in a network, which is given by name or id. Endpoints come in the order of the interfaces."""

    network: str
    aliases: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    ipv4: str = ""
    ipv6: str = ""
    mac: str | None = None
    interface: str | None = None
    link_local: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = {}
    gw_priority: int = 0


class File(NamedTuple):
    """A file to appear at ``target``: the host's file ``source``, or with ``content``.

    ``kind`` and ``name`` are for messages (``secret``, ``tls_key``). ``mode`` is an int such as 0o444, or None for the
    default; ``uid`` and ``gid`` are numbers as text, or None.
    """

    kind: str
    name: str
    target: str
    source: str | None = None
    content: bytes | None = None
    uid: str | None = None
    gid: str | None = None
    mode: int | None = None


class Container(NamedTuple):
    """A container to create.

    ``configure`` makes an OCI configuration from the image's, with the runtime's own part under ``composer``; what
    depends on the container's id and on other objects is filled in later. ``namespaces`` says for ``network``, ``pid``,
    ``ipc``, ``uts`` and ``cgroup`` what a container does not have of its own: ``host``, ``container:NAME``, for the
    network ``none`` and ``bridge``. ``names`` are names by which others find it beside its own. ``subject`` is what
    messages call it (``service 'web'``). ``tells_hostname``: HOSTNAME and /etc/hostname are there, as in
    Docker's containers. ``exposed`` are ports (``80/tcp``) beside the image's. ``request`` is kept for whoever asked,
    and means nothing here. ``repeatable``: as of a network.
    """

    name: str
    owner: str
    subject: str
    image: str
    configure: Callable[[Mapping[str, Any]], dict[str, Any]]
    labels: Mapping[str, str] = {}
    image_id: str | None = None
    mounts: Sequence[Mount] = ()
    volumes_from: Sequence[str] = ()
    endpoints: Sequence[Endpoint] = ()
    files: Sequence[File] = ()
    namespaces: Mapping[str, str] = {}
    names: Sequence[str] = ()
    event: Mapping[str, str] = {}
    mac: str | None = None
    auto_remove: bool = False
    takes_over: str = ""
    replaces: str = ""
    tells_hostname: bool = True
    exposed: Sequence[str] = ()
    request: Mapping[str, Any] | None = None
    repeatable: bool = True


class Exec(NamedTuple):
    """A command to run in a running container. With ``detach`` nobody reads its output or waits for it."""

    command: Sequence[str]
    environment: Sequence[str] = ()
    user: str | None = None
    working_dir: str | None = None
    tty: bool = False
    interactive: bool = True
    privileged: bool = False
    detach: bool = False


class Commit(NamedTuple):
    """How a container becomes an image. ``reference`` may be empty.

    ``changes`` are in the OCI image configuration's words. A running container stands still meanwhile with ``pause``.
    """

    reference: str
    author: str = ""
    message: str = ""
    pause: bool = True
    changes: Mapping[str, Any] = {}
