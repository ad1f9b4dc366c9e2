"""``composer top``: the processes of services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context

_GAP = 2
_LEAST = 4


@click.command(name="top", help="List the running processes of service containers.")
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...]) -> None:
    from composer.cli import table
    from composer.cli.target import present
    from composer.engine import labels
    from composer.engine.observed import ContainerState
    from composer.engine.planning.lifecycle import selected

    project = context.project_name()
    backend = context.backend(project)
    observed = backend.observe(project)
    chosen = present(context, observed, services)
    if chosen is None:
        return
    titles: dict[str, None] = {}
    found: list[dict[str, str]] = []
    for container in selected(observed, chosen):
        if container.state not in (ContainerState.RUNNING, ContainerState.PAUSED):
            continue
        processes = backend.processes(container.id)
        titles.update(dict.fromkeys(processes.titles))
        first = {"SERVICE": labels.service_of(container), "#": str(labels.number_of(container))}
        found += [{**first, **dict(zip(processes.titles, row, strict=True))} for row in processes.rows]
    if found:
        columns = ("SERVICE", "#", *titles)
        lines = [columns, *(tuple(row.get(column, "-") for column in columns) for row in found)]
        context.write(table.align(lines, gap=_GAP, least=_LEAST))
