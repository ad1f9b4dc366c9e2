"""Registries, with the logins of a request: they are for this request alone, and nothing of them is kept."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from typing import TYPE_CHECKING, Any

from composer.api.http.problems import Problem
from composer.registry import credentials, logins, settings
from composer.registry.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.api.http.call import Call
    from composer.api.world import World
    from composer.runtime.engine.images import Images

_MOST_BYTES = 64 << 10
_NOWHERE = "/dev/null"
"""Where Docker's configuration of whoever runs the server is not looked for: a client's logins are its own."""


def _decoded(text: str) -> Any:
    """Return what a header has, base64 of either alphabet, with or without its padding; None where it has none."""
    if not text or len(text) > _MOST_BYTES:
        return None
    plain = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return json.loads(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None  # Docker goes on without a login as well


def _entry(found: Any) -> dict[str, str]:
    """Return a login as Docker's configuration has it; empty where there is none. Raises Problem."""
    if not isinstance(found, dict):
        return {}
    fields = {str(key).lower(): value for key, value in found.items() if isinstance(value, str)}
    if fields.get("registrytoken") and not fields.get("username"):
        raise Problem(
            400, "a login with registrytoken is not supported: send username and password, or identitytoken"
        )
    kept = ("username", "password", "identitytoken", "auth")
    return {key: fields[key] for key in kept if fields.get(key)}


def environment_for(call: Call, host: str) -> dict[str, str]:
    """Return the settings for one registry: the server's own, with the login of the request's X-Registry-Auth."""
    entry = _entry(_decoded(call.headers.get("x-registry-auth", "")))
    return _environment(call.world, {credentials.server_of(host): entry} if entry else {})


def environment_for_all(call: Call) -> dict[str, str]:
    """Return the settings for several: with the logins of X-Registry-Config, by registry."""
    found = _decoded(call.headers.get("x-registry-config", ""))
    entries = {
        str(server): _entry(entry) for server, entry in (found.items() if isinstance(found, dict) else ())
    }
    return _environment(call.world, {server: entry for server, entry in entries.items() if entry})


def environment_of(world: World, logins_by_server: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return _environment(world, {server: dict(entry) for server, entry in logins_by_server.items()})


def _environment(world: World, entries: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    made = {key: text for key, text in world.environment.items() if key != "DOCKER_AUTH_CONFIG"}
    made["DOCKER_CONFIG"] = _NOWHERE
    if entries:
        made["DOCKER_AUTH_CONFIG"] = json.dumps({"auths": entries})
    return made


@contextlib.contextmanager
def images(world: World, environment: Mapping[str, str]) -> Iterator[Images]:
    """Yield the images, to be pulled and pushed with these settings."""
    from composer.runtime.engine.images import Images

    made = Images(world.core, environment)
    try:
        yield made
    finally:
        made.close()


def try_log_in(world: World, server: str, username: str, password: str, identity_token: Any = None) -> None:
    """Try a login at a registry. Raises LoginFailed or ImageError."""
    from composer.registry.transport import Transport

    host = logins.host_of(server)
    found = settings.read(_environment(world, {}))
    transport = Transport(found)
    token = identity_token if isinstance(identity_token, str) else ""
    try:
        logins.check(found, transport, host, Credentials(username, password, token))
    finally:
        transport.close()
