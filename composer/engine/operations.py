"""The operations of a plan: one small frozen type per action, each with its cause.

An operation says what is to be done and why, never how: `execute` carries it out. Containers are named by
`ContainerRef`, because one that the same plan creates has no id yet.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.engine.wanted import (
        BuildSpec,
        ContainerSpec,
        EndpointSpec,
        ExecSpec,
        NetworkSpec,
        VolumeSpec,
    )


class Resource(NamedTuple):
    """What an operation is about, for grouping what is shown: all steps of a recreation have one resource."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.capitalize()} {self.name}"


class ContainerRef(NamedTuple):
    """A container by its final name; ``id`` is empty when the plan itself creates it."""

    name: str
    service: str
    number: int
    id: str = ""

    @property
    def resource(self) -> Resource:
        return Resource("container", self.name)


class CreateNetwork(NamedTuple):
    spec: NetworkSpec
    cause: str


class RemoveNetwork(NamedTuple):
    """``optional``: another project may still be using it; then it stays, with a warning."""

    name: str
    id: str
    cause: str
    optional: bool = False


class MendNetwork(NamedTuple):
    """What others took away of a network is put back while its containers run."""

    name: str
    id: str
    cause: str


class ConnectNetwork(NamedTuple):
    """The endpoint is complete, aliases and fixed addresses included: a bare reconnect would lose them."""

    container: ContainerRef
    endpoint: EndpointSpec
    cause: str


class DisconnectNetwork(NamedTuple):
    container: ContainerRef
    network: str
    cause: str


class CreateVolume(NamedTuple):
    spec: VolumeSpec
    cause: str


class RemoveVolume(NamedTuple):
    """``optional``: it stays, with a warning, where something else uses it."""

    name: str
    cause: str
    optional: bool = False


class PullImage(NamedTuple):
    """``optional``: a local image will do when the registry cannot be reached."""

    reference: str
    cause: str
    optional: bool = False


class BuildImage(NamedTuple):
    """``unless_there``: the step comes after a pull that may have brought the image."""

    spec: BuildSpec
    cause: str
    unless_there: bool = False


class PushImage(NamedTuple):
    """``optional``: others go on when this one cannot be pushed."""

    reference: str
    cause: str
    optional: bool = False


class RemoveImage(NamedTuple):
    """``optional``: it stays, with a warning, where something else uses it."""

    reference: str
    cause: str
    optional: bool = True


class TagImage(NamedTuple):
    """Give ``reference`` back to the image that had it."""

    reference: str
    image_id: str
    cause: str


class CreateContainer(NamedTuple):
    """``spec.name`` is a temporary name while the container takes another's place, ``container.name`` the final.

    ``shares`` maps an attribute to the container whose id it gets: only execution knows the id, and the config
    hash of Docker Compose is over the id. ``hashed`` is the tree for that hash.
    """

    container: ContainerRef
    spec: ContainerSpec
    cause: str
    hashed: Mapping[str, Any] | None = None


class RunHook(NamedTuple):
    """A ``pre_start`` command in a container of its own: created, run to its end, removed when that was 0.

    One that failed stays, to be looked at, and keeps the service from starting. ``leftover`` is the one that a run
    before this left so.
    """

    container: ContainerRef
    spec: ContainerSpec
    cause: str
    leftover: str = ""


class StartContainer(NamedTuple):
    """``hooks`` are the service's post_start commands."""

    container: ContainerRef
    cause: str
    hooks: tuple[ExecSpec, ...] = ()


class StopContainer(NamedTuple):
    """``hooks`` are the service's pre_stop commands; None as ``timeout_s`` is the container's own grace period."""

    container: ContainerRef
    cause: str
    timeout_s: float | None = None
    hooks: tuple[ExecSpec, ...] = ()


class KillContainer(NamedTuple):
    container: ContainerRef
    signal: str
    cause: str


class RemoveContainer(NamedTuple):
    """``volumes``: with its anonymous volumes."""

    container: ContainerRef
    cause: str
    volumes: bool = False


class RenameContainer(NamedTuple):
    """From ``old_name`` to ``container.name``; ``to`` is another name, for one that makes room."""

    container: ContainerRef
    old_name: str
    cause: str
    to: str = ""

    @property
    def new_name(self) -> str:
        return self.to or self.container.name


class MovePorts(NamedTuple):
    """``container`` gets the published ports that ``source`` has; no connection is refused meanwhile."""

    container: ContainerRef
    source: ContainerRef
    cause: str


class WaitService(NamedTuple):
    """Wait until every container of a service meets ``condition``.

    A depends_on condition; or ``ready``: running, healthy where there is a health check, or finished with 0; or
    ``steady``: nothing has gone wrong with more than ``tolerated`` of them for ``timeout_s``. ``waiting`` names who
    needs it; empty where no service does. ``restarts``: so many of one of them, and it is hopeless.
    """

    service: str
    containers: tuple[ContainerRef, ...]
    condition: str
    cause: str
    waiting: tuple[str, ...] = ()
    required: bool = True
    timeout_s: float | None = None
    tolerated: int = 0
    restarts: int | None = None


Operation: TypeAlias = (
    CreateNetwork
    | RemoveNetwork
    | MendNetwork
    | ConnectNetwork
    | DisconnectNetwork
    | CreateVolume
    | RemoveVolume
    | PullImage
    | BuildImage
    | PushImage
    | RemoveImage
    | CreateContainer
    | RunHook
    | StartContainer
    | StopContainer
    | KillContainer
    | RemoveContainer
    | RenameContainer
    | MovePorts
    | TagImage
    | WaitService
)


class _Row(NamedTuple):
    """What there is to say of an operation.

    ``resource`` groups what is shown; ``subject`` stands behind the action, as in ``start container app-web-1``.
    """

    action: str
    doing: str
    done: str
    resource: Callable[[Any], Resource]
    subject: Callable[[Any], str]


def _container(operation: Any) -> Resource:
    return Resource("container", operation.container.name)


def _field(path: str) -> Callable[[Any], str]:
    return attrgetter(path)


def _about(kind: str, path: str) -> Callable[[Any], Resource]:
    name = _field(path)
    return lambda operation: Resource(kind, name(operation))


def _text(form: str) -> Callable[[Any], str]:
    return lambda operation: form.format(o=operation)


def _waited_for(wait: WaitService) -> Resource:
    return wait.containers[0].resource if len(wait.containers) == 1 else Resource("service", wait.service)


def _tagged(tag: TagImage) -> str:
    return f"{tag.image_id.removeprefix('sha256:')[:12]} as {tag.reference}"


_NETWORK, _VOLUME = _about("network", "name"), _about("volume", "name")
_IMAGE, _REFERENCE = _about("image", "reference"), _field("reference")
_MADE, _CONTAINER = _field("spec.name"), _field("container.name")

_TABLE: dict[type, _Row] = {
    CreateNetwork: _Row("create network", "creating", "created", _about("network", "spec.name"), _MADE),
    RemoveNetwork: _Row("remove network", "removing", "removed", _NETWORK, _field("name")),
    MendNetwork: _Row("mend network", "mending", "mended", _NETWORK, _field("name")),
    ConnectNetwork: _Row(
        "connect container",
        "connecting",
        "connected",
        _container,
        _text("{o.container.name} to {o.endpoint.network}"),
    ),
    DisconnectNetwork: _Row(
        "disconnect container",
        "disconnecting",
        "disconnected",
        _container,
        _text("{o.container.name} from {o.network}"),
    ),
    CreateVolume: _Row("create volume", "creating", "created", _about("volume", "spec.name"), _MADE),
    RemoveVolume: _Row("remove volume", "removing", "removed", _VOLUME, _field("name")),
    PullImage: _Row("pull image", "pulling", "pulled", _IMAGE, _REFERENCE),
    BuildImage: _Row(
        "build image", "building", "built", _about("image", "spec.reference"), _field("spec.reference")
    ),
    PushImage: _Row("push image", "pushing", "pushed", _IMAGE, _REFERENCE),
    RemoveImage: _Row("remove image", "removing", "removed", _IMAGE, _REFERENCE),
    CreateContainer: _Row("create container", "creating", "created", _container, _MADE),
    RunHook: _Row("run hook", "running", "done", _about("hook", "spec.name"), _MADE),
    StartContainer: _Row("start container", "starting", "started", _container, _CONTAINER),
    StopContainer: _Row("stop container", "stopping", "stopped", _container, _CONTAINER),
    KillContainer: _Row(
        "kill container", "killing", "killed", _container, _text("{o.container.name} with {o.signal}")
    ),
    RemoveContainer: _Row("remove container", "removing", "removed", _container, _CONTAINER),
    RenameContainer: _Row(
        "rename container", "recreating", "recreated", _container, _text("{o.old_name} to {o.new_name}")
    ),
    MovePorts: _Row(
        "move ports",
        "handing over",
        "handed over",
        _container,
        _text("of container {o.source.name} to its replacement"),
    ),
    TagImage: _Row("tag image", "tagging", "tagged", _IMAGE, _tagged),
    WaitService: _Row(
        "wait for service", "waiting", "ready", _waited_for, _text("{o.service}: {o.condition}")
    ),
}

REPLACED = "replaced"
"""The cause of the stop and the removal of a container whose place another has taken."""

_MET = {"service_healthy": "healthy", "service_completed_successfully": "completed"}


def action_of(operation: Operation) -> str:
    """Return what an operation does: ``start container``."""
    return _TABLE[type(operation)].action


def progress_of(operation: Operation) -> tuple[str, str]:
    """Return the word while it lasts and the word when it is done: ``starting``, ``started``."""
    if isinstance(operation, CreateContainer) and operation.spec.name != operation.container.name:
        return "recreating", "recreated"
    if isinstance(operation, RemoveContainer) and operation.cause == REPLACED:
        return "recreating", "recreated"  # the last that is heard of it: it is the new one that stays
    row = _TABLE[type(operation)]
    if isinstance(operation, WaitService):
        return row.doing, _MET.get(operation.condition, row.done)
    return row.doing, row.done


def text_of(operation: Operation) -> str:
    """Return an operation in words, without its cause: ``start container app-web-1``."""
    return f"{action_of(operation)} {subject_of(operation)}"


def resource_of(operation: Operation) -> Resource:
    """Return what an operation is about: all steps of a recreation have one resource."""
    return _TABLE[type(operation)].resource(operation)


def subject_of(operation: Operation) -> str:
    """Return whom an operation is done to: ``app-web-1``, ``app-web-1 with SIGTERM``."""
    return _TABLE[type(operation)].subject(operation)
