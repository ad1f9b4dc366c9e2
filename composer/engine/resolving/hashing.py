"""The configuration hashes that Compose writes into labels, from canonical trees.

A hash is the SHA-256 of what Go's encoding/json prints for the struct: fields in the struct's order (which is the
tree's), maps sorted, ``<``, ``>`` and ``&`` escaped. A stack that docker compose started is recognised by it, and
the reverse.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from composer.schema.render import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOT_HASHED = frozenset({"build", "pull_policy", "scale", "depends_on", "profiles"})
"""What changes how a service is made or found, but not its containers."""


def service_hash(service: Mapping[str, Any]) -> str:
    """Return the hash of a service: of its canonical tree with environment files merged in.

    That is the hash of labels. Of a tree with ``env_file`` in it (``--no-env-resolution``) it is what ``docker compose
    config --hash`` of 2.40 prints, which never reads env files and so does not agree with its own labels.
    """
    kept = {key: value for key, value in service.items() if key not in _NOT_HASHED}
    if "env_file" in kept:
        kept["env_file"] = [one["path"] if one["required"] else one for one in kept["env_file"]]
    deploy = kept.get("deploy")
    if deploy and "replicas" in deploy:
        kept["deploy"] = {key: value for key, value in deploy.items() if key != "replicas"}
    return _digest(kept)


def network_hash(network: Mapping[str, Any]) -> str:
    """Return the hash of a network."""
    return _digest(network)


def volume_hash(volume: Mapping[str, Any]) -> str:
    """Return the hash of a volume; the driver counts as ``local`` when none is written."""
    if volume.get("driver"):
        return _digest(volume)
    ordered: dict[str, Any] = {}
    if "name" in volume:
        ordered["name"] = volume["name"]
    ordered["driver"] = "local"
    ordered.update({key: value for key, value in volume.items() if key != "name"})
    return _digest(ordered)


def _digest(value: Mapping[str, Any]) -> str:
    return sha256(to_json(value, None).encode("utf-8", "surrogatepass")).hexdigest()
