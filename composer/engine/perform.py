"""How each operation is carried out: one function per type, called by a worker, all effects through the backend.

A function gets the operation with every id filled in, and returns what later operations need of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.engine import operations as op
from composer.engine.observed import Advance
from composer.errors import BackendError, EngineError, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.engine.backend import Backend
    from composer.engine.observed import ObservedImage
    from composer.engine.wanted import ExecSpec

    Report = Callable[[Advance], None]
    Perform = Callable[[Backend, Any, Report], Any]

_HOOK_LINES = 10


class Kept(Exception):
    """Something optional was left as it is; the text says why."""


def perform(backend: Backend, operation: op.Operation, report: Report) -> Any:
    """Carry out one operation. ``report`` takes news for the user while it lasts."""
    return _TABLE[type(operation)](backend, operation, report)


def _create_network(backend: Backend, operation: op.CreateNetwork, _: Report) -> str:
    return backend.create_network(operation.spec)


def _remove_network(backend: Backend, operation: op.RemoveNetwork, _: Report) -> None:
    _optionally(operation.optional, lambda: backend.remove_network(operation.id or operation.name))


def _mend_network(backend: Backend, operation: op.MendNetwork, _: Report) -> None:
    backend.mend_network(operation.id)


def _connect(backend: Backend, operation: op.ConnectNetwork, _: Report) -> None:
    backend.connect_network(operation.container.id, operation.endpoint)


def _disconnect(backend: Backend, operation: op.DisconnectNetwork, _: Report) -> None:
    backend.disconnect_network(operation.container.id, operation.network)


def _create_volume(backend: Backend, operation: op.CreateVolume, _: Report) -> str:
    return backend.create_volume(operation.spec)


def _remove_volume(backend: Backend, operation: op.RemoveVolume, _: Report) -> None:
    _optionally(operation.optional, lambda: backend.remove_volume(operation.name))


def _pull(backend: Backend, operation: op.PullImage, report: Report) -> ObservedImage | None:
    pulled: list[ObservedImage] = []
    _optionally(
        operation.optional,
        lambda: pulled.append(backend.pull_image(operation.reference, progress=report)),
    )
    return pulled[0] if pulled else None


def _build(backend: Backend, operation: op.BuildImage, report: Report) -> ObservedImage:
    if operation.unless_there:
        found = backend.find_image(operation.spec.reference)
        if found is not None:
            return found
    return backend.build_image(operation.spec, progress=report)


def _push(backend: Backend, operation: op.PushImage, report: Report) -> None:
    _optionally(operation.optional, lambda: backend.push_image(operation.reference, progress=report))


def _remove_image(backend: Backend, operation: op.RemoveImage, _: Report) -> None:
    _optionally(operation.optional, lambda: backend.remove_image(operation.reference))


def _create_container(backend: Backend, operation: op.CreateContainer, _: Report) -> str:
    return backend.create_container(operation.spec)


def _run_hook(backend: Backend, operation: op.RunHook, _: Report) -> None:
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
        output = [line.data.decode(errors="replace").rstrip() for line in stream]
    finally:
        stream.close()
    failure = "ended with an unknown exit code" if code is None else f"failed: exit {code}"
    error = EngineError(
        f"pre_start hook of service '{operation.container.service}' {failure}",
        hint=f"its container '{operation.spec.name}' is kept: composer down removes it",
    )
    for line in output:
        error.add_note(f"  {line}")
    raise error


def _start(backend: Backend, operation: op.StartContainer, _: Report) -> None:
    backend.start_container(operation.container.id)
    for hook in operation.hooks:
        code, output = run_hook(backend, operation.container.id, hook)
        if code:
            raise _hook_failed("post_start", hook, code, output)


def _stop(backend: Backend, operation: op.StopContainer, report: Report) -> None:
    for hook in operation.hooks:
        # a hook that fails must not keep a container from being stopped
        try:
            code, output = run_hook(backend, operation.container.id, hook)
        except BackendError as error:
            report(Advance(f"pre_stop: {error}"))
            continue
        if code:
            report(Advance(str(_hook_failed("pre_stop", hook, code, output))))
    try:
        backend.stop_container(operation.container.id, timeout_s=operation.timeout_s)
    except NotFound:
        pass  # it ended by itself meanwhile, and was to be removed then


def _kill(backend: Backend, operation: op.KillContainer, _: Report) -> None:
    backend.kill_container(operation.container.id, operation.signal)


def _remove(backend: Backend, operation: op.RemoveContainer, _: Report) -> None:
    backend.remove_container(operation.container.id, force=True, volumes=operation.volumes)


def _rename(backend: Backend, operation: op.RenameContainer, _: Report) -> None:
    backend.rename_container(operation.container.id, operation.new_name)


def _move_ports(backend: Backend, operation: op.MovePorts, _: Report) -> None:
    backend.move_ports(operation.source.id, operation.container.id)


def _tag_image(backend: Backend, operation: op.TagImage, _: Report) -> None:
    backend.tag_image(operation.image_id, operation.reference)


def run_hook(backend: Backend, id: str, hook: ExecSpec) -> tuple[int, list[str]]:
    """Run a command in a container; return its exit code and the last lines of its output."""
    session = backend.exec(id, hook)
    try:
        output = b""
        while (chunk := session.read()) is not None:
            output = (output + chunk[1])[-8192:]
        return session.wait(), output.decode(errors="replace").splitlines()[-_HOOK_LINES:]
    finally:
        session.close()


def _hook_failed(kind: str, hook: ExecSpec, code: int, output: Sequence[str]) -> EngineError:
    error = EngineError(f"{kind} hook '{' '.join(hook.command)}' failed: exit {code}")
    for line in output:
        error.add_note(f"  {line}")
    return error


def _optionally(optional: bool, effect: Callable[[], None]) -> None:
    try:
        effect()
    except NotFound:
        if not optional:
            raise
    except BackendError as error:
        if not optional:
            raise
        raise Kept(str(error)) from error


_TABLE: dict[type, Perform] = {
    op.CreateNetwork: _create_network,
    op.RemoveNetwork: _remove_network,
    op.MendNetwork: _mend_network,
    op.ConnectNetwork: _connect,
    op.DisconnectNetwork: _disconnect,
    op.CreateVolume: _create_volume,
    op.RemoveVolume: _remove_volume,
    op.PullImage: _pull,
    op.BuildImage: _build,
    op.PushImage: _push,
    op.RemoveImage: _remove_image,
    op.CreateContainer: _create_container,
    op.RunHook: _run_hook,
    op.StartContainer: _start,
    op.StopContainer: _stop,
    op.KillContainer: _kill,
    op.RemoveContainer: _remove,
    op.RenameContainer: _rename,
    op.MovePorts: _move_ports,
    op.TagImage: _tag_image,
}
