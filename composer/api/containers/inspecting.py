"""`GET /containers/{id}/json`."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from composer.api import times
from composer.api.containers import execs, host, pictures
from composer.runtime.base import records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.api.http.call import Call
    from composer.api.world import World
    from composer.runtime.engine.core import Look
    from composer.runtime.images import Image


def inspect(call: Call) -> tuple[int, Any]:
    world = call.world
    meta = world.container(call.parameters["id"])
    look = world.core.look(meta, {})
    config = world.core.config(meta["id"])
    said = records.request(world.paths.container(meta["id"]))
    image = world.core.store.find(meta["image_id"]) if meta["image_id"] else None
    found = picture(world, look, config, image, said)
    if call.query.flag("size"):
        own, whole = pictures.sizes(
            world.paths.container(meta["id"]), look, image.size_bytes if image is not None else 0
        )
        found["SizeRw"], found["SizeRootFs"] = own, whole
    return 200, found


def picture(
    world: World, look: Look, config: Mapping[str, Any], image: Image | None, said: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a container as an inspection shows it."""
    meta, bundle = look.meta, world.paths.container(look.meta["id"])
    extras = records.extras(config)
    arguments = config["process"]["args"]
    running = pictures.status_of(look) in pictures.RUNNING
    started = bool(look.state.get("started_ns"))
    requests = {one["network"]: one for one in extras["network"].get("endpoints") or ()}
    mode = host.network_mode(config, meta)
    overlay = extras["overlay"]
    return {
        "Id": meta["id"],
        "Created": times.written(meta["created_ns"]),
        "Path": arguments[0] if arguments else "",
        "Args": arguments[1:],
        "State": _state(look),
        "Image": meta["image_id"],
        "ResolvConfPath": f"{bundle}/resolv.conf" if started else "",
        "HostnamePath": f"{bundle}/hostname" if started else "",
        "HostsPath": f"{bundle}/hosts" if started else "",
        "LogPath": f"{bundle}/logs" if started else "",
        "Name": f"/{meta['name']}",
        "RestartCount": int(look.state.get("restarts") or 0),
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": execs.ids_of(world, meta["id"]) or None,
        "HostConfig": host.host_config(config, look, said.get("host")),
        "GraphDriver": {
            "Name": "overlay2",
            "Data": {
                "ID": meta["id"],
                "LowerDir": ":".join(overlay["lower"]),
                "MergedDir": f"{bundle}/rootfs",
                "UpperDir": overlay["upper"],
                "WorkDir": overlay["work"],
            },
        },
        "Mounts": pictures.mount_lines(
            look,
            modes_of(said, image.config if image is not None else {}),
            hidden=(said.get("host") or {}).get("Tmpfs") or (),
        ),
        "Config": host.container_config(config, look, image, said.get("config")),
        "NetworkSettings": _network_settings(world, look, requests, mode, said, running=running),
    }


def _state(look: Look) -> dict[str, Any]:
    status, state = pictures.status_of(look), look.state
    running = status in pictures.RUNNING
    found: dict[str, Any] = {
        "Status": status,
        "Running": running or status == "restarting",
        "Paused": status == "paused",
        "Restarting": status == "restarting",
        "OOMKilled": bool(state.get("oom_killed")),
        "Dead": False,
        "Pid": pictures.pid_of(state) if running else 0,
        "ExitCode": 0 if running else pictures.exit_code_of(look),
        "Error": state.get("error") or "",
        "StartedAt": times.written(int(state.get("started_ns") or 0)),
        "FinishedAt": times.written(int(state.get("finished_ns") or 0)),
    }
    if look.meta["health"] and state.get("started_ns"):
        found["Health"] = _health(look)
    return found


def _health(look: Look) -> dict[str, Any]:
    probes = look.health["probes"] if look.health else []
    streak = 0
    for probe in reversed(probes):
        if not probe["exit_code"]:
            break
        streak += 1
    status = str(look.health["status"]) if look.health else "starting"
    return {
        "Status": status,
        "FailingStreak": streak,
        "Log": [
            {
                "Start": times.written(probe["started_ns"]),
                "End": times.written(probe["ended_ns"]),
                "ExitCode": probe["exit_code"],
                "Output": probe["output"],
            }
            for probe in probes
        ],
    }


def modes_of(
    said: Mapping[str, Any], of_image: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, tuple[str, str]]:
    """Return the mode and the propagation of the mounts that a client or the image asked for, by target."""
    found: dict[str, tuple[str, str]] = dict.fromkeys(of_image.get("Volumes") or (), ("", ""))
    asked = said.get("host") or {}
    for text in asked.get("Binds") or ():
        parts = str(text).split(":")
        mode = parts[2] if len(parts) > 2 else ""
        if parts[0].startswith("/"):
            words = mode.split(",")
            found[parts[1]] = (
                mode,
                next((word for word in words if "private" in word or "sha" in word), "rprivate"),
            )
        elif len(parts) > 1:
            found[parts[1]] = (mode or "z", "")
    for target in (said.get("config") or {}).get("Volumes") or ():
        found.setdefault(target, ("", ""))
    for mount in asked.get("Mounts") or ():
        options = mount.get("BindOptions") or {}
        propagation = options.get("Propagation") or "rprivate"
        found[mount["Target"]] = ("", propagation) if mount.get("Type") == "bind" else ("z", "")
        if mount.get("Type") not in ("bind", "volume"):
            found[mount["Target"]] = ("", "rprivate" if mount.get("Type") == "image" else "")
    return found


def _network_settings(
    world: World,
    look: Look,
    requests: Mapping[str, Any],
    mode: str,
    said: Mapping[str, Any],
    *,
    running: bool,
) -> dict[str, Any]:
    networks = pictures.networks_of(look, requests, mode=mode)
    for endpoint in networks.values() if len(networks) > 1 else ():
        # only one network is the way out; the others have a gateway, too
        record = records.network(f"{world.paths.networks()}/{endpoint['NetworkID']}") if running else None
        pools = record["pools"] if record is not None and not record["internal"] else []
        endpoint["Gateway"] = endpoint["Gateway"] or next(
            (p["gateway"] for p in pools if ":" not in p["gateway"]), ""
        )
    options = said.get("networks") or {}
    for name, endpoint in networks.items():
        endpoint["DriverOpts"] = (options.get(name) or {}).get("DriverOpts") or None
    default = networks.get("bridge") or {}
    pid = pictures.pid_of(look.state)
    has_own = running and not mode.startswith("container:")
    return {
        "Bridge": "",
        "SandboxID": pictures.endpoint_id(look.meta["id"], str(pid)) if has_own else "",
        "SandboxKey": f"/proc/{pid}/ns/net" if has_own and os.path.exists(f"/proc/{pid}") else "",
        "Ports": pictures.port_map(look),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": default.get("EndpointID", ""),
        "Gateway": default.get("Gateway", ""),
        "GlobalIPv6Address": default.get("GlobalIPv6Address", ""),
        "GlobalIPv6PrefixLen": default.get("GlobalIPv6PrefixLen", 0),
        "IPAddress": default.get("IPAddress", ""),
        "IPPrefixLen": default.get("IPPrefixLen", 0),
        "IPv6Gateway": default.get("IPv6Gateway", ""),
        "MacAddress": default.get("MacAddress", ""),
        "Networks": networks,
    }
