"""The samples: what stands in for the images that they build, which of their files are needed, what must answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_PASSWORD = {"db/password.txt": "db-57xsl\n"}
_PROXY = {
    "proxy/nginx.conf": "server { listen 80; location / { proxy_pass http://backend:8000; } }\n",
}


class Ask(NamedTuple):
    """A page: on a published port, or of another service as ``inside`` sees it.

    ``databases`` count its visits; so many ``hosts`` answer in turn.
    """

    port: int
    databases: tuple[str, ...] = ()
    hosts: int = 1
    inside: str = ""
    service: str = "localhost"


class Sample(NamedTuple):
    """``images`` maps a service without an image of its own, or an image, to the role that stands in for it."""

    name: str
    images: Mapping[str, str]
    asks: tuple[Ask, ...]
    files: Mapping[str, str] = {}


PG, SQL = ("postgresql",), ("mysql",)
SAMPLES = (
    Sample(
        "nginx-golang-postgres",
        {"backend": "python", "postgres": "postgres", "nginx": "nginx"},
        (Ask(80, PG),),
        {**_PASSWORD, **_PROXY},
    ),
    Sample(
        "nginx-golang-mysql",
        {"backend": "python", "mariadb:10-focal": "mariadb", "nginx": "nginx"},
        (Ask(80, SQL),),
        {**_PASSWORD, **_PROXY},
    ),
    Sample(
        "nginx-flask-mysql",
        {"backend": "python", "mariadb:10-focal": "mariadb", "proxy": "nginx"},
        (Ask(80, SQL), Ask(8000, SQL)),
        _PASSWORD,
    ),
    Sample(
        "nginx-nodejs-redis",
        {"web1": "node", "web2": "node", "nginx": "nginx", "redislabs/redismod": "redis"},
        (Ask(80, ("redis",), hosts=2), Ask(81, ("redis",)), Ask(82, ("redis",))),
    ),
    Sample("flask-redis", {"web": "python", "redislabs/redismod": "redis"}, (Ask(8000, ("redis",)),)),
    Sample(
        "react-express-mysql",
        {"backend": "node", "frontend": "python", "mariadb:10.6.4-focal": "mariadb"},
        (Ask(80, SQL), Ask(3000)),
        {
            **_PASSWORD,
            "backend/package.json": "{}\n",
            "backend/package-lock.json": "{}\n",
            "backend/src/index.js": "\n",
            "frontend/src/index.js": "\n",
        },
    ),
    Sample(
        "react-rust-postgres",
        {"backend": "python", "frontend": "python", "postgres:12-alpine": "postgres"},
        (Ask(3000), Ask(8000, PG, inside="frontend", service="backend")),
        {"backend/src/main.rs": "\n", "frontend/src/index.js": "\n"},
    ),
    Sample("spring-postgres", {"backend": "python", "postgres": "postgres"}, (Ask(8080, PG),), _PASSWORD),
    Sample(
        "wordpress-mysql",
        {"mariadb:10.6.4-focal": "mariadb", "wordpress:latest": "python"},
        (Ask(80, SQL),),
    ),
    Sample(
        "nextcloud-redis-mariadb",
        {"mariadb:10.5": "mariadb", "redis:alpine": "redis", "nextcloud:apache": "python"},
        (Ask(80, ("mysql", "redis")),),
    ),
    Sample(
        "gitea-postgres",
        {"postgres:alpine": "postgres", "gitea/gitea:latest": "python"},
        (Ask(3000, PG),),
    ),
    Sample(
        "nginx-wsgi-flask",
        {"nginx-proxy": "nginx", "flask-app": "python"},
        (Ask(80), Ask(8000)),
        {"nginx/default.conf": "\n"},
    ),
)
