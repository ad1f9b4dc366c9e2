"""Which engine this machine would use, how it is reached and what it can do, for ``composer doctor``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from composer import userconfig
from composer.backends.docker import endpoint
from composer.backends.docker.building import builds
from composer.backends.docker.client import Client
from composer.engine.backend import Finding
from composer.errors import BackendError
from composer.registry import credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LOW_BYTES = 2 << 30
# What an older API cannot express, by the version that brought it: the table of docs/docker.md.
_BROUGHT = (
    ((1, 43), "annotations"),
    ((1, 44), "healthcheck.start_interval"),
    ((1, 45), "volume.subpath"),
    ((1, 48), "image volumes, gw_priority"),
    ((1, 49), "interface_name"),
)


def diagnose(environment: Mapping[str, str]) -> list[Finding]:
    """Ask the engine that Docker's own command would use."""
    found: list[Finding] = []
    try:
        place = endpoint.find(environment)
        found.append(Finding("ok", "engine", f"'{place.url}', from {_origin(place, environment)}"))
        client = Client(place)
    except BackendError as error:
        return [*found, Finding("missing", "engine", str(error), error.hint)]
    try:
        version, info = client.get("/version"), client.get("/info")
        found += _engine(client, version, info)
        found += _disk(place, info)
        found += _networks(client)
    except BackendError as error:
        found.append(Finding("missing", "engine", str(error), error.hint))
    finally:
        client.close()
    return [*found, *_builds(environment), *_credentials(environment)]


def _origin(place: endpoint.Endpoint, environment: Mapping[str, str]) -> str:
    if environment.get("DOCKER_HOST"):
        return "DOCKER_HOST"
    if place.context:
        return f"Docker context '{place.context}'"
    return "Docker's default"


def _engine(client: Client, version: Mapping[str, Any], info: Mapping[str, Any]) -> Iterator[Finding]:
    api = ".".join(map(str, client.api))
    yield Finding(
        "ok",
        "version",
        f"Engine {version.get('Version')}, API {version.get('ApiVersion')} (in use: {api}), "
        f"{info.get('OperatingSystem')}, {version.get('Arch')}",
    )
    lacking = [what for brought, what in _BROUGHT if client.api < brought]
    if lacking:
        yield Finding("note", "version", f"does not support {', '.join(lacking)}", "update Docker Engine")
    security = [str(one).removeprefix("name=").split(",")[0] for one in info.get("SecurityOptions") or ()]
    yield Finding(
        "ok",
        "isolation",
        f"cgroup v{info.get('CgroupVersion') or '1'} ({info.get('CgroupDriver')}), "
        f"{info.get('Driver')}, {', '.join(security) or 'no security options'}",
    )
    for sentence in info.get("Warnings") or ():
        yield Finding("warning", "engine", str(sentence).removeprefix("WARNING: "))


def _disk(place: endpoint.Endpoint, info: Mapping[str, Any]) -> Iterator[Finding]:
    root = str(info.get("DockerRootDir") or "")
    if not place.url.startswith("unix:") or not os.path.isdir(root):
        yield Finding("note", "disk", f"'{root}' is on another machine: free disk space unknown")
        return
    try:
        usage = os.statvfs(root)
    except PermissionError:
        yield Finding("note", "disk", f"permission denied: free disk space of '{root}' unknown")
        return
    free = usage.f_bavail * usage.f_frsize
    text = f"{free / 1e9:.1f} GB free at '{root}'"
    if free < _LOW_BYTES:
        yield Finding(
            "warning",
            "disk",
            text,
            "free up disk space: docker system df shows usage, docker system prune removes unused data",
        )
    else:
        yield Finding("ok", "disk", text)


def _networks(client: Client) -> Iterator[Finding]:
    """Yield what takes an address range of the engine's small pool and is used by nobody."""
    query = {"filters": {"label": ["com.docker.compose.project"], "dangling": ["true"]}}
    # the engine's filter also lists networks that containers have
    containers = client.get("/containers/json", {"all": True}) or ()
    used = {name for one in containers for name in (one.get("NetworkSettings") or {}).get("Networks") or ()}
    found = (str(network["Name"]) for network in client.get("/networks", query) or ())
    names = sorted(name for name in found if name not in used)
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        yield Finding(
            "note",
            "leftovers",
            f"unused networks of projects without containers: {shown}",
            "run composer -p PROJECT down, or docker network prune",
        )
    else:
        yield Finding("ok", "leftovers", "none")


def _builds(environment: Mapping[str, str]) -> Iterator[Finding]:
    if builds.has_buildx(environment):
        yield Finding("ok", "builds", "docker buildx (BuildKit)")
    else:
        yield Finding(
            "note",
            "builds",
            "classic builder: secrets, ssh, cache and multiple platforms are not supported",
            "install docker buildx: apt-get install docker-buildx",
        )


def _credentials(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the credential helpers that config.json names and this machine lacks: then no login is found."""
    try:
        config = endpoint.read_config(environment)
    except BackendError as error:
        yield Finding("warning", "credentials", str(error), error.hint)
        return
    for trouble in credentials.troubles(config, environment):
        yield Finding(
            "warning",
            "credentials",
            f"{trouble} (configured in '{userconfig.docker_path(environment)}')",
            "install it, or remove credsStore and credHelpers from that file and log in again",
        )
