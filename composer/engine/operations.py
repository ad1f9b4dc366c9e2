"""The operations of a plan: one small frozen type per action, each with its cause.

An operation says what is to be done and why, never how: `execute` carries it out. Containers are named by
`ContainerRef`, because one that the same plan creates has no id yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.engine.backend import (
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

    @property
    def resource(self) -> Resource:
        return Resource("network", self.spec.name)

    @property
    def subject(self) -> str:
        return self.spec.name


class RemoveNetwork(NamedTuple):
    """``optional``: another project may still be using it; then it stays, with a warning."""

    name: str
    id: str
    cause: str
    optional: bool = False

    @property
    def resource(self) -> Resource:
        return Resource("network", self.name)

    @property
    def subject(self) -> str:
        return self.name


class ConnectNetwork(NamedTuple):
    """The endpoint is complete, aliases and fixed addresses included: a bare reconnect would lose them."""

    container: ContainerRef
    endpoint: EndpointSpec
    cause: str

    @property
    def resource(self) -> Resource:
        return self.container.resource

    @property
    def subject(self) -> str:
        return f"{self.container.name} to {self.endpoint.network}"


class DisconnectNetwork(NamedTuple):
    container: ContainerRef
    network: str
    cause: str

    @property
    def resource(self) -> Resource:
        return self.container.resource

    @property
    def subject(self) -> str:
        return f"{self.container.name} from {self.network}"


class CreateVolume(NamedTuple):
    spec: VolumeSpec
    cause: str

    @property
    def resource(self) -> Resource:
        return Resource("volume", self.spec.name)

    @property
    def subject(self) -> str:
        return self.spec.name


class RemoveVolume(NamedTuple):
    """``optional``: it stays, with a warning, where something else uses it."""

    name: str
    cause: str
    optional: bool = False

    @property
    def resource(self) -> Resource:
        return Resource("volume", self.name)

    @property
    def subject(self) -> str:
        return self.name


class PullImage(NamedTuple):
    """``optional``: a local image will do when the registry cannot be reached."""

    reference: str
    cause: str
    optional: bool = False

    @property
    def resource(self) -> Resource:
        return Resource("image", self.reference)

    @property
    def subject(self) -> str:
        return self.reference


class BuildImage(NamedTuple):
    """``unless_there``: the step comes after a pull that may have brought the image."""

    spec: BuildSpec
    cause: str
    unless_there: bool = False

    @property
    def resource(self) -> Resource:
        return Resource("image", self.spec.reference)

    @property
    def subject(self) -> str:
        return self.spec.reference


class PushImage(NamedTuple):
    """``optional``: others go on when this one cannot be pushed."""

    reference: str
    cause: str
    optional: bool = False

    @property
    def resource(self) -> Resource:
        return Resource("image", self.reference)

    @property
    def subject(self) -> str:
        return self.reference


class RemoveImage(NamedTuple):
    """``optional``: it stays, with a warning, where something else uses it."""

    reference: str
    cause: str
    optional: bool = True

    @property
    def resource(self) -> Resource:
        return Resource("image", self.reference)

    @property
    def subject(self) -> str:
        return self.reference


class TagImage(NamedTuple):
    """Give ``reference`` back to the image that had it."""

    reference: str
    image_id: str
    cause: str

    @property
    def resource(self) -> Resource:
        return Resource("image", self.reference)

    @property
    def subject(self) -> str:
        return f"{self.image_id.removeprefix('sha256:')[:12]} as {self.reference}"


class CreateContainer(NamedTuple):
    """``spec.name`` is a temporary name while the container takes another's place, ``container.name`` the final.

    ``shares`` maps an attribute to the container whose id it gets: only execution knows the id, and the config
    hash of Docker Compose is over the id. ``hashed`` is the tree for that hash.
    """

    container: ContainerRef
    spec: ContainerSpec
    cause: str
    hashed: Mapping[str, Any] | None = None

    @property
    def resource(self) -> Resource:
        return self.container.resource

    @property
    def subject(self) -> str:
        return self.spec.name


class RunHook(NamedTuple):
    """A ``pre_start`` command in a container of its own: created, run to its end, removed when that was 0.

    One that failed stays, to be looked at, and keeps the service from starting. ``leftover`` is the one that a run
    before this left so.
    """

    container: ContainerRef
    spec: ContainerSpec
    cause: str
    leftover: str = ""

    @property
    def resource(self) -> Resource:
        return Resource("hook", self.spec.name)

    @property
    def subject(self) -> str:
        return self.spec.name


class StartContainer(NamedTuple):
    """``hooks`` are the service's post_start commands."""

    container: ContainerRef
    cause: str
    hooks: tuple[ExecSpec, ...] = ()

    @property
    def resource(self) -> Resource:
        return self.container.resource

    @property
    def subject(self) -> str:
        return self.container.name


class StopContainer(NamedTuple):
    """``hooks`` are the service's pre_stop commands; None as ``timeout_s`` is the container's own grace period."""

    container: ContainerRef
    cause: str
    timeout_s: float | None = None
    hooks: tuple[ExecSpec, ...] = ()

    @property
    def resource(self) -> Resource:
        return self.container.resource

    @property
    def subject(self) -> str:
        return self.container.name


class KillContainer(NamedTuple):
    container: ContainerRef
    signal: str
    cause: str

    @property
    def resource(self) -> Resource:
        return self.container.resource

    @property
    def subject(self) -> str:
        return f"{self.container.name} with {self.signal}"


class RemoveContainer(NamedTuple):
    """``volumes``: with its anonymous volumes."""

    container: ContainerRef
    cause: str
    volumes: bool = False

    @property
    def resource(self) -> Resource:
        return self.container.resource

    @property
    def subject(self) -> str:
        return self.container.name


class RenameContainer(NamedTuple):
    """From ``old_name`` to ``container.name``; ``to`` is another name, for one that makes room."""

    container: ContainerRef
    old_name: str
    cause: str
    to: str = ""

    @property
    def resource(self) -> Resource:
        return self.container.resource

    @property
    def new_name(self) -> str:
        return self.to or self.container.name

    @property
    def subject(self) -> str:
        return f"{self.old_name} to {self.new_name}"


class MovePorts(NamedTuple):
    """``container`` gets the published ports that ``source`` has; no connection is refused meanwhile."""

    container: ContainerRef
    source: ContainerRef
    cause: str

    @property
    def resource(self) -> Resource:
        return self.container.resource

    @property
    def subject(self) -> str:
        return f"of container {self.source.name} to its replacement"


class WaitService(NamedTuple):
    """Wait until every container of a service meets ``condition``.

    A depends_on condition; or ``ready``: running, healthy where there is a health check, or finished with 0; or
    ``steady``: nothing has gone wrong with more than ``tolerated`` of them for ``timeout_s``. ``waiting`` names who
    needs it; empty where no service does.
    """

    service: str
    containers: tuple[ContainerRef, ...]
    condition: str
    cause: str
    waiting: tuple[str, ...] = ()
    required: bool = True
    timeout_s: float | None = None
    tolerated: int = 0

    @property
    def resource(self) -> Resource:
        return self.containers[0].resource if len(self.containers) == 1 else Resource("service", self.service)

    @property
    def subject(self) -> str:
        return f"{self.service}: {self.condition}"


Operation: TypeAlias = (
    CreateNetwork
    | RemoveNetwork
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

_WORDS: dict[type, tuple[str, str, str]] = {
    CreateNetwork: ("create network", "creating", "created"),
    RemoveNetwork: ("remove network", "removing", "removed"),
    ConnectNetwork: ("connect container", "connecting", "connected"),
    DisconnectNetwork: ("disconnect container", "disconnecting", "disconnected"),
    CreateVolume: ("create volume", "creating", "created"),
    RemoveVolume: ("remove volume", "removing", "removed"),
    PullImage: ("pull image", "pulling", "pulled"),
    BuildImage: ("build image", "building", "built"),
    PushImage: ("push image", "pushing", "pushed"),
    RemoveImage: ("remove image", "removing", "removed"),
    CreateContainer: ("create container", "creating", "created"),
    RunHook: ("run hook", "running", "done"),
    StartContainer: ("start container", "starting", "started"),
    StopContainer: ("stop container", "stopping", "stopped"),
    KillContainer: ("kill container", "killing", "killed"),
    RemoveContainer: ("remove container", "removing", "removed"),
    RenameContainer: ("rename container", "recreating", "recreated"),
    MovePorts: ("move ports", "handing over", "handed over"),
    TagImage: ("tag image", "tagging", "tagged"),
    WaitService: ("wait for service", "waiting", "ready"),
}

REPLACED = "replaced"
"""The cause of the stop and the removal of a container whose place another has taken."""

_MET = {"service_healthy": "healthy", "service_completed_successfully": "completed"}


def action_of(operation: Operation) -> str:
    """Return what an operation does: ``start container``."""
    return _WORDS[type(operation)][0]


def progress_of(operation: Operation) -> tuple[str, str]:
    """Return the word while it lasts and the word when it is done: ``starting``, ``started``."""
    if isinstance(operation, CreateContainer) and operation.spec.name != operation.container.name:
        return "recreating", "recreated"
    if isinstance(operation, RemoveContainer) and operation.cause == REPLACED:
        return "recreating", "recreated"  # the last that is heard of it: it is the new one that stays
    _, doing, done = _WORDS[type(operation)]
    return doing, _MET.get(operation.condition, done) if isinstance(operation, WaitService) else done


def text_of(operation: Operation) -> str:
    """Return an operation in words, without its cause: ``start container app-web-1``."""
    return f"{action_of(operation)} {operation.subject}"
