"""``composer events``: what happens in the project, as it happens."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.engine.observed import Event

_HIDDEN = ("com.docker.compose.", "composer.", "willRestart")


@click.command(name="events", help="Print container events in real time.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.option(
    "--since",
    metavar="TIME",
    help="Print only events after this time, such as 2026-01-02T13:23:37Z, or 42m for 42 minutes ago.",
)
@click.option("--until", metavar="TIME", help="Stop at this time or relative time.")
@shared.services
@click.pass_obj
def command(
    context: Context,
    /,
    services: tuple[str, ...],
    as_json: bool,
    since: str | None,
    until: str | None,
) -> int | None:
    from composer.cli.target import chosen
    from composer.cli.times import moment
    from composer.engine import labels

    now_ns = time.time_ns()
    since_ns, until_ns = moment(since, "--since", now_ns), moment(until, "--until", now_ns)
    project = context.project_name()
    backend = context.backend(project)
    chosen(context, backend, project, services, oneoff=True)  # for its error
    stream = backend.events(project, since_ns=since_ns, until_ns=until_ns)
    try:
        while (event := stream.next(None)) is not None:
            service = event.attributes.get(labels.SERVICE, "")
            if event.kind == "container" and (not services or service in services):
                context.write(_json(event, service) if as_json else _text(event))
                context.stdout.flush()
    except KeyboardInterrupt:
        return 130
    finally:
        stream.close()
    return None


def _attributes(event: Event) -> dict[str, str]:
    """Return what an event says, without the labels of projects, and what only an attached ``up`` wants to know."""
    return {key: event.attributes[key] for key in sorted(event.attributes) if not key.startswith(_HIDDEN)}


def _text(event: Event) -> str:
    details = ", ".join(f"{key}={value}" for key, value in _attributes(event).items())
    seconds, rest_ns = divmod(event.time_ns, 1_000_000_000)
    when = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))}.{rest_ns // 1000:06}"
    return f"{when} {event.kind} {event.action} {event.id} ({details})"


def _json(event: Event, service: str) -> str:
    from composer import dates

    return json.dumps(
        {
            "action": event.action,
            "attributes": _attributes(event),
            "id": event.id,
            "service": service,
            "time": dates.utc_ns(event.time_ns),
            "type": event.kind,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )
