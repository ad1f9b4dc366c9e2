"""`GET /containers/{id}/logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.api import times
from composer.api.containers import conversation
from composer.api.http import reading
from composer.api.http.problems import Problem
from composer.runtime.base import records
from composer.runtime.objects.log_reader import Logs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from composer.api.http.call import Call
    from composer.runtime.objects.log_reader import LogPiece


def logs(call: Call) -> None:
    world, query = call.world, call.query
    meta = world.container(call.parameters["id"])
    streams = tuple(name for name in ("stdout", "stderr") if query.flag(name))
    if not streams:
        raise Problem(400, "Bad parameters: you must choose at least one stream")
    config = world.core.config(meta["id"])
    if records.is_silent(config):
        raise Problem(501, "configured logging driver does not support reading")
    tty = bool(config["process"].get("terminal"))
    found = Logs(
        world.paths,
        [meta["id"]],
        follow=query.flag("follow"),
        since_ns=times.read(query.text("since"), 'value for "since"') or 0,
        until_ns=times.read(query.text("until"), 'value for "until"'),
        tail=_tail(query.text("tail")),
        reader=call.wire.fileno(),
    )
    timestamps, details = query.flag("timestamps"), query.flag("details")
    sink = call.begin(200, conversation.kind_of(call, tty=tty))
    try:
        for piece in found:
            if not tty and piece.stream not in streams:
                continue
            parts: Iterable[bytes] = (piece.data,)
            if timestamps or details:
                parts = _lines(piece, timestamps=timestamps, details=details)
            for data in parts:
                sink.write(data if tty else conversation.frame(piece.stream, data))
    finally:
        found.close()
    sink.end()


def _tail(text: str) -> int | None:
    """Read ``all`` or a number; what is neither is all, as with Docker. Raises Problem for a number of no engine's."""
    if not (text.isascii() and text.isdecimal()):
        return None
    try:
        return reading.number(text)
    except ValueError as error:
        raise Problem(400, f"invalid tail {text[:40]!r}: {error}") from None


def _lines(piece: LogPiece, *, timestamps: bool, details: bool) -> Iterator[bytes]:
    """Yield the lines, each a piece of its own, with their time and their details: of these there are none, a space.

    Only a line feed ends one: `splitlines` knows more.
    """
    moment = times.written_whole(piece.time_ns).encode() + b" " if timestamps else b""
    moment += b" " if details else b""
    *lines, rest = piece.data.split(b"\n")
    yield from (moment + line + b"\n" for line in lines)
    if rest:
        yield moment + rest
