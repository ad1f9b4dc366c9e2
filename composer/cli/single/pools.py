"""What ``network create`` says of addresses: which gateway, range and other addresses are of which subnet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence


def read(
    subnets: Sequence[str], gateways: Sequence[str], ranges: Sequence[str], others: Sequence[str]
) -> list[dict[str, Any]]:
    """Return ``ipam.config``. Raises click.BadParameter for what belongs to no subnet, or to one that has it."""
    import ipaddress

    made: list[dict[str, Any]] = [{"subnet": subnet} for subnet in subnets]
    networks = [_parsed(ipaddress.ip_network, "--subnet", subnet) for subnet in subnets]
    for index, network in enumerate(networks):
        for other in networks[:index]:
            if network.version == other.version and network.overlaps(other):
                raise _bad("--subnet", f"subnets {other} and {network} overlap")

    def pool_of(flag: str, address: Any) -> dict[str, Any]:
        for pool, network in zip(made, networks, strict=True):
            if address.version == network.version and address in network:
                return pool
        raise _bad(flag, f"no --subnet contains {address}")

    for text in gateways:
        pool = pool_of("--gateway", _parsed(ipaddress.ip_address, "--gateway", text))
        if "gateway" in pool:
            raise _bad("--gateway", f"subnet {pool['subnet']} has two gateways")
        pool["gateway"] = text
    for text in ranges:
        found = _parsed(ipaddress.ip_network, "--ip-range", text)
        pool = pool_of("--ip-range", found.network_address)
        if "ip_range" in pool:
            raise _bad("--ip-range", f"subnet {pool['subnet']} has two ranges")
        pool["ip_range"] = text
    for text in others:
        name, equals, address = text.partition("=")
        if not name or not equals:
            raise _bad("--aux-address", f"'{text}' must be NAME=IP")
        pool = pool_of("--aux-address", _parsed(ipaddress.ip_address, "--aux-address", address))
        pool.setdefault("aux_addresses", {})[name] = address
    return made


def _parsed(parse: Any, flag: str, text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise _bad(flag, str(error)) from None


def _bad(flag: str, text: str) -> click.BadParameter:
    return click.BadParameter(text, param_hint=flag)
