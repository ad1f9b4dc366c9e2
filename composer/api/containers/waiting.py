"""`POST /containers/{id}/wait`: the head goes out at once, the exit code when there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.api.containers import pictures
from composer.api.containers.waits import Happenings
from composer.api.http.call import JSON
from composer.api.http.problems import Problem

if TYPE_CHECKING:
    from composer.api.http.call import Call
    from composer.api.world import World
    from composer.runtime.base.record_types import Meta

_CONDITIONS = ("not-running", "next-exit", "removed")


def wait(call: Call) -> None:
    world, meta = call.world, call.world.container(call.parameters["id"])
    condition = call.query.text("condition") or "not-running"
    if condition not in _CONDITIONS:
        raise Problem(400, f'invalid condition: "{condition}"')
    # listening first: what happens between the look and the wait is in the journal
    with Happenings(world, str(meta["project"]), call.wire) as happenings:
        code = _now(world, meta) if condition == "not-running" else None
        sink = call.begin(200, JSON)
        if code is None:
            code = _await(happenings, meta["id"], condition)
        error = _error(world, meta) if code == _UNKNOWN else None
        sink.write_line({"StatusCode": code, **({"Error": {"Message": error}} if error else {})})
        sink.end()


_UNKNOWN = 255


def _now(world: World, meta: Meta) -> int | None:
    """Return the exit code of a container that does not run; None of one that does."""
    look = world.core.look(meta, {})
    if pictures.status_of(look) in (*pictures.RUNNING, "restarting") or look.status == "starting":
        return None
    return pictures.exit_code_of(look)


def _await(happenings: Happenings, id: str, condition: str) -> int:
    """Return the exit code once it has come to what is waited for."""
    code = 0
    while True:
        event: Any = happenings.next()
        if event.id != id or event.kind != "container":
            continue
        if event.action == "die":
            shown = event.attributes.get("exitCode", "")
            code = int(shown) if shown.lstrip("-").isdecimal() else _UNKNOWN
            is_final = event.attributes.get("willRestart", "false") != "true"
            if condition == "next-exit" or (condition == "not-running" and is_final):
                return code
        elif event.action == "destroy":
            return code


def _error(world: World, meta: Meta) -> str:
    return "" if world.core.is_active(meta["id"]) else "the exit code of the container is unknown"
