"""``composer container inspect``: Docker's fields of a container, as far as every backend knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.cli import options as shared
from composer.cli.single.container_list import RUNNING, sizes_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.engine.backend import Backend
    from composer.engine.inspected import Settings
    from composer.engine.observed import ObservedContainer, Probe

_NEVER = "0001-01-01T00:00:00Z"
_DURATIONS = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}


def picture(backend: Backend, found: ObservedContainer, *, size: bool) -> dict[str, Any]:
    """Return what is shown of a container; with ``size`` the bytes of its files, too."""
    settings = backend.settings(found.id)
    health = settings.healthcheck
    probes = backend.probes(found.id) if found.health.value != "none" else ()
    shown: dict[str, Any] = {
        "Id": found.id,
        "Name": f"/{found.name}",
        "Created": shared.moment(found.created_ns),
        "Path": found.command[0] if found.command else "",
        "Args": list(found.command[1:]),
        "Image": found.image_id,
        "RestartCount": found.restarts,
        "State": _state(found, probes),
        "Config": _config(found, settings, health),
        "HostConfig": _host(settings, found),
        "NetworkSettings": _network(found),
        "Mounts": [
            {
                "Type": mount.type,
                "Name": mount.name,
                "Source": mount.source,
                "Destination": mount.target,
                "RW": not mount.read_only,
            }
            for mount in found.mounts
        ],
    }
    if size:
        own, whole = sizes_of(backend, [found]).get(found.id, (0, 0))
        shown |= {"SizeRw": own, "SizeRootFs": whole}
    return shown


def _state(found: ObservedContainer, probes: Sequence[Probe]) -> dict[str, Any]:
    from composer import dates

    status = found.state.value
    shown: dict[str, Any] = {
        "Status": status,
        "Running": status in RUNNING,
        "Paused": status == "paused",
        "Restarting": status == "restarting",
        "OOMKilled": found.oom_killed,
        "Dead": status == "dead",
        "ExitCode": found.exit_code or 0,
        "Error": found.error,
        "StartedAt": shared.moment(found.started_ns) or _NEVER,
        "FinishedAt": shared.moment(found.finished_ns) or _NEVER,
    }
    if found.health.value != "none":
        shown["Health"] = {
            "Status": found.health.value,
            "FailingStreak": _failing(probes),
            "Log": [
                {
                    "Start": dates.utc_ns(probe.started_ns),
                    "End": dates.utc_ns(probe.ended_ns),
                    "ExitCode": probe.exit_code,
                    "Output": probe.output,
                }
                for probe in probes
            ],
        }
    return shown


def _failing(probes: Sequence[Probe]) -> int:
    """Return how many of the last checks failed, one after the other."""
    count = 0
    for probe in reversed(probes):
        if probe.exit_code == 0:
            break
        count += 1
    return count


def _config(found: ObservedContainer, settings: Settings, health: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Image": found.image,
        "Cmd": list(found.command),
        "Env": [f"{key}={value}" for key, value in settings.environment.items()],
        "Labels": dict(found.labels),
        "OpenStdin": settings.stdin_open,
        "Tty": settings.tty,
        "User": settings.user,
        "WorkingDir": settings.working_dir,
    }
    if health:
        shown["Healthcheck"] = _healthcheck(health)
    exposed = dict.fromkeys(f"{port.container_port}/{port.protocol}" for port in found.ports)
    if exposed:
        shown["ExposedPorts"] = {port: {} for port in exposed}
    return shown


def _healthcheck(health: Mapping[str, Any]) -> dict[str, Any]:
    from composer.units import parse_duration_ns

    test = health.get("test") or []
    shown: dict[str, Any] = {"Test": ["CMD-SHELL", test] if isinstance(test, str) else list(test)}
    for key, field in _DURATIONS.items():
        if health.get(key):
            shown[field] = parse_duration_ns(str(health[key]))
    if health.get("retries"):
        shown["Retries"] = int(health["retries"])
    return shown


def _host(settings: Settings, found: ObservedContainer) -> dict[str, Any]:
    name, _, maximum = settings.restart.partition(":")
    return {
        "NetworkMode": settings.network_mode or next((e.network for e in found.endpoints), "default"),
        "Privileged": settings.privileged,
        "ReadonlyRootfs": settings.read_only,
        "RestartPolicy": {"Name": name or "no", "MaximumRetryCount": int(maximum or 0)},
    }


def _network(found: ObservedContainer) -> dict[str, Any]:
    ports: dict[str, Any] = {}
    for port in found.ports:
        key = f"{port.container_port}/{port.protocol}"
        bindings = ports.setdefault(key, None)
        if port.host_port:
            bound = {"HostIp": port.host_ip, "HostPort": str(port.host_port)}
            ports[key] = [*(bindings or ()), bound]
    return {
        "Ports": ports,
        "Networks": {
            endpoint.network: {
                "NetworkID": endpoint.network_id,
                "IPAddress": endpoint.ipv4,
                "GlobalIPv6Address": endpoint.ipv6,
                "MacAddress": endpoint.mac,
                "Aliases": list(endpoint.aliases),
            }
            for endpoint in found.endpoints
        },
    }
