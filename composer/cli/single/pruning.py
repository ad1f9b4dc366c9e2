"""``container prune`` and ``system prune``, and what ``image prune`` removes where filters choose."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import click

from composer.cli import options as shared
from composer.cli.single import container_filters
from composer.cli.single.container_list import RUNNING, sizes_of
from composer.cli.single.filtering import BUILTIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from composer.cli.context import Context
    from composer.engine.backend import Backend
    from composer.engine.observed import ObservedContainer
    from composer.engine.wanted import LabelFilter


class Wanted(NamedTuple):
    """``limit_ns``: only what was made before that."""

    labels: Sequence[LabelFilter] = ()
    limit_ns: int | None = None

    @classmethod
    def of(cls, filters: Sequence[str]) -> Wanted:
        """Read ``--filter``. Raises click.BadParameter."""
        rest, limit_ns = container_filters.until(filters)
        return cls(shared.read_label_filters(rest), limit_ns)

    def matches(self, labels: Mapping[str, str], created_ns: int) -> bool:
        return all(one.matches(labels) for one in self.labels) and (
            self.limit_ns is None or created_ns < self.limit_ns
        )

    def __bool__(self) -> bool:
        return bool(self.labels) or self.limit_ns is not None


# ------------------------------------------------------------------ kinds of objects


def containers(context: Context, wanted: Wanted) -> tuple[list[str], int]:
    """Remove what does not run; return ids and bytes freed."""
    from composer.cli.single.lifecycle import changing
    from composer.errors import BackendError
    from composer.session.session import NOBODY

    with context.lock(NOBODY, "container prune"):
        context.backend().recover(NOBODY)  # what removed itself may have left its network
    found = [one for one in context.backend().containers() if _is_over(one, wanted)]
    sizes = sizes_of(context.backend(), found) if found else {}
    gone = []
    for container in found:
        try:
            with changing(context, container.id, "prune") as (backend, now):
                if now.state.value not in RUNNING:
                    backend.remove_container(now.id)
                    gone.append(now.id)
        except BackendError:
            continue  # it was started, or removed, in this moment
    return gone, sum(sizes.get(id, (0, 0))[0] for id in gone)


def stopped(context: Context, filters: tuple[str, ...], *, force: bool) -> None:
    """Remove the containers that do not run, and say what has become free."""
    from composer.cli import table

    shared.refuse_dry_run(context, "container prune", "container ls -a")
    wanted = Wanted.of(filters)
    if not shared.agreed(context, "This will remove all stopped containers.", force=force):
        return
    gone, freed_bytes = containers(context, wanted)
    if gone:
        context.write("\n".join(("Deleted Containers:", *gone, "")))
    context.write(f"Total reclaimed space: {table.size(freed_bytes, 4)}")


def _is_over(container: ObservedContainer, wanted: Wanted) -> bool:
    return container.state.value not in RUNNING and wanted.matches(container.labels, container.created_ns)


def networks(backend: Backend, wanted: Wanted) -> Sequence[str]:
    """Remove networks that no container is in; return their names."""
    from composer.errors import BackendError

    if wanted.limit_ns is None:
        return backend.prune_networks(wanted.labels)
    used = {e.network_id for c in backend.containers() for e in c.endpoints}
    gone = []
    for network in backend.networks():
        is_free = network.name not in BUILTIN and network.id not in used
        if is_free and wanted.matches(network.labels, network.created_ns):
            try:
                backend.remove_network(network.id)
            except BackendError:
                continue  # somebody has just begun to use it
            gone.append(network.name)
    return gone


def images(backend: Backend, wanted: Wanted, *, unused: bool) -> tuple[Sequence[str], int]:
    """Remove images without a name, or with ``unused`` all without containers; return ids and bytes freed."""
    from composer import dates
    from composer.errors import BackendError

    if not wanted:
        return backend.prune_images(unused=unused)
    uses = {image.id: image for image in backend.disk_use().images}
    held = {container.image_id for container in backend.containers()}
    gone: list[str] = []
    freed_bytes = 0
    for image in backend.images():
        created_ns = (dates.parse_ns(image.created) if image.created else None) or 0
        is_free = (unused or not image.references) and not held & {image.id, image.whole_id}
        if not is_free or not wanted.matches(image.labels, created_ns):
            continue
        try:
            gone += backend.remove_image(image.whole_id, force=True).deleted
        except BackendError:
            continue  # a container has just been made of it, or another image
        use = uses.get(image.id)
        freed_bytes += use.size_bytes - use.shared_bytes if use is not None else 0
    return gone, freed_bytes


# ------------------------------------------------------------------ everything


def system(
    context: Context, filters: tuple[str, ...], *, everything: bool, volumes: bool, force: bool
) -> None:
    """Remove all that nothing uses, and say what has become free."""
    from composer.cli import table

    shared.refuse_dry_run(context, "system prune", "system df -v")
    wanted = Wanted.of(filters)
    if volumes and wanted.limit_ns is not None:
        raise click.UsageError('the "until" filter is not supported with --volumes')
    goes = "\n".join(f"  - {line}" for line in _goes(wanted, everything=everything, volumes=volumes))
    if not shared.agreed(context, f"This will remove:\n{goes}\n", force=force):
        return
    freed_bytes = 0
    for title, gone, size in _removals(context, wanted, everything=everything, volumes=volumes):
        freed_bytes += size
        if gone:
            context.write("\n".join((f"Deleted {title}:", *gone, "")))
    context.write(f"Total reclaimed space: {table.size(freed_bytes, 4)}")


def _goes(wanted: Wanted, *, everything: bool, volumes: bool) -> Iterator[str]:
    yield "all stopped containers"
    yield "all networks not used by at least one container"
    if volumes:
        yield "all anonymous volumes not used by at least one container"
    yield (
        "all images without at least one container associated to them"
        if everything
        else "all dangling images"
    )
    if not wanted.labels:
        yield "all build cache" if everything else "unused build cache"


def _removals(
    context: Context, wanted: Wanted, *, everything: bool, volumes: bool
) -> Iterator[tuple[str, Sequence[str], int]]:
    """Remove one kind after the other: what is removed first may be what still used the next."""
    yield "Containers", *containers(context, wanted)
    backend = context.backend()
    yield "Networks", networks(backend, wanted), 0
    if volumes:
        yield "Volumes", *backend.prune_volumes(wanted.labels)
    yield "Images", *images(backend, wanted, unused=everything)
    if not wanted.labels:  # entries of the build cache have none
        unused_for_s = (time.time_ns() - wanted.limit_ns) / 1e9 if wanted.limit_ns is not None else 0.0
        yield "build cache objects", *backend.prune_builds(everything=everything, unused_for_s=unused_for_s)
