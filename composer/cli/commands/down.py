"""``composer down``: remove what a project has. Reads labels; the compose file only where they leave a doubt."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.engine.lifecycle import Teardown
    from composer.engine.observed import Observed


@click.command(name="down", help="Stop and remove containers and networks.")
@click.option(
    "-v", "--volumes", is_flag=True, help="Remove named and anonymous volumes too: their data is lost."
)
@click.option(
    "--remove-orphans", is_flag=True, help="Remove containers of other compose files of this project too."
)
@click.option(
    "--rmi",
    type=click.Choice(("local", "all")),
    help="Remove images: all, or those without a name of their own.",
)
@shared.timeout
@shared.services
@click.pass_obj
def command(
    context: Context,
    services: tuple[str, ...],
    volumes: bool,
    remove_orphans: bool,
    rmi: str | None,
    timeout_s: float | None,
) -> None:
    from composer.engine import actions

    project = context.project_name()
    with context.changing(project, "down") as engine:
        observed = engine.backend.observe(project)
        options = teardown(context, observed, services, volumes, rmi, timeout_s, remove_orphans)
        actions.down(engine, project, options)
    if options.spare:
        context.display().warn(
            f"left alone, because other compose files have them: {', '.join(sorted(options.spare))} "
            "(--remove-orphans removes them)"
        )


def teardown(
    context: Context,
    observed: Observed,
    services: tuple[str, ...],
    volumes: bool,
    rmi: str | None,
    timeout_s: float | None,
    remove_orphans: bool,
) -> Teardown:
    """Return what a ``down`` with these options removes."""
    from composer.engine.lifecycle import Teardown

    remove, _ = shared.orphans(context, remove_orphans)
    spare = frozenset() if remove else foreign_services(context, observed)
    return Teardown(services, volumes, rmi or "", timeout_s, spare)


def foreign_services(context: Context, observed: Observed) -> frozenset[str]:
    """Return services of the project that come from other compose files than the ones in use now.

    Where every container was made from one set of files, and no other is asked for, there are none: no need to
    load the model.
    """
    from composer.engine import labels

    origins = {container.labels.get(labels.CONFIG_FILES, "") for container in observed.containers}
    given = ",".join(os.path.join(context.working_dir, file) for file in context.settings.files)
    if len(origins) <= 1 and (not given or origins <= {given}):
        return frozenset()
    from composer.errors import ComposerError

    try:
        project = context.project()
    except ComposerError as error:
        # no compose file to compare with: the project's name is all there is
        context.display().warn(f"goes by the name '{context.project_name()}' alone: {error}")
        return frozenset()
    known = (project.tree.get("services") or {}).keys() | project.disabled.keys()
    return frozenset(labels.service_of(c) for c in observed.containers) - known
