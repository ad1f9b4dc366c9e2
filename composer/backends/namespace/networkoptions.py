"""Networks and endpoints as the runtime is asked for them: Compose's attributes, ``driver_opts`` by Docker's names.

What changes how a network behaves is honoured or refused; options of nobody's are left alone, as Docker does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import errors, userconfig
from composer.engine.wanted import Limitation
from composer.runtime.objects import networks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.engine.wanted import EndpointSpec, NetworkSpec
    from composer.runtime.objects import specs

_BRIDGE = "com.docker.network.bridge"
NAME = f"{_BRIDGE}.name"
_MTU = "com.docker.network.driver.mtu"
_MASQUERADE, _ICC = f"{_BRIDGE}.enable_ip_masquerade", f"{_BRIDGE}.enable_icc"
_BINDINGS = (f"{_BRIDGE}.host_binding_ipv4", f"{_BRIDGE}.host_binding_ipv6")
_INTERFACE, _SYSCTLS = "com.docker.network.endpoint.ifname", "com.docker.network.endpoint.sysctls"
_USUAL = {
    f"{_BRIDGE}.default_bridge": "false",
    f"{_BRIDGE}.gateway_mode_ipv4": "nat",
    f"{_BRIDGE}.gateway_mode_ipv6": "nat",
    f"{_BRIDGE}.inhibit_ipv4": "false",
    f"{_BRIDGE}.trusted_host_interfaces": "",
    "com.docker.network.container_iface_prefix": "eth",
}
"""What the built-in runtime has only in one way: Docker's default."""

DRIVERS = ("", "bridge", "default")
_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")


def limitations(attributes: Mapping[str, Any]) -> list[Limitation]:
    """Say what of a network cannot be done here, before anything is created."""
    return list(_limitations(attributes))


def _limitations(attributes: Mapping[str, Any]) -> Iterator[Limitation]:
    driver, ipam = attributes.get("driver") or "", attributes.get("ipam") or {}
    if driver not in DRIVERS:
        reason = f"network driver '{driver}' is not supported by the built-in runtime"
        yield Limitation(("driver",), reason, hint="remove driver, or use bridge")
    if (ipam.get("driver") or "default") != "default":
        reason = f"IPAM driver '{ipam['driver']}' is not supported by the built-in runtime"
        yield Limitation(("ipam", "driver"), reason, hint="remove ipam.driver, or use default")
    for index, config in enumerate(ipam.get("config") or ()):
        problem = networks.subnet_problem(str(config.get("subnet") or ""))
        if problem is not None:
            hint = "use a private subnet, such as 10.1.0.0/16, or remove it"
            yield Limitation(("ipam", "config", index, "subnet"), problem, hint=hint)


def address_pools(environment: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    """Return ``address_pools`` of the user's configuration file as (range, prefix length). Raises ProjectError."""
    from composer.runtime.network.subnets import Source

    found = []
    for index, entry in enumerate(userconfig.table_of(environment).get("address_pools") or ()):
        try:
            pool = str(entry["base"]), int(entry["size"])
            Source.of(*pool)
            problem = networks.subnet_problem(pool[0])
            if problem is not None:
                raise ValueError(problem)
        except (KeyError, TypeError, ValueError) as error:
            reason = f"'{error.args[0]}' is required" if isinstance(error, KeyError) else error
            raise errors.ProjectError(
                f"{userconfig.path_of(environment)}: address_pools[{index}]: {reason}",
                hint='set base and size of each entry, such as base = "10.200.0.0/16", size = 24',
            ) from None
        found.append(pool)
    return tuple(found)


def spec_of(spec: NetworkSpec, pools: tuple[tuple[str, int], ...] = ()) -> specs.Network:
    """Return what the runtime is asked to make, from ``pools``. Raises Unsupported, or BackendError for a bad value."""
    from composer.runtime.objects import specs

    attributes = spec.attributes
    ipam = attributes.get("ipam") or {}
    _check_drivers(spec.name, str(attributes.get("driver") or ""), str(ipam.get("driver") or "default"))
    options = {key: str(value) for key, value in (attributes.get("driver_opts") or {}).items()}
    for key, usual in _USUAL.items():
        if options.get(key, usual).lower() != usual:
            raise errors.Unsupported(
                "driver_opts",
                f"cannot create network '{spec.name}': {key}={options[key]} is not supported by the built-in runtime",
                hint=f"remove it, or use {usual}" if usual else "remove it",
            )
    return specs.Network(
        spec.name,
        spec.labels,
        ipam=ipam,
        ipv4=attributes.get("enable_ipv4", True) is not False,
        ipv6=bool(attributes.get("enable_ipv6")),
        internal=bool(attributes.get("internal")),
        bridge=options.get(NAME, ""),
        mtu=int(options[_MTU]) if options.get(_MTU) else None,
        masquerade=_flag(spec.name, options, _MASQUERADE),
        isolated=not _flag(spec.name, options, _ICC),
        host_bindings=tuple(options[key] for key in _BINDINGS if options.get(key)),
        address_pools=pools,
        attributes=attributes,
    )


def _check_drivers(name: str, driver: str, ipam_driver: str) -> None:
    if driver not in DRIVERS:
        raise errors.Unsupported(
            "driver",
            f"cannot create network '{name}': driver '{driver}' is not supported by the built-in runtime",
            hint="remove driver, or use bridge",
        )
    if ipam_driver != "default":
        raise errors.Unsupported(
            "ipam.driver",
            f"cannot create network '{name}': IPAM driver '{ipam_driver}' is not supported by the built-in runtime",
            hint="remove ipam.driver, or use default",
        )


def _flag(network: str, texts: Mapping[str, str], key: str) -> bool:
    text = texts.get(key, "true").lower()
    if text not in (*_TRUE, *_FALSE):
        raise errors.BackendError(f"cannot create network '{network}': {key} must be a boolean, not '{text}'")
    return text in _TRUE


# ------------------------------------------------------------------ endpoints


def endpoint_of(endpoint: EndpointSpec) -> specs.Endpoint:
    """Return what the runtime is asked for. Raises BackendError for an option that means nothing."""
    from composer.runtime.objects import specs

    attributes = endpoint.attributes
    options = attributes.get("driver_opts") or {}
    return specs.Endpoint(
        endpoint.network,
        aliases=tuple(endpoint.aliases),
        links=tuple(_link(str(link)) for link in attributes.get("links") or ()),
        ipv4=attributes.get("ipv4_address") or "",
        ipv6=attributes.get("ipv6_address") or "",
        mac=attributes.get("mac_address") or None,
        interface=attributes.get("interface_name") or options.get(_INTERFACE) or None,
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
    for entry in str(options.get(_SYSCTLS) or "").split(","):
        name, separator, value = entry.strip().partition("=")
        if not entry.strip():
            continue
        parts = name.split(".")
        if not separator or len(parts) != 5 or parts[0] != "net" or parts[3] != "IFNAME":
            raise errors.BackendError(
                f"invalid sysctl '{entry.strip()}' of an endpoint: it must be a setting of an interface",
                hint=f"use {_SYSCTLS}: net.ipv4.conf.IFNAME.log_martians=1",
            )
        found[name] = value
    return found
