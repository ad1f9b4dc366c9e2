"""``composer volume``: the backend's volumes. ``composer volumes``: those of a project."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared
from composer.cli.single import filtering, flags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from composer.cli.context import Context
    from composer.engine.backend import Backend
    from composer.engine.observed import ObservedVolume


class _Group(click.Group):
    command_class = flags.Command


@click.group(name="volume", cls=_Group, help="Manage volumes.")
def command() -> None:
    """Group the subcommands."""


@command.command(name="ls", help="List volumes.")
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help=filtering.VOLUME_HELP)
@click.option("-q", "--quiet", is_flag=True, help="Print only names.")
@flags.refused("--cluster", reason="cluster volumes are of Docker Swarm", takes_value=False)
@shared.style
@click.pass_obj
def list_volumes(context: Context, /, filters: tuple[str, ...], quiet: bool, style: str) -> None:
    backend = context.backend()
    found = filtering.volumes(backend, backend.volumes(), filters)
    show_volumes(context, found, _HEADERS, quiet=quiet, style=style)


def show_volumes(
    context: Context,
    volumes: Iterable[ObservedVolume],
    headers: Mapping[str, str],
    *,
    quiet: bool,
    style: str,
) -> None:
    """Write a list of volumes, in the order of drivers and names."""
    from composer.cli import listing
    from composer.cli.record import Record
    from composer.engine import labels

    volumes = sorted(volumes, key=lambda volume: (volume.driver, volume.name))
    if quiet:
        for volume in volumes:
            context.write(volume.name)
        return
    rows = [
        Record(
            **_UNKNOWN,
            Driver=v.driver,
            Name=v.name,
            Mountpoint=v.mountpoint,
            Scope="local",
            Project=v.labels.get(labels.PROJECT, ""),
            Labels=shared.pairs(v.labels),
            Label=shared.label_of(v.labels),
        )
        for v in volumes
    ]
    listing.show(context, style, rows, headers)


_HEADERS = {"Driver": "DRIVER", "Name": "VOLUME NAME", "Project": "PROJECT"}
_UNKNOWN = dict.fromkeys(("Availability", "Group", "Links", "Size", "Status"), "N/A")
"""Docker's other fields, which its own list leaves empty too."""


@command.command(name="inspect", help="Print detailed information about volumes.")
@shared.template
@click.argument("names", nargs=-1, required=True, metavar="VOLUME...")
@click.pass_obj
def inspect_volumes(context: Context, /, names: tuple[str, ...], style: str | None) -> None:
    from composer.cli import listing

    def picture(found: ObservedVolume) -> dict[str, Any]:
        return {
            "CreatedAt": shared.moment(found.created_ns),
            "Driver": found.driver,
            "Labels": dict(found.labels),
            "Mountpoint": found.mountpoint,
            "Name": found.name,
            "Options": dict(found.options),
            "Scope": "local",
        }

    listing.inspect(context, style, "volume", names, context.backend().find_volume, picture)


@command.command(name="rm", help="Remove volumes. Their data is lost.")
@click.option("-f", "--force", is_flag=True, help="Ignore volumes that do not exist.")
@click.argument("names", nargs=-1, required=True, metavar="VOLUME...")
@click.pass_obj
def remove_volumes(context: Context, /, names: tuple[str, ...], force: bool) -> None:
    from composer.errors import BackendError, NotFound

    backend = context.backend()
    failures: list[Exception] = []
    for name in names:
        try:
            if backend.find_volume(name) is None:
                if force:
                    continue
                raise NotFound(f"no such volume: {name}")
            if context.settings.dry_run:
                context.write(f"remove volume {name}")
                continue
            backend.remove_volume(name)
        except BackendError as error:
            failures.append(error)
        else:
            context.write(name)
    if failures:
        raise ExceptionGroup("some volumes were not removed", failures)


@command.command(name="prune", help="Remove unused anonymous volumes. Their data is lost.")
@click.option("-a", "--all", "everything", is_flag=True, help="Also remove unused named volumes.")
@shared.force
@shared.label_filters
@click.pass_obj
def prune_volumes(context: Context, /, filters: tuple[str, ...], everything: bool, force: bool) -> None:
    from composer.cli import table

    shared.refuse_dry_run(context, "volume prune", "system df -v")
    labels = shared.read_label_filters(filters)
    which = "all local volumes" if everything else "anonymous local volumes"
    if not shared.agreed(
        context, f"This will remove {which} not used by at least one container.", force=force
    ):
        return
    gone, freed_bytes = context.backend().prune_volumes(labels, everything=everything)
    if gone:
        context.write("\n".join(("Deleted Volumes:", *gone, "")))
    context.write(f"Total reclaimed space: {table.size(freed_bytes, 4)}")


@command.command(name="create", help="Create a volume outside projects.")
@click.option("-d", "--driver", metavar="NAME", help="Set the driver (default: local).")
@click.option(
    "-o", "--opt", "options", multiple=True, metavar="KEY=VALUE", help="Set an option of the driver."
)
@click.option("-l", "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Set a label.")
@click.argument("name", required=False, metavar="[VOLUME]")
@click.pass_obj
def create_volume(context: Context, /, name: str | None, driver: str | None, **given: Any) -> None:
    import os

    from composer.engine.wanted import VolumeSpec

    attributes: dict[str, Any] = {"driver_opts": shared.mapping(given["options"])} if given["options"] else {}
    if driver:
        attributes["driver"] = driver
    name = name or os.urandom(32).hex()
    if context.settings.dry_run:
        context.write(f"create volume {name}")
        return
    context.write(
        context.backend().create_volume(VolumeSpec(name, shared.mapping(given["labels"]), attributes))
    )


_live = click.option("--live", is_flag=True, help="Also if running containers use the volume.")


@command.command(
    name="export",
    help="Write the files of a volume to a tar archive.\n\nWithout --output, the archive goes to standard output.",
)
@click.option("-o", "--output", type=click.Path(), default="-", help="Write the archive to this file.")
@_live
@click.argument("name", metavar="VOLUME")
@click.pass_obj
def export_volume(context: Context, /, name: str, output: str, live: bool) -> None:
    from composer.cli.single import standard
    from composer.engine.moving import volumes

    backend = context.backend()
    if context.settings.dry_run:
        context.write(f"export volume {name} to {output}")
        return
    if not live:
        volumes.refuse_used(backend, name)
    is_printed = output == standard.STANDARD
    if is_printed:
        standard.refuse_terminal(context, "add --output FILE, or redirect the output")
    with volumes.opened(backend, name) as contents:
        standard.write_pieces(context, None if is_printed else output, contents.read())


@command.command(
    name="import",
    help="Put the files of a tar archive into a volume.\n\n"
    "The volume is created if it does not exist; the path - is standard input. The archive is one of volume export, "
    "and files that the volume already has are replaced.",
)
@_live
@click.argument("name", metavar="VOLUME")
@click.argument("path", type=click.Path(), metavar="[PATH]", default="-")
@click.pass_obj
def import_volume(context: Context, /, name: str, path: str, live: bool) -> None:
    from composer.cli.single import standard
    from composer.engine.moving import volumes

    backend = context.backend()
    if context.settings.dry_run:
        context.write(f"import {path} into volume {name}")
        return
    if not live:
        volumes.refuse_used(backend, name)
    with standard.read_from(context, path, "a volume") as archive:
        volumes.check_archive(archive)
        with (
            _made(backend, name),
            volumes.opened(backend, name, writable=True) as contents,
            open(archive, "rb") as file,
        ):
            contents.write(iter(lambda: file.read(1 << 20), b""))
    context.write(name)


@contextmanager
def _made(backend: Backend, name: str) -> Iterator[None]:
    """Create a volume, unless it is there; it goes again where the block fails, or is interrupted."""
    from composer.cli.interrupt import ended_in_order
    from composer.engine.wanted import VolumeSpec

    with ended_in_order():
        is_new = backend.find_volume(name) is None
        if is_new:
            backend.create_volume(VolumeSpec(name, {}, {}))
        try:
            yield
        except BaseException:
            if is_new:
                backend.remove_volume(name)
            raise


@command.command(name="clone", help="Copy a volume to a new one, with its labels left out.")
@_live
@click.argument("name", metavar="VOLUME")
@click.argument("other", metavar="NEW_NAME")
@click.pass_obj
def clone_volume(context: Context, /, name: str, other: str, live: bool) -> None:
    from composer.engine.moving import migration, volumes
    from composer.errors import Conflict, NotFound

    backend = context.backend()
    if backend.find_volume(name) is None:
        raise NotFound(f"no such volume: {name}")
    if backend.find_volume(other) is not None:
        raise Conflict(f"volume '{other}' exists already", hint="choose another name, or remove it first")
    if context.settings.dry_run:
        context.write(f"copy volume {name} to {other}")
        return
    if not live:
        volumes.refuse_used(backend, name)
    with _made(backend, other):
        migration.copy(backend, name, backend, other)
    context.write(other)


# ------------------------------------------------------------------ of a project


@click.command(name="volumes", help="List the project's volumes, or only those that the given services use.")
@click.option("-q", "--quiet", is_flag=True, help="Print only names.")
@shared.style
@shared.services
@click.pass_obj
def volumes(context: Context, /, services: tuple[str, ...], quiet: bool, style: str) -> None:
    from composer.cli.target import present
    from composer.engine.planning.lifecycle import selected

    project = context.project_name()
    observed = context.backend(project).observe(project)
    found = list(observed.volumes)
    if services:
        chosen = present(context, observed, services)
        containers = selected(observed, chosen) if chosen is not None else []
        used = {mount.name for c in containers for mount in c.mounts if mount.name}
        found = [volume for volume in found if volume.name in used]
    headers = {"Driver": "DRIVER", "Name": "VOLUME NAME"}
    show_volumes(context, found, headers, quiet=quiet, style=style)
