"""``composer network``: the backend's networks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared
from composer.cli.single import filtering, flags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.cli.context import Context
    from composer.engine.backend import Backend
    from composer.engine.observed import ObservedContainer, ObservedNetwork


class _Group(click.Group):
    command_class = flags.Command


@click.group(name="network", cls=_Group, help="Manage networks.")
def command() -> None:
    """Group the subcommands."""


@command.command(name="ls", help="List networks.")
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help=filtering.NETWORK_HELP)
@click.option("--no-trunc", is_flag=True, help="Do not truncate IDs.")
@click.option("-q", "--quiet", is_flag=True, help="Print only IDs.")
@shared.style
@click.pass_obj
def list_networks(
    context: Context, /, filters: tuple[str, ...], no_trunc: bool, quiet: bool, style: str
) -> None:
    from composer.cli import listing
    from composer.cli.record import Record
    from composer.engine import labels

    backend = context.backend()
    networks = sorted(
        filtering.networks(backend, backend.networks(), filters), key=lambda network: network.name
    )
    if quiet:
        for network in networks:
            context.write(network.id if no_trunc else network.id[:12])
        return
    rows = [
        Record(
            ID=n.id if no_trunc else n.id[:12],
            Name=n.name,
            Driver=n.driver,
            Scope="local",
            IPv4=str(n.attributes.get("enable_ipv4", True) is not False).lower(),
            IPv6=str(bool(n.attributes.get("enable_ipv6"))).lower(),
            Internal=str(bool(n.attributes.get("internal"))).lower(),
            CreatedAt=shared.moment(n.created_ns),
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
@flags.without_effect("-v", "--verbose", reason="it shows tasks of Docker Swarm, which is not there")
@click.argument("names", nargs=-1, required=True, metavar="NETWORK...")
@click.pass_obj
def inspect_networks(context: Context, /, names: tuple[str, ...], style: str | None) -> None:
    from composer.cli import listing

    backend = context.backend()
    containers = backend.containers()
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
@click.option("--attachable", is_flag=True, help="Let containers of no service join it, in Docker Swarm.")
@click.option(
    "--aux-address", "others", multiple=True, metavar="NAME=IP", help="Keep an address for another machine."
)
@click.option("--internal", is_flag=True, help="Isolate the network from other networks and the outside.")
@click.option("--ipv4/--no-ipv4", default=True, help="Assign IPv4 addresses (default: yes).")
@click.option("--ipv6", is_flag=True, help="Also assign IPv6 addresses.")
@click.option(
    "--subnet", "subnets", multiple=True, metavar="SUBNET", help="Set the subnet, such as 10.1.0.0/16."
)
@click.option("--gateway", "gateways", multiple=True, metavar="IP", help="Set the gateway of a subnet.")
@click.option(
    "--ip-range", "ranges", multiple=True, metavar="SUBNET", help="Give addresses of this part of a subnet."
)
@click.option("--ipam-driver", metavar="NAME", help="Set the driver of addresses (default: default).")
@click.option(
    "--ipam-opt",
    "ipam_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set an option of the driver of addresses.",
)
@click.option("-d", "--driver", metavar="NAME", help="Set the driver (default: bridge).")
@click.option(
    "-o", "--opt", "options", multiple=True, metavar="KEY=VALUE", help="Set an option of the driver."
)
@click.option("-l", "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Set a label.")
@flags.refused("--config-only", reason="templates of networks are of Docker Swarm", takes_value=False)
@flags.refused("--config-from", reason="templates of networks are of Docker Swarm")
@flags.refused("--ingress", reason="the routing mesh is of Docker Swarm", takes_value=False)
@flags.refused("--scope", reason="networks of this machine have the scope local")
@click.argument("name", metavar="NETWORK")
@click.pass_obj
def create_network(context: Context, /, name: str, **given: Any) -> None:
    from composer.engine.wanted import NetworkSpec
    from composer.errors import Conflict, ProjectError

    attributes = _attributes(given)
    backend = context.backend()
    if backend.find_network(name) is not None:
        raise Conflict(f"network '{name}' already exists")
    wrong = [one for one in backend.network_limitations(attributes) if one.fatal]
    if wrong:
        place = ".".join(map(str, wrong[0].path))
        raise ProjectError(f"{place}: {wrong[0].reason}", hint=wrong[0].hint)
    if context.settings.dry_run:
        context.write(f"create network {name}")
        return
    context.write(backend.create_network(NetworkSpec(name, shared.mapping(given["labels"]), attributes)))


def _attributes(given: dict[str, Any]) -> dict[str, Any]:
    """Return what a network of the compose file would say. Raises click.BadParameter."""
    from composer.cli.single import pools

    found: dict[str, Any] = {"internal": given["internal"], "enable_ipv6": given["ipv6"]}
    if not given["ipv4"]:
        found["enable_ipv4"] = False
    if given["attachable"]:
        found["attachable"] = True
    if given["driver"]:
        found["driver"] = given["driver"]
    ipam: dict[str, Any] = {}
    config = pools.read(given["subnets"], given["gateways"], given["ranges"], given["others"])
    if config:
        ipam["config"] = config
    if given["ipam_driver"]:
        ipam["driver"] = given["ipam_driver"]
    if given["ipam_options"]:
        ipam["options"] = shared.mapping(given["ipam_options"])
    if ipam:
        found["ipam"] = ipam
    if given["options"]:
        found["driver_opts"] = shared.mapping(given["options"])
    return found


@command.command(name="connect", help="Connect a container to a network.")
@click.option(
    "--alias", "aliases", multiple=True, metavar="NAME", help="Add a network alias of the container."
)
@click.option(
    "--driver-opt",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set an option of the network's driver.",
)
@click.option(
    "--gw-priority",
    "gw_priority",
    type=int,
    metavar="N",
    help="Set the priority as the way out: the highest has the default gateway.",
)
@click.option("--ip", "ipv4_address", metavar="IP", help="Set the IPv4 address of the container.")
@click.option("--ip6", "ipv6_address", metavar="IP", help="Set the IPv6 address of the container.")
@click.option(
    "--link", "links", multiple=True, metavar="CONTAINER[:NAME]", help="Give another container a name."
)
@click.option("--link-local-ip", "link_local", multiple=True, metavar="IP", help="Add a link-local address.")
@click.argument("network", metavar="NETWORK")
@click.argument("container", metavar="CONTAINER")
@click.pass_obj
def connect(
    context: Context, /, network: str, container: str, aliases: tuple[str, ...], **given: Any
) -> None:
    from composer.engine.wanted import EndpointSpec
    from composer.errors import NotFound

    backend = context.backend()
    found = backend.container(container)
    place = _named(backend, network)
    if place is None:
        raise NotFound(f"no such network: {network}", hint="list them with composer network ls")
    if context.settings.dry_run:
        context.write(f"connect container {found.name} to network {network}")
        return
    attributes = {key: given[key] for key in ("ipv4_address", "ipv6_address", "gw_priority") if given[key]}
    if given["options"]:
        attributes["driver_opts"] = shared.mapping(given["options"])
    if given["links"]:
        attributes["links"] = [text if ":" in text else f"{text}:{text}" for text in given["links"]]
    if given["link_local"]:
        attributes["link_local_ips"] = list(given["link_local"])
    backend.connect_network(found.id, EndpointSpec(place.name, aliases, attributes))


@command.command(name="disconnect", help="Disconnect a container from a network.")
@click.option("-f", "--force", is_flag=True, help="Ignore a container that is not there.")
@click.argument("network", metavar="NETWORK")
@click.argument("container", metavar="CONTAINER")
@click.pass_obj
def disconnect(context: Context, /, network: str, container: str, force: bool) -> None:
    from composer.errors import NotFound

    backend = context.backend()
    try:
        found = backend.container(container)
    except NotFound:
        if force:
            return
        raise
    place = _named(backend, network)
    if place is None:
        raise NotFound(f"no such network: {network}", hint="list them with composer network ls")
    network = place.name
    if context.settings.dry_run:
        context.write(f"disconnect container {found.name} from network {network}")
        return
    backend.disconnect_network(found.id, network)
