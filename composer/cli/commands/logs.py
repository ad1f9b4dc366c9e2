"""``composer logs``: output of containers, merged by time. Reads labels and never loads the model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.engine.backend import LogStream


@click.command(name="logs", help="View output from containers.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@click.option("-n", "--tail", default="all", metavar="N", help="Only the last lines of each container.")
@click.option("-t", "--timestamps", is_flag=True, help="Show the time of each line.")
@click.option(
    "--since", metavar="TIME", help="Only after this time, or this long ago (2026-01-02T13:23:37Z, 42m)."
)
@click.option("--until", metavar="TIME", help="Only before this time, or this long ago.")
@click.option("--index", type=click.IntRange(min=1), metavar="N", help="Only this replica.")
@click.option("--no-log-prefix", is_flag=True, help="Show no names of containers.")
@click.option("--no-color", is_flag=True, help="Show no colours.")
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], **given: Any) -> int | None:
    from composer.cli.lines import Printer, short_name
    from composer.cli.times import moment
    from composer.engine import labels

    project = context.project_name()
    backend = context.backend(project)
    found = [
        c
        for c in backend.observe(project).containers
        if (not services or labels.service_of(c) in services)
        and (given["index"] is None or labels.number_of(c) == given["index"])
    ]
    _check([labels.service_of(c) for c in found], services)
    now_ns = time.time_ns()
    stream = backend.logs(
        [c.id for c in sorted(found, key=lambda c: c.name)],
        follow=given["follow"],
        since_ns=moment(given["since"], "--since", now_ns) or 0,
        until_ns=moment(given["until"], "--until", now_ns),
        tail=_tail(given["tail"]),
    )
    printer = Printer(
        context.stdout,
        context.stderr,
        color=not given["no_color"] and context.is_colored(context.stdout),
        prefix=not given["no_log_prefix"],
        timestamps=given["timestamps"],
    )
    printer.add((c.id, short_name(c.name, project)) for c in found)
    return _print(stream, printer)


def _print(stream: LogStream, printer: Any) -> int | None:
    try:
        for line in stream:
            printer.write(line)
    except KeyboardInterrupt:
        return 130
    finally:
        stream.close()
    return None


def _check(known: list[str], services: tuple[str, ...]) -> None:
    from composer.errors import UnknownService

    for name in services:
        if name not in known:
            raise UnknownService(
                f"no container of service '{name}'", hint="composer ps --all lists what there is"
            )


def _tail(text: str) -> int | None:
    if text == "all" or text.startswith("-"):
        return None
    if not (text.isascii() and text.isdigit()):
        raise click.BadParameter(f"'{text}' is not a number or 'all'", param_hint="--tail")
    return int(text)
