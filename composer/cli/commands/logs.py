"""``composer logs``: output of containers, merged by time. Reads labels and never loads the model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.cli.context import Context
    from composer.cli.following import Following
    from composer.cli.lines import AnyPrinter
    from composer.engine.backend import Backend, LogStream
    from composer.engine.observed import ObservedContainer


@click.command(name="logs", help="Print the output of service containers.")
@click.option("-f", "--follow", is_flag=True, help="Keep printing new output until the containers stop.")
@click.option(
    "-n", "--tail", default="all", metavar="N", help="Print only the last N lines of each container."
)
@click.option("-t", "--timestamps", is_flag=True, help="Print a timestamp before each line.")
@click.option(
    "--since",
    metavar="TIME",
    help="Print only output after this time, such as 2026-01-02T13:23:37Z, or 42m for 42 minutes ago.",
)
@click.option("--until", metavar="TIME", help="Print only output before this time or relative time.")
@click.option(
    "--index",
    type=click.IntRange(min=1),
    metavar="N",
    help="Print only the output of the replica with this number.",
)
@click.option(
    "--no-log-prefix", is_flag=True, help="Do not print the name of the container before each line."
)
@click.option("--no-color", is_flag=True, help="Do not use colors.")
@click.option(
    "--grep",
    "pattern",
    metavar="PATTERN",
    help="Print only lines that match this regular expression; (?i) at its beginning ignores case.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print each line as a JSON object, with its time and its container.",
)
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], **given: Any) -> int | None:
    from composer.cli.lines import short_name
    from composer.cli.target import present
    from composer.cli.times import moment
    from composer.engine import labels

    project = context.project_name()
    backend = context.backend(project)

    service_of: dict[str, str] = {}

    def wanted(container: ObservedContainer) -> bool:
        service_of[container.id] = labels.service_of(container)
        is_named = not services or labels.service_of(container) in services
        is_one = given["index"] in (None, labels.number_of(container))
        return is_named and is_one and not labels.is_oneoff(container)

    printer = _printer(context, given, lambda id: service_of.get(id, ""))
    now_ns = time.time_ns()
    part: dict[str, Any] = {
        "since_ns": moment(given["since"], "--since", now_ns) or 0,
        "until_ns": moment(given["until"], "--until", now_ns),
        "tail": shared.tail(given["tail"]),
    }
    following = _following(context, backend, project, wanted, printer) if given["follow"] else None
    observed = backend.observe(project)
    found = sorted(filter(wanted, observed.containers), key=lambda c: c.name)
    if services:
        present(context, observed, services)  # what was not created yet is no mistake
    try:
        if following is not None:
            following.run(found, **part)
        else:
            printer.add((c.id, short_name(c.name, project)) for c in found)
            _print(backend.logs([c.id for c in found], **part), printer)
    except KeyboardInterrupt:
        if context.has_reader():
            _end(printer)
        context.abandon_output()
        return 130
    _end(printer)
    return None


def _end(printer: AnyPrinter) -> None:
    from composer.cli.lines import Whole

    if isinstance(printer, Whole):
        printer.close()


def _printer(context: Context, given: dict[str, Any], service_of: Callable[[str], str]) -> AnyPrinter:
    from composer.cli.lines import JsonLines, Printer, Whole

    printer: Printer | JsonLines = Printer(
        context.stdout,
        context.stdout,  # both, as in Docker Compose: people search through it with a pipe
        color=not given["no_color"] and context.is_colored(context.stdout),
        prefix=not given["no_log_prefix"],
        timestamps=given["timestamps"],
    )
    if given["as_json"]:
        printer = JsonLines(context.stdout, service_of)
    if given["pattern"] is not None:
        return Whole(printer, _matcher(given["pattern"]))
    return Whole(printer, lambda line: True) if given["as_json"] else printer


def _matcher(pattern: str) -> Callable[[str], object]:
    """Return what tells whether a line matches. Raises click.BadParameter."""
    import re

    try:
        return re.compile(pattern).search
    except re.error as error:
        raise click.BadParameter(
            f"'{pattern}' is not a regular expression: {error}", param_hint="--grep"
        ) from None


def _following(
    context: Context,
    backend: Backend,
    project: str,
    wanted: Callable[[ObservedContainer], bool],
    printer: AnyPrinter,
) -> Following:
    from composer.cli.following import Following

    return Following(backend, project, wanted, printer, lambda: context.session().changed_by(project))


def _print(stream: LogStream, printer: AnyPrinter) -> None:
    try:
        for line in stream:
            printer.write(line)
    finally:
        stream.close()
