"""`POST /containers/{id}/attach`, the same by websocket, and the size of a container's terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.api.containers import attachments, conversation, pictures
from composer.api.http.problems import Problem
from composer.api.http.wire import Gone
from composer.runtime.base import records
from composer.runtime.container import console
from composer.runtime.objects.attaching import AttachSession, lend_input
from composer.runtime.objects.log_reader import Logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.api.http.call import Call
    from composer.api.http.wire import Wire
    from composer.api.world import World
    from composer.runtime.base.record_types import Meta


def attach(call: Call) -> None:
    world, meta = call.world, _attachable(call)
    tty, streams, takes_input = _asked(call, meta)
    keys = conversation.keys_of(call.query.text("detachKeys"))
    first = call.rest()

    def greet() -> Wire:
        wire = call.take_over(conversation.kind_of(call, tty=tty))
        if call.query.flag("logs"):
            _replay(world, meta, wire, streams, tty=tty)
        return wire

    try:
        if call.query.flag("stream"):
            _stream(world, meta, greet, streams, tty=tty, takes_input=takes_input, keys=keys, first=first)
        else:
            greet()
        call.wire.linger()
    except Gone:
        return  # the client has what it wanted
    finally:
        if call.is_taken:
            call.wire.close()


def _attachable(call: Call) -> Meta:
    meta = call.world.container(call.parameters["id"])
    if pictures.status_of(call.world.core.look(meta, {})) == "paused":
        raise Problem(409, f"container {meta['id']} is paused, unpause the container before attach")
    return meta


def _asked(call: Call, meta: Meta) -> tuple[bool, tuple[str, ...], bool]:
    """Return whether there is a terminal, which streams are wanted, and whether input comes."""
    config = call.world.core.config(meta["id"])
    tty = bool(config["process"].get("terminal"))
    streams = tuple(name for name in ("stdout", "stderr") if call.query.flag(name))
    has_input = bool(records.extras(config).get("stdin"))
    return tty, streams, call.query.flag("stdin") and has_input


def _replay(world: World, meta: Meta, wire: Wire, streams: tuple[str, ...], *, tty: bool) -> None:
    for piece in Logs(world.paths, [meta["id"]], follow=False, since_ns=0, until_ns=None, tail=None):
        if tty:
            wire.send(piece.data)
        elif piece.stream in streams:
            wire.send(conversation.frame(piece.stream, piece.data))


def _stream(
    world: World,
    meta: Meta,
    greet: Callable[[], Wire],
    streams: tuple[str, ...],
    *,
    tty: bool,
    takes_input: bool,
    keys: bytes,
    first: bytes,
) -> None:
    """Be attached until the container or the client ends; to one that does not run from its start on.

    The client is greeted when everything is in place: its next request may be the start.
    """
    id, owner = meta["id"], str(meta["project"])
    registry = world.kept("attachments", attachments.Attachments)
    waiting = None
    if not world.core.is_active(id):
        waiting = attachments.Waiting(wants_input=takes_input or tty)
        registry.add(id, waiting)
    wires: list[Wire] = []

    def begin() -> tuple[int, bool]:
        wires.append(greet())
        world.core.emit(meta, "container", "attach", id)
        if waiting is not None:
            return attachments.await_start(world, meta, wires[0], waiting)
        return lend_input(world.core.client(owner), id) if takes_input or tty else (-1, False)

    session = None
    try:
        session = AttachSession(
            world.paths.container(id),
            begin=begin,
            wait=lambda until: world.engine.containers.wait(id, until=until),
            kill=lambda number: world.engine.containers.kill(id, number),
        )
        talk = conversation.Conversation(
            wires[0],
            session,
            tty=tty,
            streams=streams,
            takes_input=takes_input,
            closes_input=_closes_input(world, id),
            keys=keys if takes_input else b"",
            first=first,
        )
        talk.run()
        if talk.is_detached:
            world.core.emit(meta, "container", "detach", id)
    except (errors.Conflict, errors.NotFound):
        if not wires:
            raise
        return  # it did not start, or has gone: there is nothing to be attached to
    finally:
        if session is not None:
            session.close()
        if waiting is not None:
            registry.discard(id, waiting)
            waiting.close()


def _closes_input(world: World, id: str) -> bool:
    """Tell whether the container's input ends with the first client (StdinOnce); a command's container says nothing."""
    return bool((records.request(world.paths.container(id)).get("config") or {}).get("StdinOnce", True))


def attach_by_websocket(call: Call) -> None:
    """Speak RFC 6455 in place of frames: what comes is the program's input, what goes is its output."""
    from composer.api.http.websocket import WebSocket

    world, meta = call.world, _attachable(call)
    _, streams, takes_input = _asked(call, meta)
    made: list[WebSocket] = []

    def greet() -> Wire:
        made.append(WebSocket(call))
        wire: Any = made[0]  # it has a wire's methods
        if call.query.flag("logs"):
            _replay(world, meta, wire, streams, tty=True)
        return wire  # type: ignore[no-any-return]

    try:
        if call.query.flag("stream"):
            wanted = streams or ("stdout", "stderr")
            _stream(world, meta, greet, wanted, tty=True, takes_input=takes_input, keys=b"", first=b"")
        else:
            greet()
        made[0].end()
    except Gone:
        return
    finally:
        if made:
            made[0].close()


def resize(call: Call) -> tuple[int, Any]:
    world, meta = call.world, call.world.container(call.parameters["id"])
    rows, columns = size_of(call)
    if not world.core.is_active(meta["id"]):
        raise Problem(409, f"container {meta['id']} is not running")
    try:
        lent, tty = lend_input(world.core.client(str(meta["project"])), meta["id"])
    except errors.Conflict:
        raise Problem(409, f"container {meta['id']} is not running") from None
    if lent >= 0:
        try:
            if tty:
                console.set_size(lent, rows, columns)
        finally:
            os.close(lent)
    world.core.emit_of(
        str(meta["project"]),
        {**meta["event"], "height": str(rows), "width": str(columns)},
        "container",
        "resize",
        meta["id"],
        meta["name"],
    )
    return 200, None


def size_of(call: Call) -> tuple[int, int]:
    """Return rows and columns. Raises Problem."""
    found = []
    for name in ("h", "w"):
        number = call.query.number(name)
        if number is None or not 0 <= number < 65536:
            raise Problem(
                400, f"invalid resize {'height' if name == 'h' else 'width'} {call.query.text(name)!r}"
            )
        found.append(number)
    return found[0], found[1]
