"""``composer system``: what the backend is, what happens on it, and what it keeps on the disk."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared
from composer.cli.single import flags

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from composer.cli.context import Context
    from composer.cli.record import Record
    from composer.engine.backend import Backend
    from composer.engine.inspected import CacheUse, ContainerUse, DiskUse, ImageUse, VolumeUse
    from composer.engine.observed import ObservedSnapshot

_HEADERS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}


class _Group(click.Group):
    command_class = flags.Command


@click.group(
    name="system", cls=_Group, help="Show disk usage, events and facts of the backend; remove unused data."
)
def command() -> None:
    """Group the subcommands."""


@command.command(name="info", help="Show facts of the backend and of the machine that it runs on.")
@shared.template
@click.pass_obj
def show_info(context: Context, /, style: str | None) -> None:
    from composer.cli.single import system

    system.info(context, style)


@command.command(name="events", help="Print events of all objects in real time.")
@click.option(
    "-f",
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Select events: container, image, volume, network, event, type, label, scope.",
)
@click.option(
    "--format", "style", metavar="json|TEMPLATE", help="Set the output format: json, or a Go template."
)
@click.option(
    "--since",
    metavar="TIME",
    help="Print only events after this time, such as 2026-01-02T13:23:37Z, or 42m for 42 minutes ago.",
)
@click.option("--until", metavar="TIME", help="Stop at this time or relative time.")
@click.pass_obj
def show_events(context: Context, /, **given: Any) -> int | None:
    from composer.cli.single import system

    return system.events(context, **given)


@command.command(name="prune", help="Remove unused containers, networks, images and build cache.")
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Remove all unused images and the whole build cache."
)
@click.option("--volumes", is_flag=True, help="Also remove unused anonymous volumes. Their data is lost.")
@shared.force
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Select objects: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE].",
)
@click.pass_obj
def prune(context: Context, /, filters: tuple[str, ...], **given: Any) -> None:
    from composer.cli.single import pruning

    pruning.system(context, filters, **given)


@command.command(name="df", help="Show the disk usage of images, containers and volumes.")
@click.option("-v", "--verbose", is_flag=True, help="Show each image, container, volume and cache entry.")
@shared.style
@click.pass_obj
def show_usage(context: Context, /, verbose: bool, style: str) -> None:
    from composer.cli import listing

    if verbose and style != "table":
        raise click.UsageError("--verbose and --format are incompatible")
    backend = context.backend()
    found, kept = backend.disk_use(), _snapshots_of(backend)
    if not verbose:
        listing.show(context, style, [*summary(found), *_summary_of_snapshots(kept)], _HEADERS)
        return
    sections = (
        ("Images space usage:", _images(found.images)),
        ("Containers space usage:", _containers(found.containers)),
        ("Local Volumes space usage:", _volumes(found.volumes)),
        *([("Snapshots space usage:", _snapshots(kept))] if kept else []),
        (f"Build cache usage: {_size(sum(c.size_bytes for c in found.cache))}", _cache(found.cache)),
    )
    context.write("\n\n".join(f"{title}\n\n{text}" for title, text in sections))


@command.command(
    name="dial-stdio",
    short_help="Connect standard streams to composer serve.",
    help="Connect standard input and output to the server of composer serve.",
    epilog="Docker's clients run it on a remote machine for DOCKER_HOST=ssh://HOST.",
)
@click.option("--socket", "path", metavar="PATH", help="Use this Unix socket, as given to composer serve.")
@click.pass_obj
def dial_standard_streams(context: Context, /, path: str | None) -> None:
    from composer.cli.booting import dialling, serving

    dialling.dial(path or serving.client_path(context.environment))


# ------------------------------------------------------------------ the summary


def summary(found: DiskUse) -> list[Record]:
    """Return a line for each kind. What could be freed is counted as Docker does."""
    from composer.engine.observed import ACTIVE

    used = sum(image.size_bytes - image.shared_bytes for image in found.images if image.containers)
    idle = [entry for entry in found.containers if entry.container.state not in ACTIVE]
    written = sum(entry.size_bytes for entry in found.containers)
    volumes = sum(volume.size_bytes or 0 for volume in found.volumes)
    unlinked = [volume for volume in found.volumes if not volume.links]
    cache = sum(entry.size_bytes for entry in found.cache if not entry.shared)
    in_use = [entry for entry in found.cache if entry.in_use]
    return [
        _line(
            "Images",
            len(found.images),
            sum(image.containers > 0 for image in found.images),
            found.layers_bytes,
            found.layers_bytes - used,
        ),
        _line(
            "Containers",
            len(found.containers),
            len(found.containers) - len(idle),
            written,
            sum(entry.size_bytes for entry in idle),
        ),
        _line(
            "Local Volumes",
            len(found.volumes),
            len(found.volumes) - len(unlinked),
            volumes,
            sum(volume.size_bytes or 0 for volume in unlinked),
        ),
        _line(
            "Build Cache",
            len(found.cache),
            len(in_use),
            cache,
            sum(entry.size_bytes for entry in found.cache if not entry.in_use and not entry.shared),
            percent=False,
        ),
    ]


def _snapshots_of(backend: Backend) -> list[ObservedSnapshot]:
    """Return the snapshots that are none of the volumes which are listed."""
    from composer.engine.observed import Capability
    from composer.engine.snapshots import keeping

    is_own = Capability.SNAPSHOTS in backend.capabilities
    return list(keeping.keeper_of(backend).snapshots()) if is_own else []


def _summary_of_snapshots(kept: Sequence[ObservedSnapshot]) -> list[Record]:
    """Return a line of our own, where there is something to say. What volumes lie over cannot be freed."""
    idle = sum(one.size_bytes for one in kept if not one.users)
    total = sum(one.size_bytes for one in kept)
    used = sum(1 for one in kept if one.users)
    return [_line("Snapshots", len(kept), used, total, idle)] if kept else []


def _line(kind: str, total: int, active: int, size: int, free: int, *, percent: bool = True) -> Record:
    from composer.cli.record import Record

    share = f" ({free * 100 // size}%)" if size > 0 and percent else ""
    return Record(
        Type=kind,
        TotalCount=str(total),
        Active=str(active),
        Size=_size(size),
        Reclaimable=f"{_size(free)}{share}",
    )


def _size(count: int) -> str:
    from composer.cli import table

    return table.size(count, 4)


# ------------------------------------------------------------------ the details


def _images(images: Iterable[ImageUse]) -> str:
    from composer.cli import table
    from composer.cli.times import ago

    rows = [
        (
            *table.split_reference(reference),
            image.id.removeprefix("sha256:")[:12],
            ago(image.created),
            table.size(image.size_bytes),
            _size(image.shared_bytes),
            _size(image.size_bytes - image.shared_bytes),
            str(image.containers),
        )
        for image in images
        for reference in image.references or ("",)
    ]
    heads = ("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS")
    return table.render(heads, rows)


def _containers(entries: Iterable[ContainerUse]) -> str:
    from composer.cli import table

    now_ns = time.time_ns()
    rows = [
        (
            entry.container.id[:12],
            entry.container.image,
            table.command_line(entry.container.command),
            str(entry.volumes),
            table.size(entry.size_bytes),
            _ago_ns(now_ns, entry.container.created_ns),
            table.status(entry.container, now_ns),
            entry.container.name,
        )
        for entry in entries
    ]
    heads = ("CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES")
    return table.render(heads, rows)


def _volumes(volumes: Iterable[VolumeUse]) -> str:
    from composer.cli import table

    rows = [
        (volume.name, str(volume.links), "N/A" if volume.size_bytes is None else _size(volume.size_bytes))
        for volume in volumes
    ]
    return table.render(("VOLUME NAME", "LINKS", "SIZE"), rows)


def _snapshots(kept: Iterable[ObservedSnapshot]) -> str:
    from composer.cli import table

    rows = [(one.name, one.project, one.way, str(len(one.users)), _size(one.size_bytes)) for one in kept]
    return table.render(("NAME", "PROJECT", "WAY", "VOLUMES OVER IT", "SIZE"), rows)


def _cache(entries: Iterable[CacheUse]) -> str:
    from composer.cli import table

    now_ns = time.time_ns()
    rows = [
        (
            entry.id[:12],
            entry.kind,
            table.size(entry.size_bytes),
            _ago_ns(now_ns, entry.created_ns),
            _ago_ns(now_ns, entry.used_ns),
            str(entry.uses),
            "true" if entry.shared else "false",
        )
        for entry in entries
    ]
    heads = ("CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "USAGE", "SHARED")
    return table.render(heads, rows)


def _ago_ns(now_ns: int, then_ns: int) -> str:
    from composer.cli import table

    return f"{table.duration((now_ns - then_ns) / 1e9)} ago" if then_ns else ""
