"""The table of routes, against the list of what Docker's API has."""

from __future__ import annotations

import importlib

import pytest

from composer.api import routes

# The paths of the API 1.51, by method.
PATHS = """
GET /containers/json; POST /containers/create; GET /containers/{id}/json; GET /containers/{id}/top;
GET /containers/{id}/logs; GET /containers/{id}/changes; GET /containers/{id}/export; GET /containers/{id}/stats;
POST /containers/{id}/resize; POST /containers/{id}/start; POST /containers/{id}/stop; POST /containers/{id}/restart;
POST /containers/{id}/kill; POST /containers/{id}/update; POST /containers/{id}/rename; POST /containers/{id}/pause;
POST /containers/{id}/unpause; POST /containers/{id}/attach; GET /containers/{id}/attach/ws; POST /containers/{id}/wait;
DELETE /containers/{id}; HEAD /containers/{id}/archive; GET /containers/{id}/archive; PUT /containers/{id}/archive;
POST /containers/prune; GET /images/json; POST /build; POST /build/prune; POST /images/create; GET /images/{name}/json;
GET /images/{name}/history; POST /images/{name}/push; POST /images/{name}/tag; DELETE /images/{name};
GET /images/search; POST /images/prune; POST /auth; GET /info; GET /version; GET /_ping; HEAD /_ping; POST /commit;
GET /events; GET /system/df; GET /images/{name}/get; GET /images/get; POST /images/load; POST /containers/{id}/exec;
POST /exec/{id}/start; POST /exec/{id}/resize; GET /exec/{id}/json; GET /volumes; POST /volumes/create;
GET /volumes/{name}; PUT /volumes/{name}; DELETE /volumes/{name}; POST /volumes/prune; GET /networks;
GET /networks/{id}; DELETE /networks/{id}; POST /networks/create; POST /networks/{id}/connect;
POST /networks/{id}/disconnect; POST /networks/prune; GET /plugins; GET /plugins/privileges; POST /plugins/pull;
GET /plugins/{name}/json; DELETE /plugins/{name}; POST /plugins/{name}/enable; POST /plugins/{name}/disable;
POST /plugins/{name}/upgrade; POST /plugins/create; POST /plugins/{name}/push; POST /plugins/{name}/set; GET /nodes;
GET /nodes/{id}; DELETE /nodes/{id}; POST /nodes/{id}/update; GET /swarm; POST /swarm/init; POST /swarm/join;
POST /swarm/leave; POST /swarm/update; GET /swarm/unlockkey; POST /swarm/unlock; GET /services; POST /services/create;
GET /services/{id}; DELETE /services/{id}; POST /services/{id}/update; GET /services/{id}/logs; GET /tasks;
GET /tasks/{id}; GET /tasks/{id}/logs; GET /secrets; POST /secrets/create; GET /secrets/{id}; DELETE /secrets/{id};
POST /secrets/{id}/update; GET /configs; POST /configs/create; GET /configs/{id}; DELETE /configs/{id};
POST /configs/{id}/update; GET /distribution/{name}/json; POST /session
"""
BESIDE = {"POST /grpc", "POST /build/cancel"}
"""What the engine answers, and its documents of the API do not name."""


def listed() -> set[str]:
    return {" ".join(entry.split()) for entry in PATHS.split(";")}


def test_every_path_of_the_api_has_a_row() -> None:
    rows = {f"{route.method} {route.path.replace(':path', '')}" for route in routes.TABLE}
    assert listed() - rows == set()
    assert rows - listed() == BESIDE
    assert len(routes.TABLE) == len(rows)


@pytest.mark.parametrize("route", routes.TABLE, ids=lambda route: f"{route.method} {route.path}")
def test_a_row_is_answered_or_refused_with_a_reason(route: routes.Route) -> None:
    if route.refusal:
        assert not route.endpoint and route.refused_with in (501, 503)
        return
    module, _, name = route.endpoint.partition(":")
    assert callable(getattr(importlib.import_module(f"composer.api.{module}"), name))


@pytest.mark.parametrize(
    ("method", "path", "endpoint", "parameters"),
    [
        ("GET", "/images/json", "images.listing:list_images", {}),
        (
            "GET",
            "/images/127.0.0.1:5000/a/b:1/json",
            "images.listing:inspect",
            {"name": "127.0.0.1:5000/a/b:1"},
        ),
        ("GET", "/images/json/json", "images.listing:inspect", {"name": "json"}),
        ("GET", "/images/get", "images.moving:save", {}),
        ("POST", "/containers/prune", "containers.changing:prune", {}),
        ("POST", "/containers/json/start", "containers.changing:start", {"id": "json"}),
        ("DELETE", "/images/a/b", "images.changing:remove", {"name": "a/b"}),
        ("POST", "/networks/create", "others.networks:create", {}),
    ],
)
def test_a_request_finds_its_row(method: str, path: str, endpoint: str, parameters: dict[str, str]) -> None:
    found = routes.find(method, path)
    assert found is not None
    assert (found.route.endpoint, dict(found.parameters)) == (endpoint, parameters)


@pytest.mark.parametrize("path", ["/", "/containers", "/containers//json/x", "/nothing", "/images/", ""])
def test_what_is_no_path_of_the_api_finds_none(path: str) -> None:
    assert routes.find("GET", path) is None
