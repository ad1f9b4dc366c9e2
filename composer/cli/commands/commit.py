"""``composer commit``: an image of what a service's container has become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.engine.wanted import CommitSpec


@click.command(name="commit", help="Create an image from the changes in a service container.")
@shared.commit
@shared.index
@click.argument("service")
@click.argument("reference", required=False, metavar="[REPOSITORY[:TAG]]")
@click.pass_obj
def command(
    context: Context, /, service: str, reference: str | None, index: int | None, **given: Any
) -> None:
    from composer.cli.single.effects import told
    from composer.cli.target import container_of

    spec = spec_of(reference, **given)
    project = context.project_name()
    backend = context.backend(project)
    container = container_of(backend.observe(project), service, index)
    if context.settings.dry_run:
        context.write(f"commit {container.name}{f' as {reference}' if reference else ''}")
        return
    with context.lock(project, "commit"), told(context, container, "committing", "committed"):
        image = backend.commit_container(container.id, spec)
    context.write(image.id)


def spec_of(
    reference: str | None, *, author: str, changes: tuple[str, ...], message: str, pause: bool
) -> CommitSpec:
    """Return what the options of `options.commit` ask for. Raises ProjectError for a wrong instruction."""
    from composer.cli.changes import apply_changes
    from composer.engine.wanted import CommitSpec

    return CommitSpec(reference or "", author, message, pause, apply_changes({}, changes))
