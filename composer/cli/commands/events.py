"""``composer events``: what happens in the project, as it happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.engine.backend import Event

_OWN = ("name", "image", "exitCode", "willRestart", "health_status", "signal", "container")


@click.command(name="events", help="Show what happens, as it happens.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per line.")
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], as_json: bool) -> int | None:
    from composer.engine import labels

    project = context.project_name()
    stream = context.backend(project).events(project)
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


def _text(event: Event) -> str:
    from composer.cli.lines import timestamp

    details = ", ".join(f"{key}={event.attributes[key]}" for key in _OWN if key in event.attributes)
    return f"{timestamp(event.time_ns)} {event.kind} {event.action} {event.id} ({details})"


def _json(event: Event, service: str) -> str:
    from composer.cli.lines import timestamp

    return json.dumps(
        {
            "time": timestamp(event.time_ns),
            "type": event.kind,
            "action": event.action,
            "id": event.id,
            "service": service,
            "attributes": {key: event.attributes[key] for key in _OWN if key in event.attributes},
        },
        ensure_ascii=False,
    )
