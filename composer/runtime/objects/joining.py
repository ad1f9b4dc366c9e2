"""Connecting a container to networks after it was created, and taking it out of them.

What a container gets at its start is in its files, and changing these is all there is to do for one that does not
run. One that runs is then brought to what they say by its supervisor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import errors
from composer.engine.wanted import EndpointSpec
from composer.runtime.base import files, records, state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.runtime.objects.networks import Networks


_NAME_OPTION = "com.docker.network.endpoint.ifname"
_SYSCTLS_OPTION = "com.docker.network.endpoint.sysctls"
DEFAULT_NETWORK = "bridge"
"""The network of ``network_mode: bridge``: nobody's, made for its first container and gone with its last."""

DEFAULT_ENDPOINTS = (EndpointSpec(DEFAULT_NETWORK),)


def endpoint_record(endpoint: EndpointSpec, networks: Networks) -> dict[str, Any]:
    """Return an endpoint as a container's configuration has it. Raises NotFound for a network that is not there."""
    network = networks.find(endpoint.network)
    if network is None:
        raise errors.NotFound(f"network '{endpoint.network}' does not exist")
    attributes = endpoint.attributes
    options = attributes.get("driver_opts") or {}
    return {
        "network": network["name"],
        "network_id": network["id"],
        "aliases": list(endpoint.aliases),
        "links": [list(link.partition(":")[::2]) for link in attributes.get("links") or ()],
        "ipv4": attributes.get("ipv4_address") or "",
        "ipv6": attributes.get("ipv6_address") or "",
        "mac": attributes.get("mac_address") or None,
        "interface": attributes.get("interface_name") or options.get(_NAME_OPTION) or None,
        "link_local": [str(ip) for ip in attributes.get("link_local_ips") or ()],
        "sysctls": _sysctls(options),
        "gw_priority": int(attributes.get("gw_priority") or 0),
    }


def _sysctls(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the sysctls of an endpoint's interface, which is called IFNAME in them. Docker's option, and its words."""
    found = {}
    for entry in str(options.get(_SYSCTLS_OPTION) or "").split(","):
        name, separator, value = entry.strip().partition("=")
        if not entry.strip():
            continue
        parts = name.split(".")
        if not separator or len(parts) != 5 or parts[0] != "net" or parts[3] != "IFNAME":
            raise errors.BackendError(
                f"cannot use sysctl '{entry.strip()}' of an endpoint: it is not one of an interface",
                hint=f"{_SYSCTLS_OPTION}: net.ipv4.conf.IFNAME.log_martians=1",
            )
        found[name] = value
    return found


def connect(directory: str, endpoint: EndpointSpec, networks: Networks) -> list[dict[str, Any]]:
    """Write down that a container joins a network; return the endpoints that it had."""
    record = endpoint_record(endpoint, networks)

    def add(endpoints: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*(e for e in endpoints if e["network"] != record["network"]), record]

    return _rewrite(directory, add)


def disconnect(directory: str, network: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Write down that a container leaves a network; return the endpoints that it had."""
    return _rewrite(directory, lambda endpoints: [e for e in endpoints if e["network_id"] != network["id"]])


def restore(directory: str, endpoints: list[dict[str, Any]]) -> None:
    """Write down the endpoints that it had before."""
    _rewrite(directory, lambda _: endpoints)


def _rewrite(
    directory: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Change the endpoints in the configuration, and what is shown of them; the configuration is what counts.

    Return what they were.
    """
    config = state.config_of(directory)
    meta = records.meta(directory) or {}
    before = list(config["composer"]["network"].get("endpoints", ()))
    endpoints = change(list(before))
    config["composer"]["network"]["endpoints"] = endpoints
    meta["networks"] = [[e["network"], e["network_id"]] for e in endpoints]
    meta["aliases"] = {e["network"]: e["aliases"] for e in endpoints}
    files.write_json(f"{directory}/config.json", config)
    files.write_json(f"{directory}/meta.json", meta)
    return before
