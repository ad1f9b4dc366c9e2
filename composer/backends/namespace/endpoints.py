"""A service's place in a network, as the runtime is asked for it: Compose's attributes and Docker's ``driver_opts``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import errors
from composer.runtime.objects import specs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.engine.wanted import EndpointSpec

_NAME_OPTION = "com.docker.network.endpoint.ifname"
_SYSCTLS_OPTION = "com.docker.network.endpoint.sysctls"


def spec_of(endpoint: EndpointSpec) -> specs.Endpoint:
    """Return what the runtime is asked for. Raises BackendError for an option that means nothing."""
    attributes = endpoint.attributes
    options = attributes.get("driver_opts") or {}
    return specs.Endpoint(
        endpoint.network,
        aliases=tuple(endpoint.aliases),
        links=tuple(_link(str(link)) for link in attributes.get("links") or ()),
        ipv4=attributes.get("ipv4_address") or "",
        ipv6=attributes.get("ipv6_address") or "",
        mac=attributes.get("mac_address") or None,
        interface=attributes.get("interface_name") or options.get(_NAME_OPTION) or None,
        link_local=tuple(str(ip) for ip in attributes.get("link_local_ips") or ()),
        sysctls=_sysctls(options),
        gw_priority=int(attributes.get("gw_priority") or 0),
    )


def _link(text: str) -> tuple[str, str]:
    container, _, alias = text.partition(":")
    return container, alias


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
                f"invalid sysctl '{entry.strip()}' of an endpoint: it must be a setting of an interface",
                hint=f"use {_SYSCTLS_OPTION}: net.ipv4.conf.IFNAME.log_martians=1",
            )
        found[name] = value
    return found
