"""``composer stats``: what containers use, every second, or once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from composer.cli import options as shared
from composer.cli.safe import ESCAPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.cli.context import Context
    from composer.cli.record import Record
    from composer.engine.backend import Backend
    from composer.engine.inspected import Usage
    from composer.engine.observed import ObservedContainer

    Sample = tuple[ObservedContainer, Usage | None]

_INTERVAL_S = 1.0
HEADERS = {
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
_INTERRUPTED = 130


@click.command(name="stats", help=shared.USAGE)
@shared.usage
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.pass_obj
def command(
    context: Context,
    /,
    services: tuple[str, ...],
    everything: bool,
    no_stream: bool,
    no_trunc: bool,
    style: str,
) -> int | None:
    from composer.cli import listing
    from composer.cli.target import chosen

    project = context.project_name()
    backend = context.backend(project)
    found = chosen(context, backend, project, services, oneoff=True)
    if found is None:  # what was not created yet is no mistake
        Screen(context).show(listing.render(style, [], HEADERS))
        return None

    def look() -> list[Sample]:
        return _samples(backend, project, found, everything=everything)

    return follow(context, look, style, no_stream=no_stream, no_trunc=no_trunc)


def follow(
    context: Context, look: Callable[[], list[Sample]], style: str, *, no_stream: bool, no_trunc: bool
) -> int | None:
    """Show what containers use, as ``look`` finds it, every second until Ctrl-C; or once."""
    from composer.cli import listing

    screen = Screen(context)
    before: dict[str, Usage] = {}
    is_first = True
    try:
        while True:
            samples = look()
            now = {container.id: usage for container, usage in samples if usage is not None}
            if not is_first or not now:
                rows = [
                    row(container, before.get(container.id), usage, whole=no_trunc)
                    for container, usage in samples
                ]
                screen.show(listing.render(style, rows, HEADERS, others={"Container": "CONTAINER"}))
                if no_stream:
                    return None
            before, is_first = now, False
            time.sleep(_INTERVAL_S)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _samples(backend: Backend, project: str, services: tuple[str, ...], *, everything: bool) -> list[Sample]:
    """Look at each container once. One that has gone meanwhile is left out."""
    from composer.engine.planning.lifecycle import Fleet
    from composer.errors import NotFound

    fleet = Fleet(backend.observe(project), services, oneoff=True)
    found = []
    for container in (c for service in fleet.selected for c in fleet.containers[service]):
        try:
            usage = backend.usage(container.id)
        except NotFound:
            continue
        if usage is not None or everything:
            found.append((container, usage))
    return found


def row(container: ObservedContainer, before: Usage | None, now: Usage | None, *, whole: bool) -> Record:
    """Return Docker's fields of one line."""
    from composer.cli import table
    from composer.cli.record import Record

    limit = now.memory_limit_bytes if now else 0
    used = now.memory_bytes if now else 0
    return Record(
        BlockIO=_both(now.read_bytes, now.written_bytes) if now else _both(0, 0),
        CPUPerc=f"{cpu_percent(before, now):.2f}%",
        Container=container.id,
        ID=container.id if whole else container.id[:12],
        MemPerc=f"{100 * used / limit if limit else 0:.2f}%",
        MemUsage=f"{table.binary_size(used)} / {table.binary_size(limit)}",
        Name=container.name,
        NetIO=_both(now.received_bytes, now.sent_bytes) if now else _both(0, 0),
        PIDs=str(now.processes if now else 0),
    )


def _both(first: int, second: int) -> str:
    from composer.cli import table

    return f"{table.size(first)} / {table.size(second)}"


def cpu_percent(before: Usage | None, now: Usage | None) -> float:
    """Return the share of one processor between two samples: 200 is two of them. A restart begins at 0 again."""
    if before is None or now is None or now.time_ns <= before.time_ns or now.cpu_ns < before.cpu_ns:
        return 0.0
    return 100 * (now.cpu_ns - before.cpu_ns) / (now.time_ns - before.time_ns)


class Screen:
    """Where the table is shown: redrawn in place on a terminal, one after the other elsewhere."""

    def __init__(self, context: Context) -> None:
        self._stream = context.stdout
        self._is_terminal = context.stdout.isatty() and context.settings.ansi != "never"
        self._is_first = True

    def show(self, text: str) -> None:
        if self._is_terminal:
            # home, each line wiped behind its end, and what is left below; the first time the whole screen
            start = f"{ESCAPE}[2J{ESCAPE}[H" if self._is_first else f"{ESCAPE}[H"
            text = start + text.replace("\n", f"{ESCAPE}[K\n") + f"{ESCAPE}[K\n{ESCAPE}[J"
        else:
            text = f"{text}\n" if text else ""
        self._is_first = False
        self._stream.write(text)
        self._stream.flush()
