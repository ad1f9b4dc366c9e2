"""Objects on the disk as readers may rely on them: what has the wrong shape counts as not written.

Writers are strict. But a disk tears files, people edit them, and other versions write other things: one bad object
must not break the listing, the removal or the names of others, nor hide itself from who wants to remove it. So each
reader here returns values of the types that it promises, whatever the file says, or None where there is no object.
An object's id is the name of its directory, never what the file says.
"""

from __future__ import annotations

import os

from composer.runtime.base import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Shape = tuple[Callable[[Any], bool], Any]


def is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def is_number(value: Any) -> bool:
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_text, value))


def is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def is_labels(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_text, value.values()))


def is_list(value: Any) -> bool:
    return isinstance(value, list)


def is_address(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and is_text(value[0]) and is_number(value[1])


def list_of(is_entry: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_entry, value))


def like(**fields: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return what tells a mapping that has all of these, in these shapes; it may have more."""
    return lambda value: (
        isinstance(value, dict) and all(key in value and check(value[key]) for key, check in fields.items())
    )


def shaped(record: Mapping[str, Any], shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Return a record in which each of these keys has its shape, or its default."""
    result = dict(record)
    for key, (check, default) in shapes.items():
        if key not in record or not check(record[key]):
            result[key] = list(default) if isinstance(default, tuple) else default
    return result


def _entries(record: Mapping[str, Any], key: str, check: Callable[[Any], bool]) -> list[Any]:
    """Return the entries of a list that have their shape: one bad mount hides no other."""
    value = record.get(key)
    return [entry for entry in value if check(entry)] if isinstance(value, list) else []


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


def meta(bundle: str) -> dict[str, Any] | None:
    """Return a container's ``meta.json`` with checked fields, or None if there is none."""
    found = files.read_json(f"{bundle}/meta.json")
    if found is None:
        return None
    id = os.path.basename(bundle)
    name = found.get("name")
    return {
        **shaped(found, _META),
        "id": id,
        "name": name if is_text(name) and name and "/" not in name else id[:12],
        **_owned(found),
        "mounts": [_mount(entry) for entry in _entries(found, "mounts", is_mapping)],
        "networks": _entries(found, "networks", lambda pair: is_texts(pair) and len(pair) == 2),
        "aliases": {
            key: value
            for key, value in (found["aliases"].items() if is_mapping(found.get("aliases")) else ())
            if is_texts(value)
        },
        "exposed": [port for port in _entries(found, "exposed", is_text) if _is_exposed(port)],
    }


NOBODY = "@nobody"
"""The owner of all objects that have none: no project can have this name, so its run state is nobody else's."""

_OWNER_LABEL = "com.docker.compose.project"
_EVENT_LABELS = (_OWNER_LABEL, "com.docker.compose.service", "com.docker.compose.container-number")
"""Where records of version 1 had what ``project`` and ``event`` say since."""


def _owned(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object's labels, its owner, and what its events say of it."""
    labels = texts(found.get("labels"))
    owner, event = found.get("project"), found.get("event")
    if not is_text(owner):
        owner = labels.get(_OWNER_LABEL) or NOBODY
    if not is_labels(event):
        event = {key: labels[key] for key in _EVENT_LABELS if key in labels}
    return {"labels": labels, "project": owner, "event": event}


def texts(value: Any) -> dict[str, str]:
    """Return the entries of a mapping whose values are texts."""
    return {key: text for key, text in value.items() if is_text(text)} if isinstance(value, dict) else {}


def _mount(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a mount. A volume that it names is one that it uses, whatever else is wrong: nobody may prune it."""
    result = {key: value for key, value in entry.items() if key != "name" or _is_name(value)}
    for key in ("target", "source"):
        if not is_text(result.get(key)):
            result[key] = ""
    if not is_text(result.get("type")) or (result["type"] == "volume") != ("name" in result):
        result["type"] = "volume" if "name" in result else "bind"
    return result


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


def state(bundle: str) -> dict[str, Any] | None:
    """Return the state of a container, or None if it has no state file."""
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
            result[key] = _entries(result, key, check)
    return result


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


def config(bundle: str) -> dict[str, Any] | None:
    """Return a container's OCI configuration; None where it lacks what every container of ours has."""
    found = files.read_json(f"{bundle}/config.json")
    return found if _is_config(found) else None


def health(bundle: str) -> dict[str, Any] | None:
    """Return what a container's health checks have found."""
    found = files.read_json(f"{bundle}/health.json")
    if found is None or found.get("status") not in ("starting", "healthy", "unhealthy"):
        return None
    probe = like(started_ns=is_number, ended_ns=is_number, exit_code=is_number, output=is_text)
    keys = ("started_ns", "ended_ns", "exit_code", "output")
    probes = [{key: entry[key] for key in keys} for entry in _entries(found, "probes", probe)]
    return {**found, "probes": probes}


# ------------------------------------------------------------------ networks and volumes


def network(directory: str) -> dict[str, Any] | None:
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
    return {
        **shaped(found, shapes),
        "id": id,
        **_owned(found),
        "pools": _entries(found, "pools", _is_pool),
    }


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


def endpoint(path: str) -> dict[str, Any] | None:
    """Return by which names and addresses a network knows a container."""
    found = files.read_json(path)
    is_endpoint = like(network=is_text, names=is_texts, addresses=list_of(_is_ip))
    return found if is_endpoint(found) else None


def volume(directory: str) -> dict[str, Any] | None:
    found = files.read_json(f"{directory}/volume.json")
    if found is None:
        return None
    shapes: dict[str, Shape] = {"driver": (is_text, "local"), "created_ns": (is_number, 0)}
    return {
        **shaped(found, shapes),
        "name": os.path.basename(directory),
        **_owned(found),
        "options": texts(found.get("options")),
    }


# ------------------------------------------------------------------ processes of ours


def keeper(directory: str) -> dict[str, Any] | None:
    """Return which process a project's keeper is."""
    found = files.read_json(f"{directory}/keeper.json")
    return found if like(pid=is_number, start_ticks=is_number)(found) else None
