"""``composer kill``: send a signal to containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(name="kill", help="Kill service containers, or send them a signal.")
@click.option(
    "-s", "--signal", default="SIGKILL", show_default=True, help="Send this signal, given by name or number."
)
@click.option(
    "--remove-orphans",
    is_flag=True,
    help="Also kill containers of services that the compose file does not define.",
)
@shared.services
@click.pass_obj
def command(context: Context, /, services: tuple[str, ...], signal: str, remove_orphans: bool) -> None:
    from composer.cli.commands.down import foreign_services
    from composer.cli.target import present
    from composer.engine import actions

    project = context.project_name()
    engine = context.engine(project, title="kill")
    observed = engine.backend.observe(project)
    spare = frozenset() if remove_orphans else foreign_services(context, observed)
    number = shared.signal_name(signal)
    chosen = present(context, observed, services, oneoff=True)
    plan = actions.kill(engine, project, chosen, number, spare=spare) if chosen is not None else None
    if plan is None or not plan.steps:  # what was not created yet is no mistake
        context.display().warn("No container to kill")
