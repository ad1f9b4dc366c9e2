"""A container's records in Docker's shapes: what a listing and an inspection have in common."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

from composer.runtime.base import records
from composer.units import human_duration

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from composer.runtime.base.record_types import EndpointRequest, MountRecord, State
    from composer.runtime.engine.core import Look

RUNNING = ("running", "paused")


def status_of(look: Look) -> str:
    """Return Docker's word for a container's state."""
    status = look.status
    if status == "starting":
        return "restarting" if look.state.get("again") else "created"
    return status


def health_of(look: Look) -> str:
    """Return ``healthy``, ``unhealthy``, ``starting``; ``none`` where there is no check."""
    if not look.meta["health"] or status_of(look) not in RUNNING:
        return "none"
    return str(look.health["status"]) if look.health else "starting"


def status_text(look: Look, now_ns: int | None = None) -> str:
    """Return Docker's text: ``Up 5 minutes (healthy)``, ``Exited (0) 2 hours ago``."""
    now_ns = time.time_ns() if now_ns is None else now_ns
    status, state = status_of(look), look.state
    if status in RUNNING:
        text = f"Up {human_duration((now_ns - int(state.get('started_ns') or now_ns)) / 1e9)}"
        health = health_of(look)
        if status == "paused":
            return f"{text} (Paused)"
        return text if health == "none" else f"{text} ({'health: ' if health == 'starting' else ''}{health})"
    ago = human_duration((now_ns - int(state.get("finished_ns") or now_ns)) / 1e9)
    code = exit_code_of(look)
    texts = {"restarting": f"Restarting ({code}) {ago} ago", "exited": f"Exited ({code}) {ago} ago"}
    return texts.get(status, status.title())


def exit_code_of(look: Look) -> int:
    """Return the exit code; Docker's 255 where nobody could see it."""
    code = look.state.get("exit_code")
    if code is None:
        return 255 if look.state.get("exit_unknown") else 0
    return int(code)


# ------------------------------------------------------------------ ports


def published(look: Look) -> dict[tuple[int, str], list[tuple[str, int]]]:
    """Return where ports are published, by port and protocol: pairs of address and port of the host."""
    found: dict[tuple[int, str], list[tuple[str, int]]] = {}
    for port in look.state.get("ports", ()) if status_of(look) in RUNNING else ():
        places = found.setdefault((port["container_port"], port["protocol"]), [])
        addresses = [port["host_ip"]] if port["host_ip"] else ["0.0.0.0", "::"]
        for address in addresses:
            if (address, port["host_port"]) not in places:
                places.append((address, port["host_port"]))
    return found


def exposed(look: Look) -> Iterator[tuple[int, str]]:
    for text in look.meta["exposed"]:
        number, _, protocol = text.partition("/")
        if number.isdecimal() and len(number) < 6:  # whoever made it may have said anything
            yield int(number), (protocol or "tcp").lower()


def port_lines(look: Look) -> list[dict[str, Any]]:
    """Return the ports as listings have them."""
    found = published(look)
    lines: list[dict[str, Any]] = [
        {"IP": address, "PrivatePort": port, "PublicPort": host_port, "Type": protocol}
        for (port, protocol), places in found.items()
        for address, host_port in places
    ]
    if status_of(look) in RUNNING:
        lines += [
            {"PrivatePort": port, "Type": protocol}
            for port, protocol in exposed(look)
            if (port, protocol) not in found
        ]
    return sorted(lines, key=lambda line: (line["PrivatePort"], line["Type"], line.get("IP", "")))


def port_map(look: Look) -> dict[str, Any]:
    """Return the ports as inspections have them."""
    if status_of(look) not in RUNNING:
        return {}
    found: dict[str, Any] = {f"{port}/{protocol}": None for port, protocol in exposed(look)}
    for (port, protocol), places in published(look).items():
        found[f"{port}/{protocol}"] = [
            {"HostIp": address, "HostPort": str(host_port)} for address, host_port in places
        ]
    return found


# ------------------------------------------------------------------ mounts


def mount_lines(
    look: Look, modes: Mapping[str, tuple[str, str]] | None = None, hidden: Container[str] = ()
) -> list[dict[str, Any]]:
    """Return the mounts, but not those at ``hidden``: what HostConfig.Tmpfs asked for is shown there alone.

    ``modes`` has the mode and the propagation by target, as far as they are known.
    """
    mounts = (mount for mount in look.meta["mounts"] if mount["target"] not in hidden)
    found = (_mount(mount, modes or {}) for mount in mounts)
    return sorted(found, key=lambda mount: str(mount["Destination"]))


def _mount(mount: MountRecord, modes: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    kind, target = mount["type"], mount["target"]
    default = {"bind": ("", "rprivate"), "image": ("", "rprivate"), "volume": ("z", "")}.get(kind, ("", ""))
    mode, propagation = modes.get(target, default)
    common = {
        "Destination": target,
        "Mode": mode,
        "RW": not mount.get("read_only"),
        "Propagation": propagation,
    }
    if kind == "volume":
        return {
            "Type": "volume",
            "Name": mount.get("name", ""),
            "Source": mount["source"],
            "Driver": "local",
            **common,
        }
    return {"Type": kind, "Source": mount["source"], **common}


# ------------------------------------------------------------------ networks


def id_of_always(name: str) -> str:
    """Return the id of a network that is always there: ``bridge``, ``host``, ``none``."""
    return hashlib.sha256(f"composer network {name}".encode()).hexdigest()


def endpoint_id(container: str, network: str) -> str:
    """Return the id of a container's place in a network: nothing of ours needs one, so it is made of both ids."""
    return hashlib.sha256(f"{container} {network}".encode()).hexdigest()


def networks_of(
    look: Look, requests: Mapping[str, EndpointRequest] | None = None, *, mode: str = ""
) -> dict[str, Any]:
    """Return a container's networks; ``requests`` are what it asked for, by network, for an inspection."""
    meta, running = look.meta, status_of(look) in RUNNING
    has_run = bool(look.state.get("started_ns"))
    attached = {record["network_id"]: record for record in look.state.get("endpoints", ())} if running else {}
    if not meta["networks"] and mode in ("host", "none"):
        id = id_of_always(mode) if has_run else ""
        return {mode: _endpoint({}, None, (), meta["id"], id, running=running, has_run=has_run)}
    found = {}
    for name, network_id in meta["networks"]:
        names = tuple(meta["aliases"].get(name, ()))
        found[name] = _endpoint(
            attached.get(network_id, {}),
            (requests or {}).get(name),
            names,
            meta["id"],
            network_id,
            running=running,
            has_run=has_run,
            own_name=meta["name"],
            has_names=name != "bridge",
        )
    return found


def _endpoint(
    record: Mapping[str, Any],
    request: EndpointRequest | None,
    aliases: tuple[str, ...],
    container: str,
    network_id: str,
    *,
    running: bool,
    has_run: bool,
    own_name: str = "",
    has_names: bool = False,
) -> dict[str, Any]:
    addresses = record.get("addresses") or ()
    ipv4 = next((pair for pair in addresses if ":" not in pair[0]), ("", 0))
    ipv6 = next((pair for pair in addresses if ":" in pair[0]), ("", 0))
    gateways = record.get("gateways") or ()
    names = list(dict.fromkeys([own_name, *aliases, container[:12]])) if has_names and has_run else None
    return {
        "IPAMConfig": ipam_of(request) if request is not None else None,
        "Links": [":".join(link) for link in request["links"]] or None if request is not None else None,
        "Aliases": list(aliases) or None,
        "MacAddress": record.get("mac", "") or ((request["mac"] or "") if request is not None else ""),
        "DriverOpts": None,
        "GwPriority": int(request["gw_priority"]) if request is not None else 0,
        "NetworkID": network_id if has_run else "",
        "EndpointID": endpoint_id(container, network_id) if running and network_id else "",
        "Gateway": next((address for address in gateways if ":" not in address), ""),
        "IPAddress": ipv4[0],
        "IPPrefixLen": int(ipv4[1]),
        "IPv6Gateway": next((address for address in gateways if ":" in address), ""),
        "GlobalIPv6Address": ipv6[0],
        "GlobalIPv6PrefixLen": int(ipv6[1]),
        "DNSNames": names,
    }


def ipam_of(request: EndpointRequest) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    if request["ipv4"]:
        found["IPv4Address"] = request["ipv4"]
    if request["ipv6"]:
        found["IPv6Address"] = request["ipv6"]
    if request["link_local"]:
        found["LinkLocalIPs"] = list(request["link_local"])
    return found or None


# ------------------------------------------------------------------ sizes


def sizes(bundle: str, look: Look, image_bytes: int) -> tuple[int, int]:
    """Return the bytes of a container's own layer, and of it with its image."""
    from composer.runtime.objects import housekeeping

    own = housekeeping.own_size(bundle)
    return own, own + image_bytes


def pid_of(state: State) -> int:
    return int(state.get("pid") or 0)


def extras_of(config: Mapping[str, Any]) -> Any:
    return records.extras(config)
