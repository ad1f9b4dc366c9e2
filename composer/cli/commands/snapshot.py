"""``composer snapshot``: the data of services at one moment, kept and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.cli import options as shared
from composer.cli.single import flags

if TYPE_CHECKING:
    from composer.cli.context import Context


class _Group(click.Group):
    command_class = flags.Command


@click.group(name="snapshot", cls=_Group, help="Save and restore the data of services.")
def command() -> None:
    """Group the subcommands."""


@command.command(
    name="save",
    help="Take a snapshot of the volumes of services, or of all services.\n\n"
    "While their data is copied, running services are frozen, all at the same moment, on Docker Engine and where the "
    "file system can share blocks between files (Btrfs, XFS). Where a snapshot is restored by an overlay (such as "
    "ext4), they are stopped and started again.",
)
@click.option("--stop", is_flag=True, help="Stop the services for the copy, and start them again.")
@click.option("--freeze", is_flag=True, help="Freeze the services for the copy.")
@click.option(
    "--layers",
    is_flag=True,
    help="Include the files that containers have written outside volumes (built-in runtime only).",
)
@click.option("--replace", is_flag=True, help="Replace the snapshot that has this name.")
@click.argument("name")
@shared.services
@click.pass_obj
def save(
    context: Context,
    /,
    name: str,
    services: tuple[str, ...],
    stop: bool,
    freeze: bool,
    layers: bool,
    replace: bool,
) -> None:
    from composer.cli import table
    from composer.engine.snapshots import saving

    if stop and freeze:
        raise click.UsageError("--stop and --freeze are incompatible")
    project = context.project_name()
    saving.check_name(name)
    if context.settings.dry_run:
        context.write(f"save snapshot {name} of project {project}")
        return
    with context.changing(project, "snapshot") as engine:
        saved = saving.save(
            engine,
            project,
            name,
            services,
            stop=stop or (False if freeze else None),
            layers=layers,
            replace=replace,
        )
    for text in saved.left_out:
        context.display().warn(f"not in the snapshot: {text}")
    found = saved.snapshot
    size = f", {table.size(found.size_bytes, 4)}" if found.size_bytes else ""
    context.write(f"{name}: services {found.quiet}, by {found.way}{size}")


@command.command(
    name="restore",
    short_help="Restore the data of services from a snapshot.",
    help="Replace the data of services, or of all services, by that of a snapshot.\n\n"
    "Running containers that use this data are killed, or stopped as usual if they also write elsewhere. They are "
    "started again; the command returns when they are healthy. The present data is lost.",
)
@click.option("--no-wait", is_flag=True, help="Do not wait until the services are healthy.")
@click.option("--wait-timeout", type=float, metavar="SECONDS", help="Wait for at most this long.")
@click.argument("name")
@shared.services
@click.pass_obj
def restore(
    context: Context, /, name: str, services: tuple[str, ...], no_wait: bool, wait_timeout: float | None
) -> None:
    from composer.engine.snapshots import keeping, restoring

    project = context.project_name()
    backend = context.backend(project)
    snapshot = keeping.get(keeping.keeper_of(backend), project, name)
    if context.settings.dry_run:
        context.write(f"restore snapshot {name} of project {project}")
        return
    with context.changing(project, "restore") as engine:
        restored = restoring.restore(
            engine, project, snapshot, services, wait=not no_wait, timeout_s=wait_timeout
        )
    started = f", started {', '.join(restored.services)}" if restored.services else ""
    context.write(f"{name}: restored by {restored.way}{started}")


@command.command(name="ls", help="List the snapshots of the project.")
@click.option("-a", "--all", "everything", is_flag=True, help="List the snapshots of all projects.")
@click.option("-q", "--quiet", is_flag=True, help="Print only names.")
@shared.style
@click.pass_obj
def list_snapshots(context: Context, /, everything: bool, quiet: bool, style: str) -> None:
    from composer.cli import listing, table
    from composer.cli.record import Record
    from composer.engine.snapshots import keeping

    project = None if everything else context.project_name()
    found = [
        one
        for one in keeping.keeper_of(context.backend(project)).snapshots()
        if project is None or one.project == project
    ]
    if quiet:
        for one in found:
            context.write(one.name)
        return
    rows = [
        Record(
            Name=one.name,
            Project=one.project,
            CreatedAt=shared.moment(one.created_ns),
            Services=one.quiet,
            Way=one.way,
            Size=table.size(one.size_bytes, 4) if one.size_bytes else "N/A",
            Volumes=",".join(part.source for part in one.parts if part.kind == "volume"),
            UsedBy=",".join(one.users),
            ID=one.id,
        )
        for one in found
    ]
    listing.show(context, style, rows, _HEADERS)


_HEADERS = {
    "Name": "NAME",
    "Project": "PROJECT",
    "CreatedAt": "CREATED",
    "Services": "SERVICES",
    "Way": "WAY",
    "Size": "SIZE",
    "UsedBy": "USED BY",
}


@command.command(
    name="rm",
    help="Remove snapshots.\n\n"
    "The files of one that volumes were restored from are kept until these volumes are removed.",
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.pass_obj
def remove(context: Context, /, names: tuple[str, ...]) -> None:
    from composer.engine.snapshots import keeping

    project = context.project_name()
    keeper = keeping.keeper_of(context.backend(project))
    found = [keeping.get(keeper, project, name) for name in names]
    for name, snapshot in zip(names, found, strict=True):
        if context.settings.dry_run:
            context.write(f"remove snapshot {snapshot.name}")
            continue
        users = keeping.remove(keeper, project, name)
        context.write(snapshot.name)
        if users:
            context.display().warn(
                f"the files of snapshot '{snapshot.name}' are kept until these volumes are removed: "
                + ", ".join(users)
            )
