"""``composer migrate``: a project's images and volumes from one backend to the other."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from composer.backends import choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.cli.context import Context


@click.command(
    name="migrate",
    help="Copy the images and volumes of a project to another backend.\n\nThe source is not changed. "
    "Containers are not copied: create them with composer up.",
)
@click.option(
    "--from", "origin", type=click.Choice(choice.CHOICES), required=True, help="Copy from this backend."
)
@click.option("--live", is_flag=True, help="Also copy volumes that running containers use.")
@click.argument("name", required=False, metavar="[PROJECT]")
@click.pass_obj
def command(context: Context, /, origin: str, live: bool, name: str | None) -> None:
    from composer.engine.moving import migration

    wanted_backend = context.settings.backend
    goal = wanted_backend or next(one for one in choice.CHOICES if one != origin)
    if goal == origin:
        raise click.UsageError(f"--from and --backend are the same backend: {goal}")
    project = name or context.project_name()
    images = _images(context) if name is None else ()
    with closing(context.connect(origin)) as source, closing(context.connect(goal)) as target:
        if context.settings.dry_run:
            wanted = migration.wanted_of(source, project, images, live=live)
            for image in wanted.images:
                context.write(f"copy image {image}")
            for volume in wanted.volumes:
                context.write(f"copy volume {volume.name}")
            return
        with context.lock(project, "migrate"):
            # under the lock: an up of the project may start a container that has a volume
            wanted = migration.wanted_of(source, project, images, live=live, goal=goal)
            has_containers = bool(source.observe(project).containers)
            place = f"{context.session().state_root.own}/migrations/{project}-{origin}-{goal}.json"
            record = migration.Record(place)
            migration.migrate(source, target, wanted, record, context.display("migrate").progress)
    context.display().settle()
    if has_containers:
        # its networks may have the same addresses, and an up there would find the old containers
        context.write(f"Remove its containers and networks first: composer --backend {origin} down")
    context.write(f"Project '{project}' can be started on the other backend: composer --backend {goal} up -d")


def _images(context: Context) -> Iterator[str]:
    """Yield the images of the compose file's services; nothing where there is no compose file."""
    from composer.engine.resolving import resolve
    from composer.errors import NoComposeFile

    try:
        project = context.project()
    except NoComposeFile:
        return
    for service, tree in (project.tree.get("services") or {}).items():
        yield resolve.image_of(project, service, tree)
