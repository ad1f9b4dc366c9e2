"""``composer commit``: an image of what a service's container has become."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context

_PAUSES = {"true": "--pause", "false": "--no-pause"}


class _WithValues(click.Command):
    """Takes ``--pause=false`` too, as programs in Go do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [self._plain(argument) for argument in args])

    @staticmethod
    def _plain(argument: str) -> str:
        name, _, value = argument.partition("=")
        return _PAUSES.get(value, argument) if name in ("-p", "--pause") else argument


@click.command(
    cls=_WithValues, name="commit", help="Create an image from the changes in a service container."
)
@click.option("-a", "--author", default="", metavar="TEXT", help="Set the author of the image.")
@click.option(
    "-c",
    "--change",
    "changes",
    multiple=True,
    metavar="INSTRUCTION",
    help='Apply a Dockerfile instruction, such as CMD ["/bin/sh"].',
)
@click.option("-m", "--message", default="", metavar="TEXT", help="Set the commit message.")
@click.option(
    "-p", "--pause/--no-pause", default=True, help="Pause the container during the commit (default: yes)."
)
@shared.index
@click.argument("service")
@click.argument("reference", required=False, metavar="[REPOSITORY[:TAG]]")
@click.pass_obj
def command(
    context: Context,
    /,
    service: str,
    reference: str | None,
    author: str,
    changes: tuple[str, ...],
    message: str,
    pause: bool,
    index: int | None,
) -> None:
    from composer.cli.changes import apply_changes
    from composer.cli.single.effects import told
    from composer.cli.target import container_of
    from composer.engine.wanted import CommitSpec

    spec = CommitSpec(reference or "", author, message, pause, apply_changes({}, changes))
    project = context.project_name()
    backend = context.backend(project)
    container = container_of(backend.observe(project), service, index)
    if context.settings.dry_run:
        context.write(f"commit {container.name}{f' as {reference}' if reference else ''}")
        return
    with context.lock(project, "commit"), told(context, container, "committing", "committed"):
        image = backend.commit_container(container.id, spec)
    context.write(image.id)
