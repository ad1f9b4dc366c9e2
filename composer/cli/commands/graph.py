"""``composer graph``: who needs whom, and on what condition; what of it runs, and what the last start waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from composer.cli.context import Context

_FORMATS = ("text", "mermaid", "dot")


@click.command(name="graph", help="Show how services depend on each other, and what runs.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="text", help="How it is drawn.")
@click.option("--no-live", is_flag=True, help="Draw the project alone: ask no backend what runs.")
@click.pass_obj
def command(context: Context, form: str, no_live: bool) -> None:
    from composer.cli import pictures
    from composer.graph import Graph

    project = context.project()
    graph = Graph(project.tree, project.mark)
    graph.order()  # a cycle is an error, and no picture
    containers = () if no_live else context.backend(project.name).observe(project.name).containers
    context.write(pictures.FORMATS[form](graph, pictures.live(containers)))
