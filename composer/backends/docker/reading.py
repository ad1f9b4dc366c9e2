"""From the engine's JSON to what the engine of composer works with. Pure.

Two sources tell of a container: its line in the list (``from_list``), and its whole inspection
(``from_inspection``), which alone knows times, exit codes as numbers, and names in networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import dates
from composer.engine.observed import (
    ContainerState,
    Health,
    ImageStep,
    ObservedContainer,
    ObservedEndpoint,
    ObservedImage,
    ObservedMount,
    ObservedNetwork,
    ObservedPort,
    ObservedVolume,
    Probe,
)
from composer.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from composer.engine.inspected import Settings

    Json = Mapping[str, Any]

_ZERO = "0001-01-01T"
_EXITED = pattern(r"(?:Exited|Restarting) \((\d+)\)")
_HAS_EXITED = frozenset((ContainerState.EXITED, ContainerState.RESTARTING, ContainerState.DEAD))


def time_ns(text: str | None) -> int:
    """Return the Unix nanoseconds of RFC 3339; 0 for Go's zero time and for what is no time."""
    return 0 if not text or text.startswith(_ZERO) else dates.parse_ns(text) or 0


def _state(text: str) -> ContainerState:
    try:
        return ContainerState(text)
    except ValueError:
        return ContainerState.DEAD  # a state of a newer engine: nothing that we could rely on


def _health(text: str) -> Health:
    try:
        return Health(text)
    except ValueError:
        return Health.NONE


# ------------------------------------------------------------------ containers


def from_list(entry: Json) -> ObservedContainer:
    """Return a container from the list: no times but its creation, and no aliases."""
    state = _state(entry["State"])
    status = str(entry.get("Status") or "")
    exited = _EXITED.match(status)
    names = [name.lstrip("/") for name in entry.get("Names") or ()]
    return ObservedContainer(
        id=entry["Id"],
        # a link shows a container under further names, which have a slash in them
        name=next((name for name in names if "/" not in name), names[0] if names else ""),
        labels=entry.get("Labels") or {},
        state=state,
        image=entry.get("Image") or "",
        image_id=entry.get("ImageID") or "",
        health=_health_in(status) if state is ContainerState.RUNNING else Health.NONE,
        exit_code=int(exited[1]) if exited and state in _HAS_EXITED else None,
        created_ns=int(entry.get("Created") or 0) * 1_000_000_000,
        command=tuple(str(entry.get("Command") or "").split()),
        ports=tuple(
            ObservedPort(p["Type"], p["PrivatePort"], p.get("IP") or "", p.get("PublicPort") or 0)
            for p in entry.get("Ports") or ()
        ),
        endpoints=tuple(_endpoints((entry.get("NetworkSettings") or {}).get("Networks"))),
        mounts=tuple(_mounts(entry.get("Mounts"))),
        network_of=_network_of(entry),
    )


def _network_of(entry: Json) -> str:
    mode = str((entry.get("HostConfig") or {}).get("NetworkMode") or "")
    return mode.removeprefix("container:") if mode.startswith("container:") else ""


def _health_in(status: str) -> Health:
    if status.endswith("(healthy)"):
        return Health.HEALTHY
    if status.endswith("(unhealthy)"):
        return Health.UNHEALTHY
    return Health.STARTING if status.endswith("(health: starting)") else Health.NONE


def from_inspection(entry: Json) -> ObservedContainer:
    """Return a container from its inspection."""
    now, config = entry["State"], entry["Config"]
    state = _state(now["Status"])
    settings = entry.get("NetworkSettings") or {}
    return ObservedContainer(
        id=entry["Id"],
        name=entry["Name"].lstrip("/"),
        labels=config.get("Labels") or {},
        state=state,
        image=config.get("Image") or "",
        image_id=entry.get("Image") or "",
        health=_health((now.get("Health") or {}).get("Status") or "none"),
        exit_code=now.get("ExitCode") if state in _HAS_EXITED else None,
        oom_killed=bool(now.get("OOMKilled")),
        error=now.get("Error") or "",
        created_ns=time_ns(entry.get("Created")),
        started_ns=time_ns(now.get("StartedAt")),
        finished_ns=time_ns(now.get("FinishedAt")) if state in _HAS_EXITED else 0,
        restarts=int(entry.get("RestartCount") or 0),
        command=(entry.get("Path") or "", *(entry.get("Args") or ())),
        ports=tuple(_ports(settings.get("Ports"), config.get("ExposedPorts"))),
        endpoints=tuple(_endpoints(settings.get("Networks"))),
        mounts=tuple(_mounts(entry.get("Mounts"))),
        network_of=_network_of(entry),
    )


def settings(entry: Json) -> Settings:
    """Return how a container was made, from its inspection."""
    from composer.backends.docker.translate import HEALTH_TIMES
    from composer.engine.inspected import Settings
    from composer.units import format_duration

    config, host = entry["Config"], entry.get("HostConfig") or {}
    policy = host.get("RestartPolicy") or {}
    name, count = policy.get("Name") or "", int(policy.get("MaximumRetryCount") or 0)
    mode = str(host.get("NetworkMode") or "")
    check = config.get("Healthcheck") or {}
    times = {
        key: format_duration(int(check[field])) for key, field in HEALTH_TIMES.items() if check.get(field)
    }
    return Settings(
        environment=dict(text.partition("=")[::2] for text in config.get("Env") or ()),
        healthcheck={
            **({"test": list(check["Test"])} if check.get("Test") else {}),
            **times,
            **({"retries": int(check["Retries"])} if check.get("Retries") else {}),
        },
        user=config.get("User") or "",
        working_dir=config.get("WorkingDir") or "",
        restart="" if name == "no" else f"{name}:{count}" if count else name,
        network_mode=mode if mode in _MODES or mode.startswith("container:") else "",
        privileged=bool(host.get("Privileged")),
        read_only=bool(host.get("ReadonlyRootfs")),
        tty=bool(config.get("Tty")),
        stdin_open=bool(config.get("OpenStdin")),
    )


_MODES = ("bridge", "host", "none")


def _ports(bound: Json | None, exposed: Json | None) -> Iterator[ObservedPort]:
    for key in {**(exposed or {}), **(bound or {})}:
        number, _, protocol = key.partition("/")
        bindings = (bound or {}).get(key) or [{}]
        for binding in bindings:
            host_port = str(binding.get("HostPort") or "0")
            yield ObservedPort(protocol or "tcp", int(number), binding.get("HostIp") or "", int(host_port))


def _endpoints(networks: Json | None) -> Iterator[ObservedEndpoint]:
    for name, endpoint in (networks or {}).items():
        yield ObservedEndpoint(
            network=name,
            network_id=endpoint.get("NetworkID") or "",
            ipv4=endpoint.get("IPAddress") or "",
            ipv6=endpoint.get("GlobalIPv6Address") or "",
            mac=endpoint.get("MacAddress") or "",
            aliases=tuple(endpoint.get("Aliases") or ()),
        )


def _mounts(mounts: list[Json] | None) -> Iterator[ObservedMount]:
    for mount in mounts or ():
        yield ObservedMount(
            type=mount.get("Type") or "",
            target=mount.get("Destination") or "",
            name=mount.get("Name") or "",
            source=mount.get("Source") or "",
            read_only=not mount.get("RW", True),
        )


def probes(entry: Json) -> list[Probe]:
    """Return the runs of the health check that an inspection tells of, oldest first."""
    log = (entry["State"].get("Health") or {}).get("Log") or ()
    return [
        Probe(time_ns(run["Start"]), time_ns(run["End"]), int(run["ExitCode"]), run.get("Output") or "")
        for run in log
    ]


# ------------------------------------------------------------------ networks, volumes, images


def network(entry: Json) -> ObservedNetwork:
    driver = entry.get("Driver") or "bridge"
    attributes = _network_attributes(entry, driver)
    return ObservedNetwork(
        entry["Id"],
        entry["Name"],
        entry.get("Labels") or {},
        driver,
        attributes,
        tuple((attributes.get("ipam") or {}).get("config", ())),
        time_ns(entry.get("Created")),
    )


def _network_attributes(entry: Json, driver: str) -> dict[str, Any]:
    """Return what would make a network again; its addresses too, which may have been the engine's choice."""
    ipam = entry.get("IPAM") or {}
    names = (("subnet", "Subnet"), ("ip_range", "IPRange"), ("gateway", "Gateway"))
    pools: list[dict[str, Any]] = []
    for pool in ipam.get("Config") or ():
        found: dict[str, Any] = {key: pool[field] for key, field in names if pool.get(field)}
        if pool.get("AuxiliaryAddresses"):
            found["aux_addresses"] = pool["AuxiliaryAddresses"]
        pools.append(found)
    wanted = {
        "driver": driver,
        "driver_opts": entry.get("Options"),
        "internal": entry.get("Internal"),
        "attachable": entry.get("Attachable"),
        "enable_ipv6": entry.get("EnableIPv6"),
        "ipam": {"driver": ipam.get("Driver") or "default", "config": pools} if pools else None,
    }
    return {key: value for key, value in wanted.items() if value}


def volume(entry: Json) -> ObservedVolume:
    return ObservedVolume(
        entry["Name"],
        entry.get("Labels") or {},
        entry.get("Driver") or "local",
        entry.get("Options") or {},
        entry.get("Mountpoint") or "",
        time_ns(entry.get("CreatedAt")),
    )


def image_history(entries: Iterable[Json]) -> list[ImageStep]:
    """Return how an image was made, the last step first, as the engine lists it."""
    return [
        ImageStep(
            dates.utc(entry["Created"]) if entry.get("Created") else "",
            str(entry.get("CreatedBy") or ""),
            int(entry.get("Size") or 0),
            str(entry.get("Comment") or ""),
            "" if entry.get("Id") in (None, "<missing>") else str(entry["Id"]),
        )
        for entry in entries
    ]


def image(entry: Json) -> ObservedImage:
    """Return an image from its inspection, or from the list, which says less."""
    config = entry.get("Config") or {}
    check: list[str] = (config.get("Healthcheck") or {}).get("Test") or []
    created = entry.get("Created", "")
    return ObservedImage(
        id=entry["Id"],
        references=tuple(name for name in entry.get("RepoTags") or () if name != "<none>:<none>"),
        created=created if isinstance(created, str) else dates.utc(created),
        size_bytes=int(entry.get("Size") or 0),
        labels=config.get("Labels") or entry.get("Labels") or {},
        volumes=tuple(config.get("Volumes") or ()),
        has_healthcheck=bool(check) and check[0] not in ("", "NONE"),
        digests=tuple(entry.get("RepoDigests") or ()),
        tagged_ns=time_ns((entry.get("Metadata") or {}).get("LastTagTime")),
        platform="/".join(str(entry[key]) for key in ("Os", "Architecture", "Variant") if entry.get(key)),
        config=config,
        layers=tuple((entry.get("RootFS") or {}).get("Layers") or ()),
    )
