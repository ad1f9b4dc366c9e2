"""Which engine this machine would use, how it is reached and what it can do, for ``composer doctor``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from composer.backends.docker import builds, endpoint
from composer.backends.docker.client import Client
from composer.engine.backend import Finding
from composer.errors import BackendError
from composer.registry import credentials, dockerconfig

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
        return f"Docker's context '{place.context}'"
    return "Docker's default"


def _engine(client: Client, version: Mapping[str, Any], info: Mapping[str, Any]) -> Iterator[Finding]:
    api = ".".join(map(str, client.api))
    yield Finding(
        "ok",
        "version",
        f"Engine {version.get('Version')}, API {version.get('ApiVersion')} (spoken: {api}), "
        f"{info.get('OperatingSystem')}, {version.get('Arch')}",
    )
    lacking = [what for brought, what in _BROUGHT if client.api < brought]
    if lacking:
        yield Finding(
            "note", "version", f"too old for {', '.join(lacking)}", "update Docker Engine to use these"
        )
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
        yield Finding(
            "note", "disk", f"'{root}' is not on this machine: its free space cannot be seen from here"
        )
        return
    try:
        usage = os.statvfs(root)
    except PermissionError:
        yield Finding("note", "disk", f"this user may not look at '{root}'")
        return
    free = usage.f_bavail * usage.f_frsize
    text = f"{free / 1e9:.1f} GB free at '{root}'"
    if free < _LOW_BYTES:
        yield Finding("warning", "disk", text, "make room: docker system df, docker system prune")
    else:
        yield Finding("ok", "disk", text)


def _networks(client: Client) -> Iterator[Finding]:
    """Yield what takes an address range of the engine's small pool and is used by nobody."""
    query = {"filters": {"label": ["com.docker.compose.project"], "dangling": ["true"]}}
    names = sorted(str(network["Name"]) for network in client.get("/networks", query) or ())
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        yield Finding(
            "note",
            "leftovers",
            f"networks of projects without a container: {shown}",
            "composer -p PROJECT down, or docker network prune",
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
            "the engine's own builder: no secrets, ssh, cache or several platforms",
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
            f"{trouble}, and '{dockerconfig.path(environment)}' names it",
            "install it, or remove credsStore and credHelpers from that file and log in again",
        )
