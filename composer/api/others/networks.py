"""Networks. ``bridge``, ``host`` and ``none`` are always there, as with Docker, though nothing is made for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import errors
from composer.api import filters as filtering
from composer.api import times
from composer.api.containers import pictures, places
from composer.api.http.problems import Problem
from composer.api.models.base import body_of
from composer.api.models.networks import Connect, Create, Disconnect
from composer.api.world import owner_of
from composer.backends.namespace import networkoptions
from composer.engine.wanted import NetworkSpec
from composer.runtime.base import records
from composer.runtime.objects import specs
from composer.runtime.objects.networks import DEFAULT_NETWORK, subnet_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.api.http.call import Call
    from composer.api.models import networks as models
    from composer.api.world import World
    from composer.runtime.base.record_types import NetworkRecord
    from composer.runtime.engine.core import Look

Answer = tuple[int, Any]
_BRIDGE = "com.docker.network.bridge"
_ALWAYS = {DEFAULT_NETWORK: "bridge", "host": "host", "none": "null"}
_BRIDGE_OPTIONS = {
    "com.docker.network.bridge.default_bridge": "true",
    "com.docker.network.bridge.enable_icc": "true",
    "com.docker.network.bridge.enable_ip_masquerade": "true",
    "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
    "com.docker.network.driver.mtu": "1500",
}
_FILTERS = ("dangling", "driver", "id", "label", "label!", "name", "scope", "type")


# ------------------------------------------------------------------ shown


def _always(name: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Id": pictures.id_of_always(name),
        "Created": times.NEVER,
        "Scope": "local",
        "Driver": _ALWAYS[name],
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": [] if name == DEFAULT_NETWORK else None},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": _BRIDGE_OPTIONS if name == DEFAULT_NETWORK else {},
        "Labels": {},
    }


def picture(record: NetworkRecord) -> dict[str, Any]:
    """Return a network as Docker shows it."""
    attributes = record.get("attributes") or {}
    ipam = attributes.get("ipam") or {}
    return {
        "Name": record["name"],
        "Id": record["id"],
        "Created": times.written(int(record.get("created_ns") or 0)),
        "Scope": "local",
        "Driver": record["driver"] or "bridge",
        "EnableIPv4": any(":" not in pool["subnet"] for pool in record["pools"]),
        "EnableIPv6": any(":" in pool["subnet"] for pool in record["pools"]),
        "IPAM": {
            "Driver": "default",
            "Options": ipam.get("options"),
            "Config": [_pool(pool) for pool in record["pools"]],
        },
        "Internal": record["internal"],
        "Attachable": bool(attributes.get("attachable")),
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {
            **(
                {**_BRIDGE_OPTIONS, f"{_BRIDGE}.name": record["bridge"]}
                if record["name"] == DEFAULT_NETWORK
                else {}
            ),
            **{str(key): str(value) for key, value in (attributes.get("driver_opts") or {}).items()},
        },
        "Labels": dict(record["labels"]),
    }


def _pool(pool: Mapping[str, Any]) -> dict[str, Any]:
    found = {"Subnet": pool["subnet"]}
    if pool["range"] != pool["subnet"]:
        found["IPRange"] = pool["range"]
    if pool["gateway"]:
        found["Gateway"] = pool["gateway"]
    if pool["reserved"]:
        found["AuxiliaryAddresses"] = {name: address for address, name in pool["reserved"].items()}
    return found


def _all(world: World) -> Iterator[dict[str, Any]]:
    found = [picture(record) for record in world.core.networks.all()]
    taken = {str(one["Name"]) for one in found}
    yield from (_always(name) for name in _ALWAYS if name not in taken)
    yield from found


def _containers(world: World, network_id: str) -> dict[str, Any]:
    """Return the running containers in a network."""
    watched: dict[str, bool] = {}
    found = {}
    for meta in world.core.metas():
        if any(joined == network_id for _, joined in meta["networks"]):
            look = world.core.look(meta, watched)
            if pictures.status_of(look) in pictures.RUNNING:
                found[meta["id"]] = _member(look, network_id)
    return found


def _member(look: Look, network_id: str) -> dict[str, Any]:
    record: Any = next(
        (one for one in look.state.get("endpoints", ()) if one["network_id"] == network_id), {}
    )
    written = {":" in address: f"{address}/{bits}" for address, bits in record.get("addresses") or ()}
    return {
        "Name": look.meta["name"],
        "EndpointID": pictures.endpoint_id(look.meta["id"], network_id),
        "MacAddress": record.get("mac", ""),
        "IPv4Address": written.get(False, ""),
        "IPv6Address": written.get(True, ""),
    }


def list_networks(call: Call) -> Answer:
    world = call.world
    filters = filtering.read(call, _FILTERS)
    dangling = filters.flag("dangling")
    used = {id for meta in world.core.metas() for _, id in meta["networks"]}
    for kind in filters.texts("type"):
        if kind not in ("custom", "builtin"):
            raise Problem(400, f"invalid filter: 'type'='{kind}'")
    found = [
        one
        for one in _all(world)
        if filters.fits_labels(one["Labels"])
        and filters.fits("name", lambda text, name=one["Name"]: text in name)  # type: ignore[misc]
        and filters.fits("id", lambda text, id=one["Id"]: id.startswith(text))  # type: ignore[misc]
        and filters.fits_exactly("driver", one["Driver"])
        and filters.fits_exactly("scope", "local")
        and filters.fits_exactly("type", "builtin" if one["Name"] in _ALWAYS else "custom")
        and (dangling is None or (one["Name"] not in _ALWAYS and dangling is (one["Id"] not in used)))
    ]
    return 200, found


def inspect(call: Call) -> Answer:
    world, name = call.world, call.parameters["id"]
    scope = call.query.text("scope")
    if scope not in ("", "local"):
        raise Problem(404, f"network {name} not found")
    always = next((one for one in _ALWAYS if name == one or _is_id_of(one, name)), None)
    if always is not None and world.core.networks.find(always) is None:
        return 200, _always(always)
    record = world.network(always or name)
    return 200, {**picture(record), "Containers": _containers(world, record["id"])}


def _is_id_of(name: str, text: str) -> bool:
    return len(text) >= 12 and pictures.id_of_always(name).startswith(text)


# ------------------------------------------------------------------ made and removed


def create(call: Call) -> Answer:
    world, asked = call.world, body_of(call, Create)
    if not asked.Name:
        raise Problem(400, "invalid network name: name is empty")
    if asked.Name in _ALWAYS or asked.Name == "default":
        raise Problem(403, f"operation is not permitted on predefined {asked.Name} network")
    if asked.Scope not in ("", "local") or asked.Driver == "overlay" or asked.Ingress:
        raise Problem(503, "This node is not a swarm manager. Networks of a swarm are not supported")
    if asked.ConfigOnly or (asked.ConfigFrom is not None and asked.ConfigFrom.Network):
        raise Problem(501, "networks that only configure others are not supported")
    if asked.Driver in ("host", "null"):
        raise Problem(403, f"only one instance of '{asked.Driver}' network is allowed")
    if world.core.networks.find(asked.Name) is not None:
        raise Problem(409, f"network with name {asked.Name} already exists")
    labels = asked.Labels or {}
    spec = NetworkSpec(asked.Name, labels, _attributes(asked))
    try:
        wanted = networkoptions.spec_of(spec, networkoptions.address_pools(world.environment))
        owner = owner_of(labels)
        id = world.engine.networks.create(wanted._replace(owner=owner, repeatable=False, event=_event(owner)))
    except errors.Conflict as error:
        if world.core.networks.find(asked.Name) is not None:
            raise Problem(409, f"network with name {asked.Name} already exists") from None
        # clients know it by these words, and try another subnet
        overlap = "invalid pool request: Pool overlaps with other one on this address space: "
        raise Problem(403, f"{overlap if ' overlaps ' in str(error) else ''}{error}") from None
    except errors.Unsupported as error:
        raise Problem(404 if error.feature == "driver" else 400, str(error)) from None
    except (errors.BackendError, ValueError) as error:
        raise Problem(400, str(error)) from None
    return 201, {"Id": id, "Warning": ""}


def _event(owner: str) -> dict[str, str]:
    return {} if owner == records.NOBODY else {"com.docker.compose.project": owner}


def _attributes(asked: models.Create) -> dict[str, Any]:
    """Return a network's attributes in Compose's words. Raises Problem."""
    ipam = asked.IPAM
    pools = []
    for pool in (ipam.Config if ipam is not None else None) or ():
        reserved = pool.AuxiliaryAddresses or pool.AuxAddress
        found = {
            "subnet": pool.Subnet,
            "gateway": pool.Gateway,
            "ip_range": pool.IPRange,
            "aux_addresses": reserved,
        }
        if not pool.Subnet:
            raise Problem(400, "invalid network config: a subnet is required beside gateway and range")
        problem = subnet_problem(pool.Subnet)
        if problem is not None:
            raise Problem(400, f"invalid network config: {problem}")
        pools.append({key: value for key, value in found.items() if value})
    return {
        "driver": asked.Driver,
        "driver_opts": asked.Options or {},
        "internal": asked.Internal,
        "attachable": asked.Attachable,
        "enable_ipv4": asked.EnableIPv4 is not False,
        "enable_ipv6": bool(asked.EnableIPv6),
        "ipam": {
            "driver": (ipam.Driver if ipam is not None else "") or "default",
            "options": ipam.Options if ipam is not None else None,
            **({"config": pools} if pools else {}),
        },
    }


def remove(call: Call) -> Answer:
    world, name = call.world, call.parameters["id"]
    always = next((one for one in _ALWAYS if name == one or _is_id_of(one, name)), None)
    if always is not None:
        raise Problem(403, f"{always} is a pre-defined network and cannot be removed")
    record = world.network(name)
    members = _containers(world, record["id"])
    if members:
        names = ", ".join(f'name:"{one["Name"]}" id:"{id[:12]}"' for id, one in members.items())
        raise Problem(
            403, f"error while removing network: network {record['name']} has active endpoints ({names})"
        )
    try:
        world.engine.networks.remove(record["id"])
    except errors.Conflict as error:
        raise Problem(403, f"error while removing network: network {record['name']}: {error}") from None
    world.settle()
    return 204, None


def prune(call: Call) -> Answer:
    world = call.world
    filters = filtering.read(call, ("label", "label!", "until"))
    until_ns = min((times.read(text, "until") or 0 for text in filters.texts("until")), default=0)
    old = {
        record["id"]
        for record in world.core.networks.all()
        if record["name"] not in _ALWAYS and (not until_ns or int(record["created_ns"]) < until_ns)
    }
    gone = world.engine.networks.prune(filters.fits_labels, among=old)
    world.settle()
    return 200, {"NetworksDeleted": gone or None}


# ------------------------------------------------------------------ joined and left


def connect(call: Call) -> Answer:
    world, asked = call.world, body_of(call, Connect)
    record = _joinable(world, call.parameters["id"])
    meta = world.container(asked.Container)
    if any(joined == record["id"] for _, joined in meta["networks"]):
        raise Problem(403, f"endpoint with name {meta['name']} already exists in network {record['name']}")
    endpoint = networkoptions.endpoint_of(places.endpoint_of(record["name"], asked.EndpointConfig))
    try:
        world.engine.networks.connect(meta["id"], endpoint)
    except errors.BackendError as error:
        world.network(record["id"])  # it may have been removed meanwhile
        raise Problem(409 if isinstance(error, errors.Conflict) else 400, str(error)) from None
    except FileNotFoundError:
        world.container(asked.Container)  # this too
        raise
    _tell(world, record, "connect", meta["id"])
    return 200, None


def _joinable(world: World, name: str) -> NetworkRecord:
    if name == DEFAULT_NETWORK or _is_id_of(DEFAULT_NETWORK, name):
        world.engine.networks.create(specs.Network(DEFAULT_NETWORK))
        return world.network(DEFAULT_NETWORK)
    if name in _ALWAYS:
        raise Problem(
            400, f"container cannot be connected to {name} network: it is a mode of a new container"
        )
    return world.network(name)


def _tell(world: World, record: NetworkRecord, action: str, container: str) -> None:
    about = {**record["event"], "container": container, "type": record["driver"] or "bridge"}
    world.core.emit_of(record["project"], about, "network", action, record["id"], record["name"])


def disconnect(call: Call) -> Answer:
    world, asked = call.world, body_of(call, Disconnect)
    record = world.network(call.parameters["id"])
    meta = world.container(asked.Container)
    if not any(joined == record["id"] for _, joined in meta["networks"]):
        raise Problem(500, f"container {meta['id']} is not connected to network {record['name']}")
    try:
        world.engine.networks.disconnect(meta["id"], record["id"])
    except errors.BackendError as error:
        raise Problem(409, str(error)) from None
    except FileNotFoundError:
        world.container(asked.Container)  # it may have been removed meanwhile
        raise
    _tell(world, record, "disconnect", meta["id"])
    return 200, None
