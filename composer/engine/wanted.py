"""Specifications of objects to create, resolved: with real names, absolute paths and contents of secrets.

`ContainerSpec.attributes` holds the service's canonical attributes under Compose's own names with canonical
values (durations and sizes as strings for `composer.units`, numbers and booleans as such), so a new attribute
is one row in a backend's table and nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.engine.observed import SnapshotPart

    Path = tuple[str | int, ...]


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


class SnapshotSpec(NamedTuple):
    """A snapshot to take. ``freeze`` are the containers that are paused meanwhile; ``quiet`` says how it is still."""

    name: str
    project: str
    quiet: str
    parts: Sequence[SnapshotPart]
    freeze: Sequence[str] = ()


class MountSpec(NamedTuple):
    """One entry of ``volumes`` or ``tmpfs``.

    ``source`` is an absolute host path (bind), a volume's real name (volume), an image reference (image) or
    None (anonymous volume, tmpfs); an ``anonymous`` volume with a source is another container's, and goes with whoever
    has it last. ``options`` is the sub-object of that type: ``bind``, ``volume``, ``tmpfs``
    or ``image``, as in Compose's long syntax.
    """

    type: str
    source: str | None
    target: str
    read_only: bool = False
    options: Mapping[str, Any] = {}
    anonymous: bool = False


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


class RestartsWith(NamedTuple):
    """A service that a container restarts with: once it was started again, or with ``healthy`` is healthy again."""

    service: str
    healthy: bool = False


class ContainerSpec(NamedTuple):
    """A container to create, with everything that a backend requires, resolved."""

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
    replaces: str = ""
    """The id of a container whose place this one takes: where the backend chooses addresses, it gets those."""
    restarts_with: tuple[RestartsWith, ...] = ()


class BuildSpec(NamedTuple):
    """An image to build, to be called ``reference``.

    ``attributes`` is the canonical ``build`` of a service: context, dockerfile, args, target, …; ``labels`` come on
    top of its own. ``secrets`` are its sources, with the id of the build for each as ``target``. ``keep_failed``: the
    container of a command that fails stays, where the backend can do that. ``outputs`` are Docker's (``type=…,dest=…``,
    absolute): with them no image is kept, unless one of them says so. With ``only_checks`` nothing is built: what the
    checks of the Dockerfile find is told as lines of progress.
    """

    reference: str
    service: str
    attributes: Mapping[str, Any]
    labels: Mapping[str, str] = {}
    secrets: tuple[FileSpec, ...] = ()
    platform: str | None = None
    no_cache: bool = False
    pull: bool = False
    keep_failed: bool = False
    outputs: tuple[str, ...] = ()
    only_checks: bool = False


class ExecSpec(NamedTuple):
    """A command to run inside a running container. With ``detach`` its output is not read and its exit not awaited."""

    command: Sequence[str]
    environment: Sequence[str] = ()
    user: str | None = None
    working_dir: str | None = None
    tty: bool = False
    interactive: bool = True
    privileged: bool = False
    detach: bool = False


class Limitation(NamedTuple):
    """An attribute that a backend does not support. ``path`` is relative to the service (``("gpus",)``).

    ``fatal`` ones stop the plan; the others are warnings. ``reason`` ends a sentence; ``hint`` is the remedy.
    """

    path: Path
    reason: str
    fatal: bool = True
    hint: str | None = None


class CommitSpec(NamedTuple):
    """How to create an image from a container. ``reference`` may be empty: then the image has only an id.

    ``changes`` are in the OCI image configuration's words (Cmd, Env, Labels, …) and come on top of the container's own.
    A container that runs stands still meanwhile with ``pause``.
    """

    reference: str
    author: str = ""
    message: str = ""
    pause: bool = True
    changes: Mapping[str, Any] = {}


class LabelFilter(NamedTuple):
    """``label=KEY``, ``label=KEY=VALUE``, and with ``excludes`` the objects that do not have it (``label!=…``)."""

    key: str
    value: str | None = None
    excludes: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        has = self.key in labels and self.value in (None, labels[self.key])
        return has is not self.excludes
