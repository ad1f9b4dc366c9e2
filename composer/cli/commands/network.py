"""``composer network``: the backend's networks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.cli.context import Context
    from composer.engine.backend import Backend
    from composer.engine.observed import ObservedContainer, ObservedNetwork


@click.group(name="network", help="Manage networks.")
def command() -> None:
    """Group the subcommands."""


@command.command(name="ls", help="List networks.")
@click.option("-q", "--quiet", is_flag=True, help="Print only IDs.")
@shared.style
@click.pass_obj
def list_networks(context: Context, /, quiet: bool, style: str) -> None:
    from composer.cli import listing
    from composer.cli.record import Record
    from composer.engine import labels

    networks = sorted(context.backend().networks(), key=lambda network: network.name)
    if quiet:
        for network in networks:
            context.write(network.id[:12])
        return
    rows = [
        Record(
            ID=n.id[:12],
            Name=n.name,
            Driver=n.driver,
            Project=n.labels.get(labels.PROJECT, ""),
            Labels=shared.pairs(n.labels),
            Label=shared.label_of(n.labels),
        )
        for n in networks
    ]
    listing.show(context, style, rows, _HEADERS)


_SHORTEST_ID = 4
_HEADERS = {"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Project": "PROJECT"}


@command.command(name="inspect", help="Print detailed information about networks.")
@shared.template
@click.argument("names", nargs=-1, required=True, metavar="NETWORK...")
@click.pass_obj
def inspect_networks(context: Context, /, names: tuple[str, ...], style: str | None) -> None:
    from composer.cli import listing

    backend = context.backend()
    containers = backend.projects()
    listing.inspect(
        context, style, "network", names, partial(_named, backend), lambda n: _picture(n, containers)
    )


def _named(backend: Backend, name: str) -> ObservedNetwork | None:
    """Return a network by name, by id, or by the beginning of an id, as ls shows it."""
    found = backend.find_network(name)
    if found is None and len(name) >= _SHORTEST_ID:
        known = [network for network in backend.networks() if network.id.startswith(name)]
        found = known[0] if len(known) == 1 else None
    return found


def _picture(found: ObservedNetwork, containers: Sequence[ObservedContainer]) -> dict[str, Any]:
    """Return Docker's fields of an inspected network."""
    attributes = found.attributes
    ipam = attributes.get("ipam") or {}
    return {
        "Name": found.name,
        "Id": found.id,
        "Created": shared.moment(found.created_ns),
        "Scope": "local",
        "Driver": found.driver,
        "EnableIPv4": attributes.get("enable_ipv4", True) is not False,
        "EnableIPv6": bool(attributes.get("enable_ipv6")),
        "IPAM": {
            "Driver": ipam.get("driver") or "default",
            "Config": [{_POOL[key]: value for key, value in pool.items()} for pool in found.pools],
        },
        "Internal": bool(attributes.get("internal")),
        "Attachable": bool(attributes.get("attachable")),
        "Containers": {
            container.id: {
                "Name": container.name,
                "MacAddress": endpoint.mac,
                "IPv4Address": _with_prefix(endpoint.ipv4, found),
                "IPv6Address": _with_prefix(endpoint.ipv6, found),
            }
            for container in containers
            for endpoint in container.endpoints
            if endpoint.network_id == found.id and (endpoint.ipv4 or endpoint.ipv6)
        },
        "Options": {key: str(value) for key, value in (attributes.get("driver_opts") or {}).items()},
        "Labels": dict(found.labels),
    }


def _with_prefix(address: str, network: ObservedNetwork) -> str:
    """Return an address with the length of its subnet's prefix, as Docker shows it."""
    subnets = [pool["subnet"] for pool in network.pools if (":" in pool["subnet"]) == (":" in address)]
    return f"{address}/{subnets[0].partition('/')[2]}" if address and subnets else address


_POOL = {
    "subnet": "Subnet",
    "ip_range": "IPRange",
    "gateway": "Gateway",
    "aux_addresses": "AuxiliaryAddresses",
}


@command.command(name="rm", help="Remove networks.")
@click.option("-f", "--force", is_flag=True, help="Ignore networks that do not exist.")
@click.argument("names", nargs=-1, required=True, metavar="NETWORK...")
@click.pass_obj
def remove_networks(context: Context, /, names: tuple[str, ...], force: bool) -> None:
    from composer.errors import BackendError, NotFound

    backend = context.backend()
    failures: list[Exception] = []
    for name in names:
        try:
            found = _named(backend, name)
            if found is None:
                if force:
                    continue
                raise NotFound(f"no such network: {name}")
            if context.settings.dry_run:
                context.write(f"remove network {name}")
                continue
            backend.remove_network(found.id)
        except BackendError as error:
            failures.append(error)
        else:
            context.write(name)
    if failures:
        raise ExceptionGroup("some networks were not removed", failures)


@command.command(name="prune", help="Remove all unused networks.")
@shared.force
@shared.label_filters
@click.pass_obj
def prune_networks(context: Context, /, filters: tuple[str, ...], force: bool) -> None:
    shared.refuse_dry_run(context, "network prune", "network ls")
    labels = shared.read_label_filters(filters)
    if not shared.agreed(
        context, "This will remove all custom networks not used by at least one container.", force=force
    ):
        return
    gone = context.backend().prune_networks(labels)
    if gone:
        context.write("\n".join(("Deleted Networks:", *gone, "")))


@command.command(name="create", help="Create a network outside projects.")
@click.option("--internal", is_flag=True, help="Isolate the network from other networks and the outside.")
@click.option("--ipv6", is_flag=True, help="Also assign IPv6 addresses.")
@click.option(
    "--subnet", "subnets", multiple=True, metavar="SUBNET", help="Set the subnet, such as 10.1.0.0/16."
)
@click.option("--gateway", "gateways", multiple=True, metavar="IP", help="Set the gateway of a subnet.")
@click.option("-d", "--driver", metavar="NAME", help="Set the driver (default: bridge).")
@click.option(
    "-o", "--opt", "options", multiple=True, metavar="KEY=VALUE", help="Set an option of the driver."
)
@click.option("-l", "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Set a label.")
@click.argument("name", metavar="NETWORK")
@click.pass_obj
def create_network(context: Context, /, name: str, **given: Any) -> None:
    from composer.engine.wanted import NetworkSpec
    from composer.errors import Conflict

    config: list[dict[str, str]] = [{"subnet": subnet} for subnet in given["subnets"]]
    for index, gateway in enumerate(given["gateways"]):
        if index >= len(config):
            raise click.BadParameter("a --subnet is required for each --gateway", param_hint="--gateway")
        config[index]["gateway"] = gateway
    attributes: dict[str, Any] = {"internal": given["internal"], "enable_ipv6": given["ipv6"]}
    if given["driver"]:
        attributes["driver"] = given["driver"]
    if config:
        attributes["ipam"] = {"config": config}
    if given["options"]:
        attributes["driver_opts"] = shared.mapping(given["options"])
    backend = context.backend()
    if backend.find_network(name) is not None:
        raise Conflict(f"network '{name}' already exists")
    if context.settings.dry_run:
        context.write(f"create network {name}")
        return
    context.write(backend.create_network(NetworkSpec(name, shared.mapping(given["labels"]), attributes)))


@command.command(name="connect", help="Connect a container to a network.")
@click.option(
    "--alias", "aliases", multiple=True, metavar="NAME", help="Add a network alias of the container."
)
@click.option("--ip", metavar="IP", help="Set the IPv4 address of the container.")
@click.argument("network", metavar="NETWORK")
@click.argument("container", metavar="CONTAINER")
@click.pass_obj
def connect(
    context: Context, /, network: str, container: str, aliases: tuple[str, ...], ip: str | None
) -> None:
    from composer.engine.wanted import EndpointSpec

    backend = context.backend()
    found = backend.container(container)
    if context.settings.dry_run:
        context.write(f"connect container {found.name} to network {network}")
        return
    attributes = {"ipv4_address": ip} if ip else {}
    backend.connect_network(found.id, EndpointSpec(network, aliases, attributes))


@command.command(name="disconnect", help="Disconnect a container from a network.")
@click.argument("network", metavar="NETWORK")
@click.argument("container", metavar="CONTAINER")
@click.pass_obj
def disconnect(context: Context, /, network: str, container: str) -> None:
    backend = context.backend()
    found = backend.container(container)
    if context.settings.dry_run:
        context.write(f"disconnect container {found.name} from network {network}")
        return
    backend.disconnect_network(found.id, network)
