"""A compose file from containers that exist (``alpha generate``).

What the image says too is left out. Networks and volumes are external: a project of the file goes on with their data.
"""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.engine import labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from composer.engine.inspected import Settings
    from composer.engine.observed import ObservedContainer, ObservedImage, ObservedMount

_OURS = ("com.docker.compose.", "composer.")
"""Labels that docker compose and composer give their containers."""
_SECRETS = "/run/secrets"
_EVERY = ("", "0.0.0.0", "::")
_FLAGS = ("privileged", "read_only", "tty", "stdin_open")


class Made(NamedTuple):
    """A container, how it was made, and its image where that is still there."""

    container: ObservedContainer
    settings: Settings
    image: ObservedImage | None

    @property
    def service(self) -> str:
        """The name of its service: that of an earlier project, or the container's own."""
        return labels.service_of(self.container) or self.container.name


def project(found: Sequence[Made], *, name: str = "", directory: str = "") -> dict[str, Any]:
    """Return the tree of a compose file. Paths below ``directory`` become relative; ``name`` may be empty."""
    by_service: dict[str, list[Made]] = {}
    for one in sorted(found, key=lambda one: one.container.name):
        by_service.setdefault(one.service, []).append(one)
    owners = {one.container.id: service for service, those in by_service.items() for one in those}
    services: dict[str, Any] = {}
    for service, those in sorted(by_service.items()):
        services[service] = _service(those[0], service, owners, directory)
        if len(those) > 1:
            services[service]["scale"] = len(those)
    tree: dict[str, Any] = {**({"name": name} if name else {}), "services": services}
    mounts = [mount for one in found for mount in one.container.mounts]
    networks = sorted({each for one in found for each in _networks(one)})
    volumes = sorted({mount.name for mount in mounts if mount.type == "volume" and mount.name})
    secrets = {_secret(mount): mount.source for mount in mounts if _secret(mount)}
    for key, names in (("networks", networks), ("volumes", volumes)):
        if names:
            tree[key] = {each: {"external": True} for each in names}
    if secrets:
        tree["secrets"] = {each: {"file": _path(secrets[each], directory)} for each in sorted(secrets)}
    return tree


def _service(made: Made, name: str, owners: Mapping[str, str], directory: str) -> dict[str, Any]:
    container, settings, image = made
    # in an order of our own: an engine has none
    mounts = sorted(container.mounts, key=lambda mount: mount.target)
    config: Mapping[str, Any] = image.config if image is not None else {}
    found: dict[str, Any] = {"image": container.image or container.image_id}
    found |= _command(container.command, config, is_known=image is not None)
    of_image = dict(str(text).partition("=")[::2] for text in config.get("Env") or ())
    found["environment"] = {
        key: text for key, text in sorted(settings.environment.items()) if of_image.get(key) != text
    }
    found["labels"] = {
        key: text
        for key, text in sorted(container.labels.items())
        if not key.startswith(_OURS) and (image is None or image.labels.get(key) != text)
    }
    of_image_check = (config.get("Healthcheck") or {}).get("Test")
    if settings.healthcheck and settings.healthcheck.get("test") != of_image_check:
        found["healthcheck"] = dict(settings.healthcheck)
    found["user"] = settings.user if settings.user not in ("0", config.get("User")) else ""
    is_elsewhere = settings.working_dir not in ("/", config.get("WorkingDir"))
    found["working_dir"] = settings.working_dir if is_elsewhere else ""
    found["restart"] = settings.restart
    found |= {key: True for key in _FLAGS if getattr(settings, key)}
    found |= _network(made, name, owners)
    found["ports"] = list(_ports(container))
    found["volumes"] = [_volume(mount, directory) for mount in mounts if not _secret(mount)]
    found["secrets"] = [
        {"source": _secret(mount), "target": mount.target} for mount in mounts if _secret(mount)
    ]
    return {key: value for key, value in found.items() if value not in ("", {}, [])}


def _command(whole: Sequence[str], config: Mapping[str, Any], *, is_known: bool) -> dict[str, Any]:
    """Return what of a command line is not the image's."""
    entrypoint, command = list(config.get("Entrypoint") or ()), list(config.get("Cmd") or ())
    words = [word for word in whole if word] if not is_known else list(whole)
    if words == entrypoint + command:
        return {}
    if is_known and words[: len(entrypoint)] == entrypoint and len(words) > len(entrypoint):
        return {"command": words[len(entrypoint) :]}
    return {"entrypoint": words}


def _networks(made: Made) -> list[str]:
    """Return the networks that are the container's own choice."""
    if made.settings.network_mode:
        return []
    return [one.network for one in made.container.endpoints if one.network != "bridge"]


def _network(made: Made, name: str, owners: Mapping[str, str]) -> dict[str, Any]:
    container, mode = made.container, made.settings.network_mode
    if mode.startswith("container:"):
        owner = mode.partition(":")[2]
        service = owners.get(owner)
        return {"network_mode": f"service:{service}" if service else mode}
    if mode:
        return {"network_mode": mode}
    networks = _networks(made)
    if not networks:
        return {"network_mode": "bridge" if container.endpoints else "none"}
    own = (container.name, container.id[:12], name)
    return {
        "networks": {
            one.network: {"aliases": aliases} if (aliases := [a for a in one.aliases if a not in own]) else {}
            for one in sorted(container.endpoints)
            if one.network in networks
        }
    }


def _ports(container: ObservedContainer) -> Iterator[dict[str, Any]]:
    seen = set()
    for port in sorted(container.ports):
        if not port.host_port:
            continue
        address = "" if port.host_ip in _EVERY else port.host_ip
        key = (port.container_port, port.host_port, address, port.protocol)
        if key not in seen:
            seen.add(key)
            yield {
                **({"host_ip": address} if address else {}),
                "target": port.container_port,
                "published": str(port.host_port),
                "protocol": port.protocol,
            }


def _secret(mount: ObservedMount) -> str:
    """Return the name of the secret that a mount is; empty for any other."""
    is_one = mount.type == "bind" and posixpath.dirname(mount.target) == _SECRETS
    return posixpath.basename(mount.target) if is_one else ""


def _volume(mount: ObservedMount, directory: str) -> dict[str, Any]:
    found: dict[str, Any] = {"type": mount.type}
    if mount.type == "volume":
        found["source"] = mount.name
    elif mount.type == "bind":
        found["source"] = _path(mount.source, directory)
    found["target"] = mount.target
    if mount.read_only:
        found["read_only"] = True
    return found


def _path(path: str, directory: str) -> str:
    relative = os.path.relpath(path, directory) if directory else path
    return path if not directory or relative.startswith("..") else f"./{relative}"
