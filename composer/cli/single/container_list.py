"""``composer container ls``: Docker's columns of single containers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from composer.cli import options as shared
from composer.cli.single.container_filters import Filters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.cli.context import Context
    from composer.engine.backend import Backend
    from composer.engine.observed import ObservedContainer

_HEADERS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Names": "NAMES",
}
_OTHERS = {
    "Project": "PROJECT",
    "State": "STATE",
    "Networks": "NETWORKS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Size": "SIZE",
}
RUNNING = ("running", "restarting", "paused")


def show(context: Context, filters: Sequence[str], style: str, **given: Any) -> None:
    """Write the list, the newest first."""
    from composer.cli import listing

    backend = context.backend()
    found = _chosen(backend, filters, everything=given["everything"], last=given["last"])
    whole = given["no_trunc"]
    if given["quiet"]:
        for container in found:
            context.write(container.id if whole else container.id[:12])
        return
    has_size = given["size"] or ".Size" in style
    sizes = sizes_of(backend, found) if has_size else {}
    now_ns = time.time_ns()
    rows = [_row(container, now_ns, sizes.get(container.id), whole=whole) for container in found]
    headers = {**_HEADERS, "Size": "SIZE"} if given["size"] else _HEADERS
    listing.show(context, style, rows, headers, others=_OTHERS)


def _chosen(
    backend: Backend, filters: Sequence[str], *, everything: bool, last: int
) -> list[ObservedContainer]:
    """``last``: only so many of the newest, in whatever state; negative for all."""
    # the engine lists the newest first, within a second too: the order of equals is its own
    everybody = sorted(backend.containers(), key=lambda container: -container.created_ns)
    wanted = Filters(backend, everybody, filters)
    shows_all = everything or last > 0 or wanted.shows_stopped
    found = [
        container
        for container in everybody
        if (shows_all or container.state.value in RUNNING) and wanted.matches(container)
    ]
    return found[:last] if last > 0 else found


def sizes_of(backend: Backend, containers: Sequence[ObservedContainer]) -> dict[str, tuple[int, int]]:
    """Return, by id, the bytes of a container's own layer, and with those of its image."""
    wanted = {container.id for container in containers}
    images: dict[str, int] = {}
    found = {}
    for entry in backend.disk_use().containers:
        container = entry.container
        if container.id not in wanted:
            continue
        if container.image_id not in images:
            image = backend.find_image(container.image_id)
            images[container.image_id] = image.size_bytes if image is not None else 0
        found[container.id] = (entry.size_bytes, entry.size_bytes + images[container.image_id])
    return found


def _row(container: ObservedContainer, now_ns: int, sizes: tuple[int, int] | None, *, whole: bool) -> Any:
    from composer.cli import table
    from composer.cli.record import Record
    from composer.engine import labels

    size = f"{table.size(sizes[0])} (virtual {table.size(sizes[1])})" if sizes is not None else table.size(0)
    return Record(
        ID=container.id if whole else container.id[:12],
        Image=container.image,
        Command=table.command_line(container.command, None if whole else 20),
        CreatedAt=shared.moment(container.created_ns),
        RunningFor=f"{table.duration((now_ns - container.created_ns) / 1e9)} ago",
        Status=table.status(container, now_ns),
        State=container.state.value,
        Ports=table.ports(container.ports),
        Names=container.name,
        Networks=",".join(endpoint.network for endpoint in container.endpoints),
        Mounts=",".join(mount.name or mount.source or mount.target for mount in container.mounts),
        LocalVolumes=str(sum(mount.type == "volume" for mount in container.mounts)),
        Size=size,
        Project=container.labels.get(labels.PROJECT, ""),
        Labels=shared.pairs(container.labels),
        Label=shared.label_of(container.labels),
    )
