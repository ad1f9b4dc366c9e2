"""Operations on containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.engine.observed import Advance, lines
from composer.engine.operations.row import (
    CHANGES,
    MAKES,
    REMOVES,
    RENAMES,
    STARTS,
    STOPS,
    WAITS,
    ContainerRef,
    DoneAndFailed,
    Resource,
    Row,
    about,
    field,
    text,
)
from composer.errors import BackendError, EngineError, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from composer.engine.backend import Backend
    from composer.engine.operations.row import Perform, Report
    from composer.engine.wanted import ContainerSpec, EndpointSpec, ExecSpec

REPLACED = "replaced"
"""The cause of the stop and the removal of a container whose place another has taken."""

_RESTART = "restart"
_RECREATION = "recreate", "recreated"
"""What Docker Compose says of all steps of a container's replacement but its start."""

_HOOK_LINES = 10
_ASKED_FOR = ("stop", "down")
"""Causes of stops that a user asked for by these verbs: a failing ``pre_stop`` hook is their failure too."""


class CreateContainer(NamedTuple):
    """``spec.name`` is a temporary name while the container takes another's place, ``container.name`` the final.

    ``shares`` maps an attribute to the container whose id it gets: only execution knows the id, and the config
    hash of Docker Compose is over the id. ``hashed`` is the tree for that hash.
    """

    container: ContainerRef
    spec: ContainerSpec
    cause: str
    hashed: Mapping[str, Any] | None = None


def _create_container(backend: Backend, operation: CreateContainer, _: Report) -> str:
    return backend.create_container(operation.spec)


def _is_temporary(operation: CreateContainer) -> bool:
    return operation.spec.name != operation.container.name


def _creating(operation: CreateContainer) -> tuple[str, str]:
    return _RECREATION if _is_temporary(operation) else ("creating", "created")


def _create_in_brief(operation: CreateContainer) -> str:
    return f"create as {operation.spec.name}" if _is_temporary(operation) else "create"


class RunHook(NamedTuple):
    """A ``pre_start`` command in a container of its own: created, run to its end, removed when that was 0.

    One that failed stays, to be looked at, and keeps the service from starting. ``leftover`` is the one that a run
    before this left so.
    """

    container: ContainerRef
    spec: ContainerSpec
    cause: str
    leftover: str = ""
    position: int = 0
    """Its place in the service's list."""


def _run_hook(backend: Backend, operation: RunHook, _: Report) -> None:
    if operation.leftover:
        backend.remove_container(operation.leftover, force=True, volumes=True)
    id = backend.create_container(operation.spec)
    backend.start_container(id)
    code = backend.wait_container(id)
    if code == 0:
        backend.remove_container(id, force=True, volumes=True)
        return
    stream = backend.logs([id], tail=_HOOK_LINES)
    try:
        output = [line.decode(errors="replace").rstrip() for line in lines(stream)]
    finally:
        stream.close()
    failure = "exited with an unknown status" if code is None else f"exited with status {code}"
    error = EngineError(
        f"{operation.container.service} hook {failure}: pre_start[{operation.position}]",
        hint=f"container '{operation.spec.name}' was kept for inspection; remove it with composer down",
    )
    for line in output:
        error.add_note(f"  {line}")
    raise error


class StartContainer(NamedTuple):
    """``hooks`` are the service's post_start commands."""

    container: ContainerRef
    cause: str
    hooks: tuple[ExecSpec, ...] = ()


def _start(backend: Backend, operation: StartContainer, _: Report) -> None:
    backend.start_container(operation.container.id)
    for index, hook in enumerate(operation.hooks):
        code, output = _exec_hook(backend, operation.container.id, hook)
        if code:
            raise _hook_failed(f"post_start[{index}]", operation.container, hook, code, output)


def _starting(operation: StartContainer) -> tuple[str, str]:
    return "restarting" if operation.cause == _RESTART else "starting", "started"


def _start_in_brief(operation: StartContainer) -> str:
    return "start" + (f", then {len(operation.hooks)} post_start" if operation.hooks else "")


class StopContainer(NamedTuple):
    """``hooks`` are the service's pre_stop commands; None as ``timeout_s`` is the container's own grace period."""

    container: ContainerRef
    cause: str
    timeout_s: float | None = None
    hooks: tuple[ExecSpec, ...] = ()


def _stop(backend: Backend, operation: StopContainer, report: Report) -> None:
    failed: list[Exception] = []
    for index, hook in enumerate(operation.hooks):
        # a hook that fails must not keep a container from being stopped
        try:
            code, output = _exec_hook(backend, operation.container.id, hook)
        except BackendError as error:
            failed.append(
                EngineError(f"pre_stop[{index}] of service '{operation.container.service}': {error}")
            )
            continue
        if code:
            failed.append(_hook_failed(f"pre_stop[{index}]", operation.container, hook, code, output))
    for failure in failed:
        report(Advance(str(failure)))
    try:
        backend.stop_container(operation.container.id, timeout_s=operation.timeout_s)
    except NotFound:
        pass  # it ended by itself meanwhile, and was to be removed then
    if failed and operation.cause in _ASKED_FOR:
        raise DoneAndFailed(failed[0])


def _stopping(operation: StopContainer) -> tuple[str, str]:
    if operation.cause == REPLACED:
        return _RECREATION
    return ("restarting", "restarting") if operation.cause == _RESTART else ("stopping", "stopped")


def _stop_in_brief(operation: StopContainer) -> str:
    return (f"{len(operation.hooks)} pre_stop, then " if operation.hooks else "") + "stop"


def _exec_hook(backend: Backend, id: str, hook: ExecSpec) -> tuple[int, list[str]]:
    """Run a command in a container; return its exit code and the last lines of its output."""
    session = backend.exec(id, hook)
    try:
        output = b""
        while (chunk := session.read()) is not None:
            output = (output + chunk[1])[-8192:]
        return session.wait(), output.decode(errors="replace").splitlines()[-_HOOK_LINES:]
    finally:
        session.close()


def _hook_failed(
    which: str, container: ContainerRef, hook: ExecSpec, code: int, output: Sequence[str]
) -> EngineError:
    command = " ".join(hook.command)
    error = EngineError(f"{container.service} hook exited with status {code}: {which}, '{command}'")
    for line in output:
        error.add_note(f"  {line}")
    return error


class KillContainer(NamedTuple):
    container: ContainerRef
    signal: str
    cause: str


def _kill(backend: Backend, operation: KillContainer, _: Report) -> None:
    backend.kill_container(operation.container.id, operation.signal)


class RemoveContainer(NamedTuple):
    """``volumes``: with its anonymous volumes."""

    container: ContainerRef
    cause: str
    volumes: bool = False


def _remove(backend: Backend, operation: RemoveContainer, _: Report) -> None:
    backend.remove_container(operation.container.id, force=True, volumes=operation.volumes)


def _removing(operation: RemoveContainer) -> tuple[str, str]:
    if operation.cause == REPLACED:
        return _RECREATION  # it is the new one that stays
    return "removing", "removed"


def _remove_in_brief(operation: RemoveContainer) -> str:
    return "remove" + (" the old one" if operation.cause == REPLACED else "")


class RenameContainer(NamedTuple):
    """From ``old_name`` to ``container.name``; ``to`` is another name, for one that makes room."""

    container: ContainerRef
    old_name: str
    cause: str
    to: str = ""

    @property
    def new_name(self) -> str:
        return self.to or self.container.name


def _rename(backend: Backend, operation: RenameContainer, _: Report) -> None:
    backend.rename_container(operation.container.id, operation.new_name)


class ConnectNetwork(NamedTuple):
    """The endpoint is complete, aliases and fixed addresses included: a bare reconnect would lose them."""

    container: ContainerRef
    endpoint: EndpointSpec
    cause: str


def _connect(backend: Backend, operation: ConnectNetwork, _: Report) -> None:
    backend.connect_network(operation.container.id, operation.endpoint)


class DisconnectNetwork(NamedTuple):
    container: ContainerRef
    network: str
    cause: str


def _disconnect(backend: Backend, operation: DisconnectNetwork, _: Report) -> None:
    backend.disconnect_network(operation.container.id, operation.network)


class MovePorts(NamedTuple):
    """``container`` gets the published ports that ``source`` has; no connection is refused meanwhile."""

    container: ContainerRef
    source: ContainerRef
    cause: str


def _move_ports(backend: Backend, operation: MovePorts, _: Report) -> None:
    backend.move_ports(operation.source.id, operation.container.id)


# ------------------------------------------------------------------ rows


def _facts(operation: Any) -> dict[str, Any]:
    return {"service": operation.container.service, "number": operation.container.number}


_NAME, _CONTAINER = field("container.name"), about("container", "container.name")


def _row(
    action: str,
    doing: str,
    done: str,
    effect: str,
    perform: Perform,
    *,
    subject: Callable[[Any], str] = _NAME,
    resource: Callable[[Any], Resource] = _CONTAINER,
    progress: Callable[[Any], tuple[str, str]] | None = None,
    brief: Callable[[Any], str] | None = None,
) -> Row:
    """Return the row of an operation on one container."""
    return Row(action, doing, done, effect, resource, subject, perform, progress, brief, _facts)


ROWS: dict[type, Row] = {
    CreateContainer: _row(
        "create container",
        "creating",
        "created",
        MAKES,
        _create_container,
        subject=field("spec.name"),
        progress=_creating,
        brief=_create_in_brief,
    ),
    RunHook: _row(
        "run hook",
        "running",
        "done",
        STARTS,
        _run_hook,
        subject=field("spec.name"),
        resource=about("hook", "spec.name"),
    ),
    StartContainer: _row(
        "start container",
        "starting",
        "started",
        STARTS,
        _start,
        progress=_starting,
        brief=_start_in_brief,
    ),
    StopContainer: _row(
        "stop container", "stopping", "stopped", STOPS, _stop, progress=_stopping, brief=_stop_in_brief
    ),
    KillContainer: _row(
        "kill container",
        "killing",
        "killed",
        STOPS,
        _kill,
        subject=text("{o.container.name} with {o.signal}"),
    ),
    RemoveContainer: _row(
        "remove container",
        "removing",
        "removed",
        REMOVES,
        _remove,
        progress=_removing,
        brief=_remove_in_brief,
    ),
    RenameContainer: _row(
        "rename container",
        *_RECREATION,
        RENAMES,
        _rename,
        subject=text("{o.old_name} to {o.new_name}"),
        brief=text("rename {o.old_name} to {o.new_name}"),
    ),
    ConnectNetwork: _row(
        "connect container",
        "connecting",
        "connected",
        CHANGES,
        _connect,
        subject=text("{o.container.name} to {o.endpoint.network}"),
        brief=text("connect to {o.endpoint.network}"),
    ),
    DisconnectNetwork: _row(
        "disconnect container",
        "disconnecting",
        "disconnected",
        CHANGES,
        _disconnect,
        subject=text("{o.container.name} from {o.network}"),
        brief=text("disconnect from {o.network}"),
    ),
    MovePorts: _row(
        "move ports",
        "handing over",
        "handed over",
        # it comes with a start or a removal, which says what becomes of the container
        WAITS,
        _move_ports,
        subject=text("of container {o.source.name} to its replacement"),
        brief=text("take over the published ports"),
    ),
}
