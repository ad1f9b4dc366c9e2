"""``composer stop``: stop containers and keep them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="stop", help="Stop services.")
@shared.timeout
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], timeout_s: float | None) -> None:
    from composer.cli import target
    from composer.engine import actions
    from composer.session import provided

    project = context.project_name()
    with context.changing(project, "stop") as engine:
        model = functools.cache(lambda: target.model(context))
        observed = engine.backend.observe(project)
        external = provided.externals(engine, observed, project, context.environment, model, stops=True)
        named = target.present(context, observed, services, also=external) if services else ()
        if named is not None:  # what was not created yet is no mistake
            actions.stop(engine, project, named, timeout_s, external, observed)
