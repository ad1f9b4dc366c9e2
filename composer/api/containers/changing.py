"""What changes a container: started, stopped, paused, renamed, limited, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from composer import errors
from composer.api import filters as filtering
from composer.api import times
from composer.api.containers import attachments, beyond, execs, pictures, processors, starting, wishes
from composer.api.http.problems import Problem
from composer.api.models import containers as models
from composer.api.models.base import body_of
from composer.runtime.base import records, signals
from composer.runtime.base.status import STOPPED_EARLY

if TYPE_CHECKING:
    from composer.api.http.call import Call
    from composer.api.world import World
    from composer.runtime.base.record_types import Meta

Answer = tuple[int, Any]
_UP = ("running", "paused", "restarting")


def _found(call: Call) -> tuple[World, Meta, str]:
    """Return the container that is meant, and Docker's word for its state."""
    world, meta = call.world, call.world.container(call.parameters["id"])
    return world, meta, pictures.status_of(world.core.look(meta, {}))


def start(call: Call) -> Answer:
    world, meta, status = _found(call)
    if status == "paused":
        raise Problem(409, "cannot start a paused container, try unpause instead")
    if status == "running":
        return 304, None
    start_it(world, meta)
    return 204, None


def start_it(world: World, meta: Meta) -> None:
    """Start a container. Raises Problem, in the words that clients make an exit code of."""
    try:
        attachments.start(world, meta)
    except errors.ComposerError as error:
        if "no such container" not in str(error) and meta["auto_remove"]:
            # whoever attached to it waits for its removal
            world.engine.containers.remove(meta["id"], force=True, volumes=True)
            world.settle()
        elif isinstance(error, errors.StartFailed):
            world.container(meta["id"])  # one that was removed in this moment is not found
        if isinstance(error, errors.Conflict) and STOPPED_EARLY in str(error):
            return  # Docker's clients know nothing between: for them it has run, and was stopped
        _refuse(error, meta)


def _refuse(error: errors.ComposerError, meta: Meta) -> NoReturn:
    """Raise what a failed start is answered with."""
    if isinstance(error, errors.StartFailed):
        raise Problem(400 if error.exit_code in (126, 127) else 500, words_of(error, meta)) from None
    if isinstance(error, errors.NotFound) and not (
        "no such container" in str(error) or "was removed" in str(error)
    ):
        raise Problem(404, str(error)) from None
    raise error


def words_of(error: errors.StartFailed, meta: Meta) -> str:
    """Return why a command could not be executed; docker's own command looks for these words."""
    start_of = "failed to create task for container: failed to create shim task: OCI runtime create failed"
    return f"{start_of}: {starting.reason_of(error, meta['command'])}"


def stop(call: Call) -> Answer:
    world, meta, status = _found(call)
    number = _signal(call)
    if status not in _UP:
        return 304, None
    _stop_it(world, meta, call, number)
    return 204, None


def _stop_it(world: World, meta: Meta, call: Call, number: int | None, *, keeps: bool = False) -> None:
    timeout_s = call.query.number("t")
    request: dict[str, Any] = {
        "op": "stop",
        "id": meta["id"],
        # less than none is for ever, as with Docker
        "timeout_s": _FOR_EVER_S
        if timeout_s is not None and not 0 <= timeout_s <= _FOR_EVER_S
        else timeout_s,
        "keeps": keeps,
    }
    if number is not None:
        request["signal"] = number
    try:
        world.core.ask(meta, request)
    except errors.NotFound:
        return  # it ended in this moment, and removed itself


_FOR_EVER_S = 10 * 365 * 24 * 3600


def _signal(call: Call) -> int | None:
    text = call.query.text("signal")
    if not text:
        return None
    number = signals.number(text)
    if number is None:
        raise Problem(400, f"Invalid signal: {text}")
    return number


def restart(call: Call) -> Answer:
    world, meta, status = _found(call)
    number = _signal(call)
    if status in _UP:
        _stop_it(world, meta, call, number, keeps=True)
    start_it(world, meta)
    world.core.emit(meta, "container", "restart", meta["id"])
    return 204, None


def kill(call: Call) -> Answer:
    world, meta, status = _found(call)
    try:
        number = _signal(call) or 9
    except Problem:
        refused = (
            f"cannot kill container: {call.parameters['id']}: invalid signal: {call.query.text('signal')}"
        )
        raise Problem(400, refused) from None
    if status not in ("running", "paused"):
        raise Problem(
            409, f"cannot kill container: {call.parameters['id']}: container {meta['id']} is not running"
        )
    try:
        world.engine.containers.kill(meta["id"], str(number))
    except errors.Conflict:
        raise Problem(
            409, f"cannot kill container: {call.parameters['id']}: container {meta['id']} is not running"
        ) from None
    return 204, None


def pause(call: Call) -> Answer:
    world, meta, status = _found(call)
    if status == "paused":
        raise Problem(409, f"Container {meta['id']} is already paused")
    if status != "running":
        raise Problem(409, f"container {meta['id']} is not running")
    world.engine.containers.pause(meta["id"])
    return 204, None


def unpause(call: Call) -> Answer:
    world, meta, status = _found(call)
    if status != "paused":
        raise Problem(500, f"Container {meta['id']} is not paused")
    world.engine.containers.unpause(meta["id"])
    return 204, None


def rename(call: Call) -> Answer:
    world, meta, _ = _found(call)
    name = call.query.text("name").removeprefix("/")
    if not name:
        raise Problem(400, "neither old nor new names may be empty")
    if name == meta["name"]:
        raise Problem(400, "Renaming a container with the same name as its current name")
    try:
        world.engine.containers.rename(meta["id"], name)
    except errors.Conflict:
        from composer.runtime.objects import naming

        holder = naming.name_holder(world.paths, name) or ""
        raise Problem(
            409,
            f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
            "You have to remove (or rename) that container to be able to reuse that name.",
        ) from None
    except errors.BackendError as error:
        raise Problem(400, str(error)) from None
    return 204, None


def update(call: Call) -> Answer:
    from composer.api.containers import updating

    world, meta, _ = _found(call)
    asked = body_of(call, models.Update)
    attributes = wishes.updates_of(asked)
    policy = asked.RestartPolicy
    if policy is not None and policy.Name:
        if meta["auto_remove"] and policy.Name != "no":
            raise Problem(
                409, "Restart policy cannot be updated because AutoRemove is enabled for the container"
            )
        attributes["restart"] = wishes.restart_text(policy)
    processors.check(asked)
    warnings = updating.update(world, meta, attributes, beyond.resources_of(asked))
    return 200, {"Warnings": warnings or None}


# ------------------------------------------------------------------ removed


def remove(call: Call) -> Answer:
    world, meta, status = _found(call)
    if call.query.flag("link"):
        raise Problem(400, "links of containers cannot be removed: remove the container, or disconnect it")
    force, volumes = call.query.flag("force"), call.query.flag("v")
    if status in ("running", "paused", "restarting") and not force:
        what = "paused" if status == "paused" else status
        remedy = "stop the container before removing or force remove"
        if status == "paused":
            remedy = "unpause and then stop the container before removing or force remove"
        raise Problem(409, f'cannot remove container "{meta["name"]}": container is {what}: {remedy}')
    world.engine.containers.remove(meta["id"], force=force, volumes=volumes)
    world.settle()
    execs.sweep(world)
    return 204, None


def prune(call: Call) -> Answer:
    from composer.runtime.objects import housekeeping

    world = call.world
    filters = filtering.read(call, ("label", "label!", "until"))
    until_ns = min((times.read(text, "until") or 0 for text in filters.texts("until")), default=0)
    gone: list[str] = []
    freed = 0
    watched: dict[str, bool] = {}
    for meta in list(world.core.metas()):
        look = world.core.look(meta, watched)
        is_old = not until_ns or meta["created_ns"] < until_ns
        if pictures.status_of(look) in _UP or not filters.fits_labels(meta["labels"]) or not is_old:
            continue
        if look.status == "starting":
            continue
        size = housekeeping.own_size(world.paths.container(meta["id"]))
        try:
            world.engine.containers.remove(meta["id"])
        except errors.BackendError:
            continue  # it was started in this moment
        gone.append(meta["id"])
        freed += size
    world.core.emit_of(records.NOBODY, {"reclaimed": str(freed)}, "container", "prune", "", "")
    world.settle()
    execs.sweep(world)
    return 200, {"ContainersDeleted": gone or None, "SpaceReclaimed": freed}
