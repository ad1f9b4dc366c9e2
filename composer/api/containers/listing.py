"""`GET /containers/json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.api import filters as filtering
from composer.api.containers import pictures
from composer.api.containers.lines import Lines
from composer.api.http import reading
from composer.api.http.call import JSON
from composer.api.http.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from composer.api.filters import Filters
    from composer.api.http.call import Call
    from composer.api.world import World
    from composer.runtime.engine.core import Look

_FILTERS = (
    "ancestor before expose exited health id is-task isolation label label! name network publish since status volume"
).split()
_STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")


def list_containers(call: Call) -> None:
    world, query = call.world, call.query
    filters = filtering.read(call, _FILTERS)
    _check(filters)
    limit = query.number("limit") or 0
    wants_all = query.flag("all") or limit > 0 or "status" in filters or "exited" in filters
    looks = sorted(_looks(world), key=lambda look: -look.meta["created_ns"])
    world.kept("lines", Lines).forget_others({look.meta["id"] for look in looks})
    looks = [look for look in looks if wants_all or _is_up(look)]
    looks = list(_fitting(world, looks, filters)) if filters else looks
    if limit > 0:
        looks = looks[:limit]
    lines = world.kept("lines", Lines)
    if query.flag("size"):
        call.answer(200, [lines.document(world, look) for look in looks])
    else:
        call.send_whole(200, lines.written(world, looks), JSON)


def every_line(world: World) -> list[dict[str, Any]]:
    """Return all containers as listings have them, with their sizes."""
    lines = world.kept("lines", Lines)
    return [lines.document(world, look) for look in _looks(world)]


def _is_up(look: Look) -> bool:
    return pictures.status_of(look) in (*pictures.RUNNING, "restarting")


def _looks(world: World) -> Iterator[Look]:
    watched: dict[str, bool] = {}
    for meta in world.core.metas():
        yield world.core.look(meta, watched)


# ------------------------------------------------------------------ filters


def _check(filters: Filters) -> None:
    for status in filters.texts("status"):
        if status not in _STATUSES:
            raise Problem(
                400,
                f"invalid filter 'status={status}': invalid value for state ({status}): must be one of "
                f"{', '.join(_STATUSES)}",
            )
    for code in filters.texts("exited"):
        try:
            reading.number(code)
        except ValueError as error:
            raise Problem(400, f"invalid filter 'exited={code[:40]}': {error}") from None
    for name in ("publish", "expose"):
        for text in filters.texts(name):
            _ports_of(name, text)
    for health in filters.texts("health"):
        if health not in ("none", "starting", "healthy", "unhealthy"):
            raise Problem(400, f"invalid filter 'health={health}'")
    for name in ("is-task",):
        filters.flag(name)


def _fitting(world: World, looks: list[Look], filters: Filters) -> Iterator[Look]:
    after = max((_created(world, name) for name in filters.texts("since")), default=0)
    before = min((_created(world, name) for name in filters.texts("before")), default=0)
    images = _ancestors(world, filters) if "ancestor" in filters else None
    for look in looks:
        meta = look.meta
        if (after and meta["created_ns"] <= after) or (before and meta["created_ns"] >= before):
            continue
        if images is not None and meta["image_id"] not in images and meta["image"] not in images:
            continue
        if _fits(look, filters):
            yield look


def _created(world: World, name: str) -> int:
    return world.container(name)["created_ns"]


def _ancestors(world: World, filters: Filters) -> set[str]:
    """Return the ids of the images that are meant, and of those that are made on top of them."""
    found: set[str] = set()
    store = world.core.store
    for name in filters.texts("ancestor"):
        image = store.find(name)
        if image is None:
            continue
        found.add(image.id)
        layers = image.diff_ids
        found |= {one.id for one in store.images() if layers and one.diff_ids[: len(layers)] == layers}
    return found


def _fits(look: Look, filters: Filters) -> bool:
    meta = look.meta
    exit_code = str(pictures.exit_code_of(look))
    return (
        filters.fits("id", lambda text: meta["id"].startswith(text))
        and filters.fits_name("name", (meta["name"], f"/{meta['name']}"))
        and filters.fits_labels(meta["labels"])
        and filters.fits_exactly("status", pictures.status_of(look))
        and filters.fits_exactly("health", pictures.health_of(look))
        and (
            "exited" not in filters
            or (pictures.status_of(look) == "exited" and filters.fits_exactly("exited", exit_code))
        )
        and filters.flag("is-task") is not True
        and filters.fits("network", lambda text: _joins(look, text))
        and filters.fits("volume", lambda text: _mounts(look, text))
        and filters.fits("publish", lambda text: _has_port("publish", text, _host_ports(look)))
        and filters.fits(
            "expose",
            lambda text: _has_port("expose", text, [*pictures.exposed(look), *pictures.published(look)]),
        )
    )


def _joins(look: Look, text: str) -> bool:
    return any(name == text or id.startswith(text) for name, id in look.meta["networks"])


def _mounts(look: Look, text: str) -> bool:
    return any(text in (mount.get("name"), mount["target"], mount["source"]) for mount in look.meta["mounts"])


def _host_ports(look: Look) -> list[tuple[int, str]]:
    return [(port, kind) for (_, kind), places in pictures.published(look).items() for _, port in places]


def _has_port(name: str, text: str, ports: Iterable[tuple[int, str]]) -> bool:
    wanted, protocol = _ports_of(name, text)
    return any(number in wanted and protocol == kind for number, kind in ports)


def _ports_of(name: str, text: str) -> tuple[range, str]:
    """Read a filter that is ``80``, ``80/udp``, ``8000-8080/tcp``. Raises Problem."""
    numbers, _, protocol = text.partition("/")
    first, _, last = numbers.partition("-")
    try:
        least = reading.digits(first, reading.MOST_PORT)
        most = reading.digits(last, reading.MOST_PORT) if last else least
    except ValueError:
        raise Problem(400, f"invalid filter '{name}': {text[:40]!r} is no port") from None
    return range(least, most + 1), protocol or "tcp"
