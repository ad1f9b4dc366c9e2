"""Connecting a container to networks after it was created, and taking it out of them.

A container that does not run has no interfaces: what it is going to get is in its files, and changing these is all
there is to do. One that runs keeps the networks that it started with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import errors
from composer.backends.namespace.runtime import files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.backends.namespace.networks import Networks
    from composer.engine.backend import EndpointSpec


def endpoint_record(endpoint: EndpointSpec, networks: Networks) -> dict[str, Any]:
    """Return an endpoint as a container's configuration has it. Raises NotFound for a network that is not there."""
    network = networks.find(endpoint.network)
    if network is None:
        raise errors.NotFound(f"network '{endpoint.network}' does not exist")
    attributes = endpoint.attributes
    return {
        "network": network["name"],
        "network_id": network["id"],
        "aliases": list(endpoint.aliases),
        "links": [list(link.partition(":")[::2]) for link in attributes.get("links") or ()],
        "ipv4": attributes.get("ipv4_address") or "",
        "ipv6": attributes.get("ipv6_address") or "",
        "mac": attributes.get("mac_address") or None,
        "interface": attributes.get("interface_name") or None,
        "gw_priority": int(attributes.get("gw_priority") or 0),
    }


def connect(directory: str, endpoint: EndpointSpec, networks: Networks) -> None:
    """Let a container that does not run join a network at its next start."""
    record = endpoint_record(endpoint, networks)

    def add(endpoints: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*(e for e in endpoints if e["network"] != record["network"]), record]

    _rewrite(directory, add)


def disconnect(directory: str, network: Mapping[str, Any]) -> None:
    """Keep a container that does not run from joining a network at its next start."""
    _rewrite(directory, lambda endpoints: [e for e in endpoints if e["network_id"] != network["id"]])


def _rewrite(directory: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Change the endpoints in the configuration, and what is shown of them; the configuration is what counts."""
    config = files.read_json(f"{directory}/config.json") or {}
    meta = files.read_json(f"{directory}/meta.json") or {}
    endpoints = change(list(config["composer"]["network"].get("endpoints", ())))
    config["composer"]["network"]["endpoints"] = endpoints
    meta["networks"] = [[e["network"], e["network_id"]] for e in endpoints]
    meta["aliases"] = {e["network"]: e["aliases"] for e in endpoints}
    files.write_json(f"{directory}/config.json", config)
    files.write_json(f"{directory}/meta.json", meta)
