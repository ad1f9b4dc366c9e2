"""The table of what Docker's API has: what is answered here, by which function, and what is refused, with the reason.

`docs/api.md` is made from it, and a test holds it to the list of the API's paths.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NO_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
    "to swarm and try again."
)
_SWARM = "Swarm is not supported: projects of more machines than one are another engine's"
_PLUGINS = "plugins are not supported"


class Route(NamedTuple):
    """One method of one path. ``{name}`` is a part of a path, ``{name:path}`` may have slashes in it.

    ``endpoint`` is ``module:function`` below `composer.api`; with ``upload`` it reads the body itself, of any length.
    What has a ``refusal`` is answered with that and ``refused_with``.
    """

    method: str
    path: str
    endpoint: str = ""
    upload: bool = False
    refusal: str = ""
    refused_with: int = 503


class Found(NamedTuple):
    route: Route
    parameters: Mapping[str, str]


def _answered(room: str, *rows: str) -> Iterator[Route]:
    """Rows are ``METHOD PATH FUNCTION``, with an asterisk behind the function that reads an upload."""
    for row in rows:
        method, path, function = row.split()
        yield Route(method, path, f"{room}:{function.rstrip('*')}", upload=function.endswith("*"))


def _refused(message: str, status: int, *rows: str) -> Iterator[Route]:
    for row in rows:
        method, path = row.split()
        yield Route(method, path, refusal=message, refused_with=status)


TABLE: tuple[Route, ...] = (
    *_answered(
        "others.system",
        "GET /_ping ping",
        "HEAD /_ping ping",
        "GET /version version",
        "GET /info info",
        "POST /auth authenticate",
        "GET /system/df disk_use",
    ),
    *_answered("others.events", "GET /events events"),
    *_answered("containers.listing", "GET /containers/json list_containers"),
    *_answered("containers.inspecting", "GET /containers/{id}/json inspect"),
    *_answered("containers.creating", "POST /containers/create create"),
    *_answered(
        "containers.changing",
        "POST /containers/{id}/start start",
        "POST /containers/{id}/stop stop",
        "POST /containers/{id}/restart restart",
        "POST /containers/{id}/kill kill",
        "POST /containers/{id}/pause pause",
        "POST /containers/{id}/unpause unpause",
        "POST /containers/{id}/rename rename",
        "POST /containers/{id}/update update",
        "DELETE /containers/{id} remove",
        "POST /containers/prune prune",
    ),
    *_answered("containers.waiting", "POST /containers/{id}/wait wait"),
    *_answered("containers.logging", "GET /containers/{id}/logs logs"),
    *_answered(
        "containers.attaching",
        "POST /containers/{id}/attach attach",
        "GET /containers/{id}/attach/ws attach_by_websocket",
        "POST /containers/{id}/resize resize",
    ),
    *_answered(
        "containers.executing",
        "POST /containers/{id}/exec create",
        "POST /exec/{id}/start start",
        "POST /exec/{id}/resize resize",
        "GET /exec/{id}/json inspect",
    ),
    *_answered(
        "containers.using",
        "GET /containers/{id}/top top",
        "GET /containers/{id}/stats stats",
        "GET /containers/{id}/changes changes",
    ),
    *_answered(
        "containers.copying",
        "HEAD /containers/{id}/archive stat",
        "GET /containers/{id}/archive read",
        "PUT /containers/{id}/archive write*",
        "GET /containers/{id}/export export",
    ),
    *_answered(
        "images.listing",
        "GET /images/json list_images",
        "GET /images/{name:path}/json inspect",
        "GET /images/{name:path}/history history",
    ),
    *_answered(
        "images.changing",
        "POST /images/{name:path}/tag tag",
        "DELETE /images/{name:path} remove",
        "POST /images/prune prune",
        "POST /commit commit",
    ),
    *_answered(
        "images.moving",
        "POST /images/create create*",
        "POST /images/{name:path}/push push",
        "GET /images/get save",
        "GET /images/{name:path}/get save",
        "POST /images/load load*",
        "GET /distribution/{name:path}/json distribution",
    ),
    *_answered(
        "images.building",
        "POST /build build*",
        "POST /build/prune prune",
        "POST /build/cancel cancel",
    ),
    *_answered("buildkit.services", "POST /grpc grpc_endpoint", "POST /session session_endpoint"),
    *_refused(
        "searching is Docker Hub's own service, which is not asked: look for images at hub.docker.com",
        501,
        "GET /images/search",
    ),
    *_answered(
        "others.networks",
        "GET /networks list_networks",
        "POST /networks/create create",
        "POST /networks/prune prune",
        "GET /networks/{id} inspect",
        "DELETE /networks/{id} remove",
        "POST /networks/{id}/connect connect",
        "POST /networks/{id}/disconnect disconnect",
    ),
    *_answered(
        "others.volumes",
        "GET /volumes list_volumes",
        "POST /volumes/create create",
        "POST /volumes/prune prune",
        "GET /volumes/{name} inspect",
        "DELETE /volumes/{name} remove",
    ),
    *_refused(NO_MANAGER, 503, "PUT /volumes/{name}"),
    *_answered("others.absent", "GET /plugins list_plugins", "GET /plugins/{name:path}/json no_plugin"),
    *_refused(
        _PLUGINS,
        501,
        "GET /plugins/privileges",
        "POST /plugins/pull",
        "POST /plugins/create",
        "DELETE /plugins/{name:path}",
        "POST /plugins/{name:path}/enable",
        "POST /plugins/{name:path}/disable",
        "POST /plugins/{name:path}/upgrade",
        "POST /plugins/{name:path}/push",
        "POST /plugins/{name:path}/set",
    ),
    *_refused(_SWARM, 501, "POST /swarm/init", "POST /swarm/join"),
    *_refused("This node is not part of a swarm", 503, "POST /swarm/leave"),
    *_refused(
        NO_MANAGER,
        503,
        "GET /swarm",
        "POST /swarm/update",
        "GET /swarm/unlockkey",
        "POST /swarm/unlock",
        "GET /nodes",
        "GET /nodes/{id}",
        "DELETE /nodes/{id}",
        "POST /nodes/{id}/update",
        "GET /services",
        "POST /services/create",
        "GET /services/{id}",
        "DELETE /services/{id}",
        "POST /services/{id}/update",
        "GET /services/{id}/logs",
        "GET /tasks",
        "GET /tasks/{id}",
        "GET /tasks/{id}/logs",
        "GET /secrets",
        "POST /secrets/create",
        "GET /secrets/{id}",
        "DELETE /secrets/{id}",
        "POST /secrets/{id}/update",
        "GET /configs",
        "POST /configs/create",
        "GET /configs/{id}",
        "DELETE /configs/{id}",
        "POST /configs/{id}/update",
    ),
)


def find(method: str, path: str) -> Found | None:
    """Return the route of a request, with the parts of its path that have a name, still quoted."""
    for expression, route in _compiled().get(method, ()):
        match = expression.fullmatch(path)
        if match is not None:
            return Found(route, match.groupdict())
    return None


@functools.cache
def _compiled() -> dict[str, list[tuple[re.Pattern[str], Route]]]:
    found: dict[str, list[tuple[re.Pattern[str], Route]]] = {}
    for route in TABLE:
        # what has no name in it comes before what has: /images/json is no image
        found.setdefault(route.method, []).append((re.compile(_expression(route.path)), route))
    for rows in found.values():
        rows.sort(key=lambda row: (row[1].path.count("{"), -len(row[1].path)))
    return found


def _expression(path: str) -> str:
    expression = re.escape(path).replace(r"\{", "{").replace(r"\}", "}")
    expression = re.sub(r"\{(\w+):path\}", r"(?P<\1>.+)", expression)
    return re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", expression)
