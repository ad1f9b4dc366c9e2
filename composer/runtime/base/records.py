"""Objects on the disk: the one place where they are read and written, in the shapes of `record_types`.

Writers are strict, and write down the version. But a disk tears files, people edit them, and other versions write other
things: one bad object must not break the listing, the removal or the names of others, nor hide itself from who wants
to remove it. So each reader here returns values of the types that it promises, whatever the file says, or None where
there is no object. An object's id is the name of its directory, never what the file says.

    version 1     without a number; the owner and what events say of an object are in its labels
    version 2     ``project`` and ``event`` say it, also for objects without labels of Compose

What a later version wrote is shown as far as it is understood, and changed by nobody: see `refuse_later`.
"""

from __future__ import annotations

import os

from composer.runtime.base import files
from composer.runtime.base.shapes import (
    entries,
    is_address,
    is_flag,
    is_labels,
    is_list,
    is_mapping,
    is_number,
    is_text,
    is_texts,
    like,
    list_of,
    shaped,
    texts,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from composer.runtime.base.record_types import (
        Config,
        Extras,
        FrozenRecord,
        HealthRecord,
        KeeperRecord,
        Meta,
        MountRecord,
        NameRecord,
        NetworkRecord,
        OverRecord,
        PartRecord,
        PlacingRecord,
        SnapshotRecord,
        State,
        VolumeRecord,
    )
    from composer.runtime.base.shapes import Shape

VERSION = 2
NOBODY = files.NOBODY
"""The owner of all objects that have none: no project can have this name, so its run state is nobody else's."""

ANONYMOUS = "com.docker.volume.anonymous"
"""The label of a volume that goes with its container."""

_OWNER_LABEL = "com.docker.compose.project"
_EVENT_LABELS = (_OWNER_LABEL, "com.docker.compose.service", "com.docker.compose.container-number")
"""Where records of version 1 had what ``project`` and ``event`` say since."""


def refuse_later(record: Mapping[str, Any], what: str) -> None:
    """Raise Unsupported, naming the object, where a later version of composer wrote its record."""
    version = record.get("version", 1)
    if type(version) is int and version > VERSION:
        from composer.errors import Unsupported

        raise Unsupported(
            "record",
            f"cannot change {what}: its record was written by a later version of composer "
            f"(record version {version}, supported: {VERSION})",
            hint="use that version of composer",
        )


def _write(path: str, record: Mapping[str, Any], *, durable: bool = False) -> None:
    files.write_json(path, {**record, "version": VERSION}, durable=durable)


# ------------------------------------------------------------------ containers

_META: dict[str, Shape] = {
    "image": (is_text, ""),
    "image_id": (is_text, ""),
    "created_ns": (is_number, 0),
    "command": (is_texts, ()),
    "health": (is_flag, False),
    "auto_remove": (is_flag, False),
}
_is_port = like(protocol=is_text, container_port=is_number, host_ip=is_text, host_port=is_number)


_is_meta = like(name=is_text, labels=is_labels)


def meta(bundle: str) -> Meta | None:
    """Return what is shown of a container, or None if nothing is known of it.

    Where ``meta.json`` is damaged it is what the configuration says: fewer labels, and the same names and volumes.
    """
    found = files.read_json(f"{bundle}/meta.json")
    known = None if _is_meta(found) else meta_of_config(bundle)
    if known is not None or found is None:
        return known
    id = os.path.basename(bundle)
    name = found.get("name")
    made: Meta = {
        **shaped(found, _META),  # type: ignore[typeddict-item]
        "id": id,
        "name": name if is_text(name) and name and "/" not in name else id[:12],
        **_owned(found),
        "mounts": [_mount(entry) for entry in entries(found, "mounts", is_mapping)],
        "networks": entries(found, "networks", lambda pair: is_texts(pair) and len(pair) == 2),
        "aliases": {
            key: value
            for key, value in (found["aliases"].items() if is_mapping(found.get("aliases")) else ())
            if is_texts(value)
        },
        "exposed": [port for port in entries(found, "exposed", is_text) if _is_exposed(port)],
    }
    return made


def is_meta_damaged(bundle: str) -> bool:
    """Tell whether ``meta.json`` lacks what every container's has."""
    return not _is_meta(files.read_json(f"{bundle}/meta.json"))


def write_meta(bundle: str, record: Meta) -> None:
    _write(f"{bundle}/meta.json", record)


def meta_of_config(bundle: str) -> Meta | None:
    """Return what a container's configuration tells of what ``meta.json`` said; None where there is none."""
    found = config(bundle)
    if found is None:
        return None
    id, own = os.path.basename(bundle), extras(found)
    event = texts(own.get("event"))
    network = own["network"].get("endpoints", ())
    joined = [one for one in network if like(network=is_text, network_id=is_text, aliases=is_texts)(one)]
    volumes = f"{os.path.realpath(os.path.dirname(os.path.dirname(bundle)))}/volumes/"
    return {
        "id": id,
        "name": own["name"],
        "project": own["project"],
        "event": {key: text for key, text in event.items() if key != "image"},
        "labels": {key: text for key, text in event.items() if key != "image"},
        "image": event.get("image", ""),
        "image_id": "",
        "created_ns": 0,
        "command": found["process"]["args"],
        "mounts": [_mount_of_config(entry, volumes) for entry in found["mounts"] if _is_shown(entry)],
        "networks": [[one["network"], one["network_id"]] for one in joined],
        "aliases": {one["network"]: one["aliases"] for one in joined},
        "exposed": [],
        "health": bool(own.get("health")),
        "auto_remove": bool(own.get("auto_remove")),
    }


def _is_shown(entry: Mapping[str, Any]) -> bool:
    return entry["type"] == "bind" and is_text(entry.get("source"))


def _mount_of_config(entry: Mapping[str, Any], volumes: str) -> MountRecord:
    name = entry["source"].removeprefix(volumes).partition("/")[0]
    if entry["source"].startswith(volumes) and _is_name(name):
        found = volume(f"{volumes}{name}")
        return {
            "type": "volume",
            "target": entry["destination"],
            "source": entry["source"],
            "name": name,
            "anonymous": found is not None and ANONYMOUS in found["labels"],
        }
    return {"type": "bind", "target": entry["destination"], "source": entry["source"]}


def _owned(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object's labels, its owner, and what its events say of it."""
    labels = texts(found.get("labels"))
    owner, event = found.get("project"), found.get("event")
    if not is_text(owner) or not owner:
        owner = labels.get(_OWNER_LABEL) or NOBODY
    if not is_labels(event):
        event = {key: labels[key] for key in _EVENT_LABELS if key in labels}
    return {"labels": labels, "project": owner, "event": event}


def _mount(entry: dict[str, Any]) -> MountRecord:
    """Return a mount. A volume that it names is one that it uses, whatever else is wrong: nobody may prune it."""
    result = {key: value for key, value in entry.items() if key != "name" or _is_name(value)}
    for key in ("target", "source"):
        if not is_text(result.get(key)):
            result[key] = ""
    if not is_text(result.get("type")) or (result["type"] == "volume") != ("name" in result):
        result["type"] = "volume" if "name" in result else "bind"
    return result  # type: ignore[return-value]


def _is_name(value: Any) -> bool:
    """Return True for the name of a volume: a single file name, never a path."""
    return is_text(value) and value not in ("", ".", "..") and "/" not in value


def _is_exposed(port: str) -> bool:
    number, _, protocol = port.partition("/")
    return (
        number.isascii()
        and number.isdecimal()
        and len(number) <= 5
        and protocol in ("", "tcp", "udp", "sctp")
    )


_STATE: dict[str, Shape] = {
    "status": (is_text, "created"),
    "pid": (is_number, 0),
    "started_ns": (is_number, 0),
    "finished_ns": (is_number, 0),
    "restarts": (is_number, 0),
    "error": (is_text, ""),
    "oom_killed": (is_flag, False),
}


def state(bundle: str) -> State | None:
    """Return the state of a container, or None if it has no state file that can be read."""
    found = files.read_json(f"{bundle}/state.json")
    if found is None:
        return None
    wrong = [key for key, (check, _) in _STATE.items() if key in found and not check(found[key])]
    if "exit_code" in found and found["exit_code"] is not None and not is_number(found["exit_code"]):
        wrong.append("exit_code")
    result = {key: value for key, value in found.items() if key not in wrong}
    result.setdefault("status", "created")
    for key, check in (("ports", _is_port), ("endpoints", _is_attachment)):
        if key in result:
            result[key] = entries(result, key, check)
    return result  # type: ignore[return-value]


def write_state(bundle: str, record: State, *, durable: bool = False) -> None:
    _write(f"{bundle}/state.json", record, durable=durable)


def _is_ip(value: Any) -> bool:
    return is_text(value) and _is_subnet(value, plain=True)


def is_publication(port: Any) -> bool:
    """Tell whether an entry of a state's ``ports`` can be a published port."""
    return (
        _is_port(port)
        and port["protocol"] in ("tcp", "udp", "sctp")
        and all(0 < port[key] < 1 << 16 for key in ("host_port", "container_port"))
        and (port["host_ip"] == "" or _is_ip(port["host_ip"]))
    )


def _is_attachment(record: Any) -> bool:
    """Tell whether an entry of a state's ``endpoints`` is what `endpoints.Attachment` takes."""
    return (
        _has_attachment(record)
        and is_number(record.get("priority", 0))
        and is_labels(record.get("sysctls") or {})
        and _are_addresses(record["addresses"])
        and _are_addresses(record.get("link_local", []))
    )


def _are_addresses(value: Any) -> bool:
    return list_of(is_address)(value) and all(_is_ip(ip) for ip, _ in value)


_has_attachment = like(
    **dict.fromkeys(("network", "network_id", "interface", "link", "mac"), is_text),
    **dict.fromkeys(("gateways", "aliases"), is_texts),
    addresses=is_list,
)
_is_config = like(
    process=like(args=is_texts, env=is_texts, user=is_mapping),
    root=like(path=is_text),
    mounts=list_of(like(destination=is_text, type=is_text)),
    linux=like(namespaces=list_of(like(type=is_text))),
    composer=like(project=is_text, name=is_text, names=is_texts, network=is_mapping),
)


def config(bundle: str) -> Config | None:
    """Return a container's OCI configuration; None where it lacks what every container of ours has."""
    found = files.read_json(f"{bundle}/config.json")
    return found if _is_config(found) else None


def write_config(bundle: str, record: Config) -> None:
    extras(record)["version"] = VERSION
    files.write_json(f"{bundle}/config.json", record)


def request(bundle: str) -> dict[str, Any]:
    """Return what a container's maker wanted to be kept; nothing where it is damaged, for it says how to show it."""
    return files.read_json(f"{bundle}/request.json") or {}


def write_request(bundle: str, record: Mapping[str, Any]) -> None:
    _write(f"{bundle}/request.json", record)


def extras(record: Mapping[str, Any]) -> Extras:
    """Return the runtime's own part of a configuration."""
    found: Extras = record["composer"]
    return found


def is_silent(config: Mapping[str, Any]) -> bool:
    """Tell whether a container's output is shown to nobody who comes later."""
    log = extras(config).get("log") or {}
    return log.get("keep") is False or bool(log.get("hidden"))


def cgroup_parent(bundle: str) -> str | None:
    """Return the ``cgroup_parent`` of a container; None where it has the usual one, or its record is damaged."""
    found = config(bundle)
    return None if found is None else extras(found).get("cgroup_parent")


def health(bundle: str) -> HealthRecord | None:
    """Return what a container's health checks have found."""
    found = files.read_json(f"{bundle}/health.json")
    if found is None or found.get("status") not in ("starting", "healthy", "unhealthy"):
        return None
    probe = like(started_ns=is_number, ended_ns=is_number, exit_code=is_number, output=is_text)
    keys = ("started_ns", "ended_ns", "exit_code", "output")
    probes = [{key: entry[key] for key in keys} for entry in entries(found, "probes", probe)]
    return {**found, "probes": probes}  # type: ignore[return-value]


def write_health(bundle: str, record: Mapping[str, Any]) -> None:
    _write(f"{bundle}/health.json", record)


# ------------------------------------------------------------------ networks and volumes


def network(directory: str) -> NetworkRecord | None:
    """Return a network. Without its bridge's name it is what would have been given to it."""
    found = files.read_json(f"{directory}/network.json")
    if found is None:
        return None
    id = os.path.basename(directory)
    shapes: dict[str, Shape] = {
        "name": (is_text, id[:12]),
        "driver": (is_text, "bridge"),
        "created_ns": (is_number, 0),
        "attributes": (is_mapping, {}),
        "bridge": (
            lambda value: is_text(value) and 0 < len(value) < 16 and "/" not in value,
            f"cmp{id[:10]}",
        ),
        "internal": (is_flag, True),  # what is not known lets nothing out
    }
    made: NetworkRecord = {
        **shaped(found, shapes),  # type: ignore[typeddict-item]
        "id": id,
        **_owned(found),
        "pools": entries(found, "pools", _is_pool),
    }
    return made


def write_network(directory: str, record: NetworkRecord) -> None:
    _write(f"{directory}/network.json", record, durable=True)


def _is_pool(value: Any) -> bool:
    fields = like(subnet=is_text, gateway=is_text, range=is_text, reserved=is_labels)
    return fields(value) and all(
        _is_subnet(value[key], plain=key == "gateway") for key in ("subnet", "gateway", "range")
    )


def _is_subnet(text: str, *, plain: bool) -> bool:
    from _socket import AF_INET, AF_INET6, inet_pton

    address, slash, prefix = text.partition("/")
    family = AF_INET6 if ":" in address else AF_INET
    try:
        inet_pton(family, address)
    except (OSError, ValueError):
        return False
    if plain:
        return not slash
    is_short = prefix.isascii() and prefix.isdecimal() and len(prefix) <= 3
    return is_short and int(prefix) <= (128 if family == AF_INET6 else 32)


def endpoint(path: str) -> NameRecord | None:
    """Return by which names and addresses a network knows a container."""
    found = files.read_json(path)
    is_endpoint = like(network=is_text, names=is_texts, addresses=list_of(_is_ip))
    return found if is_endpoint(found) else None  # type: ignore[return-value]


def write_endpoint(path: str, record: NameRecord) -> None:
    _write(path, record)


def volume(directory: str) -> VolumeRecord | None:
    found = files.read_json(f"{directory}/volume.json")
    if found is None:
        return None
    shapes: dict[str, Shape] = {"driver": (is_text, "local"), "created_ns": (is_number, 0)}
    made: VolumeRecord = {
        **shaped(found, shapes),  # type: ignore[typeddict-item]
        "name": os.path.basename(directory),
        **_owned(found),
        "options": texts(found.get("options")),
    }
    over = found.get("over")
    if over is not None:
        # A part that cannot be known is one that is nowhere: mounting it fails, and shows no other data in its place.
        known: OverRecord = (
            over if _is_over(over) else {"snapshot": "damaged", "part": 0, "generation": "damaged"}
        )
        made["over"] = known
    return made


def over(directory: str) -> list[OverRecord]:
    """Return what a volume lies over as its own directory tells, where its record is damaged."""
    found: list[OverRecord] = []
    try:
        generations = os.listdir(f"{directory}/over")
    except (FileNotFoundError, NotADirectoryError):
        return []
    for name in sorted(generations):
        known: Any = files.read_json(f"{directory}/over/{name}/over.json")
        if _is_over(known) and known["generation"] == name:
            found.append(known)
    return found


def write_over(directory: str, record: OverRecord) -> None:
    """Write beside a volume's own half of an overlay what it lies over."""
    _write(f"{directory}/over/{record['generation']}/over.json", record)


def write_volume(directory: str, record: VolumeRecord) -> None:
    _write(f"{directory}/volume.json", record, durable=True)


# ------------------------------------------------------------------ snapshots

_is_over = like(
    snapshot=lambda value: _is_name(value), part=is_number, generation=lambda value: _is_name(value)
)
_is_part = like(kind=is_text, source=is_text, about=is_mapping)


def snapshot(directory: str) -> SnapshotRecord | None:
    found = files.read_json(f"{directory}/snapshot.json")
    if found is None:
        return None
    id = os.path.basename(directory)
    shapes: dict[str, Shape] = {
        "name": (is_text, id[:12]),
        "project": (is_text, NOBODY),
        "created_ns": (is_number, 0),
        "quiet": (is_text, ""),
        "way": (is_text, ""),
        "size_bytes": (is_number, 0),
        "removed": (is_flag, False),
    }
    made: SnapshotRecord = {
        **shaped(found, shapes),  # type: ignore[typeddict-item]
        "id": id,
        "parts": _parts(found),
    }
    return made


def _parts(found: Mapping[str, Any]) -> list[PartRecord]:
    """Return the parts, each at its number: one that is damaged leads nowhere."""
    parts: Any = found.get("parts")
    none: PartRecord = {"kind": "damaged", "source": "", "about": {}}
    return [part if _is_part(part) else none for part in (parts if is_list(parts) else [])]


def write_snapshot(directory: str, record: SnapshotRecord) -> None:
    _write(f"{directory}/snapshot.json", record, durable=True)


def placing(path: str) -> PlacingRecord | None:
    found = files.read_json(path)
    return found if _is_placing(found) else None  # type: ignore[return-value]


def _is_target(pair: Any) -> bool:
    return is_list(pair) and len(pair) == 2 and is_number(pair[0]) and _is_name(pair[1])


_is_placing = like(
    snapshot=lambda value: _is_name(value),
    project=is_text,
    targets=list_of(_is_target),
    generation=lambda value: _is_name(value),
    way=is_text,
    committed=is_flag,
)


def write_placing(path: str, record: PlacingRecord) -> None:
    _write(path, record, durable=True)


def frozen(path: str) -> FrozenRecord | None:
    found = files.read_json(path)
    if not like(containers=is_texts)(found):
        return None
    return shaped(found, {"sources": (is_texts, ())})  # type: ignore[return-value,arg-type]


def write_frozen(path: str, record: FrozenRecord) -> None:
    _write(path, record)


# ------------------------------------------------------------------ processes of ours


def keeper(directory: str) -> KeeperRecord | None:
    """Return which process an owner's keeper is."""
    found = files.read_json(f"{directory}/keeper.json")
    return found if like(pid=is_number, start_ticks=is_number)(found) else None  # type: ignore[return-value]


def write_keeper(directory: str, record: KeeperRecord) -> None:
    _write(f"{directory}/keeper.json", record)
