"""Devices of the host for a container: nodes by path, all of them, and those that a specification describes.

A specification of the Container Device Interface (JSON or YAML in /etc/cdi or /var/run/cdi) says what a device named
``vendor.com/class=name`` is made of: nodes, mounts, variables, groups and hooks. GPUs are such devices here: of a
class ``gpu``, as ``nvidia-ctk cdi generate`` and its like describe them.
Format: https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md
"""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Config = dict[str, Any]

DIRECTORIES = ("/etc/cdi", "/var/run/cdi")
"""Where specifications are; what the later one says of a device counts."""

# Of a container's own making, or not a device for others: what Docker leaves out of /dev as well.
_NOT_OF_THE_HOST = frozenset((*"pts shm fd mqueue ptmx .lxc .lxd-mounts .udev console".split(),))


class Specification(NamedTuple):
    """``devices``: the edits of each by its name; ``common`` go with every one of them."""

    kind: str
    devices: Mapping[str, Mapping[str, Any]]
    common: Mapping[str, Any]


# ------------------------------------------------------------------ nodes


def node(source: str, target: str, permissions: str = "") -> tuple[Config, Config]:
    """Return the node and the rule for a device file of the host. Raises ValueError where there is none."""
    try:
        state = os.stat(source)
    except OSError as error:
        raise ValueError(f"{source}: {(error.strerror or '').lower()}") from error
    return _node(state, target, permissions)


def _node(state: os.stat_result, target: str, permissions: str) -> tuple[Config, Config]:
    kind = "b" if stat.S_ISBLK(state.st_mode) else "c"
    numbers: Config = {"type": kind, "major": os.major(state.st_rdev), "minor": os.minor(state.st_rdev)}
    owner = {"fileMode": state.st_mode & 0o777, "uid": state.st_uid, "gid": state.st_gid}
    return {"path": target, **numbers, **owner}, {"allow": True, **numbers, "access": permissions or "rwm"}


def host_nodes(directory: str = "/dev") -> Iterator[Config]:
    """Yield every device of the host, for a privileged container."""
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            if entry.name in _NOT_OF_THE_HOST:
                continue
            try:
                state = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # unplugged since it was listed
            if stat.S_ISDIR(state.st_mode):
                yield from host_nodes(entry.path)
            elif stat.S_ISCHR(state.st_mode) or stat.S_ISBLK(state.st_mode):
                yield _node(state, entry.path, "")[0]


def apply(config: Config, value: Sequence[Mapping[str, Any]]) -> None:
    """Put devices of the host into a configuration."""
    for device in value:
        source = str(device["source"])
        if is_described(source):
            add_described(config, [source])
            continue
        made, rule = node(source, device.get("target") or source, device.get("permissions") or "")
        config["linux"]["devices"].append(made)
        config["linux"]["resources"]["devices"].append(rule)


# ------------------------------------------------------------------ what a specification describes


def is_described(name: str) -> bool:
    """Tell a name such as ``vendor.com/class=one`` from a path."""
    return "=" in name and not name.startswith("/")


def specifications() -> list[Specification]:
    """Read the specifications of this machine. One that cannot be read describes nothing."""
    found = []
    for directory in DIRECTORIES:
        names = sorted(os.listdir(directory)) if os.path.isdir(directory) else ()
        for name in names:
            if name.endswith((".json", ".yaml", ".yml")):
                one = _read(f"{directory}/{name}")
                found += [one] if one else []
    return found


def _read(path: str) -> Specification | None:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if path.endswith(".json"):
            raw = json.loads(text)
        else:
            import yaml

            raw = yaml.safe_load(text)
        devices = {str(one["name"]): one.get("containerEdits") or {} for one in raw.get("devices") or ()}
        return Specification(str(raw["kind"]), devices, raw.get("containerEdits") or {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # as the specification says: the others are not to suffer
    except Exception as error:
        if type(error).__module__.startswith("yaml"):
            return None
        raise


def add_described(config: Config, names: Sequence[str]) -> None:
    """Add devices by their full names. Raises ValueError for one that nothing describes."""
    known = specifications()
    applied: list[Mapping[str, Any]] = []
    for full in names:
        kind, _, name = full.partition("=")
        found = [one for one in known if one.kind == kind and name in one.devices]
        if not found:
            raise ValueError(f"no CDI specification for device '{full}' in {' or '.join(DIRECTORIES)}")
        for edits in (found[-1].common, found[-1].devices[name]):
            if not any(edits is one for one in applied):
                _edit(config, edits)
                applied.append(edits)


def _edit(config: Config, edits: Mapping[str, Any]) -> None:
    process, linux = config["process"], config["linux"]
    names = [entry.partition("=")[0] for entry in edits.get("env") or ()]
    process["env"] = [one for one in process["env"] if one.partition("=")[0] not in names]
    process["env"] += [str(entry) for entry in edits.get("env") or ()]
    process["user"]["groups"] += [str(gid) for gid in edits.get("additionalGids") or () if gid]
    for one in edits.get("deviceNodes") or ():
        made, rule = node(
            str(one.get("hostPath") or one["path"]), str(one["path"]), one.get("permissions") or ""
        )
        # As runc has it where the specification says nothing, whatever the node of the host is.
        made.update(fileMode=0o666, uid=0, gid=0)
        made.update({key: one[key] for key in ("fileMode", "uid", "gid") if one.get(key) is not None})
        linux["devices"].append(made)
        linux["resources"]["devices"].append(rule)
    for one in edits.get("mounts") or ():
        kind = str(one.get("type") or "bind")
        options = [str(option) for option in one.get("options") or ()]
        if kind in ("bind", "none", ""):
            kind, options = "bind", [*(o for o in options if o not in ("bind", "rbind")), "rbind"]
        mount = {
            "destination": one["containerPath"],
            "type": kind,
            "source": os.path.realpath(one["hostPath"]),
            "options": options,
        }
        config["mounts"].append(mount)
    if edits.get("hooks"):
        _add_hooks(config, edits["hooks"])


def _add_hooks(config: Config, described: Iterable[Mapping[str, Any]]) -> None:
    from composer.runtime.container import hooks  # few devices have any, and every plan loads this module

    for one in described:
        if one.get("hookName") not in hooks.KINDS:
            raise ValueError(
                f"hooks of kind '{one.get('hookName')}' are not supported by the built-in runtime"
            )
        config.setdefault("hooks", {}).setdefault(one["hookName"], []).append(
            {key: one[key] for key in ("path", "args", "env", "timeout") if one.get(key)}
        )


# ------------------------------------------------------------------ GPUs, and devices by what they can do


def request(config: Config, value: Any) -> None:
    """Put ``gpus``, or the devices that ``deploy`` reserves, into a container's configuration."""
    for wanted in [{"count": "all"}] if value == "all" else value:
        add_described(config, names_of(wanted, specifications()))


def names_of(wanted: Mapping[str, Any], known: Sequence[Specification]) -> list[str]:
    """Return the full names of the devices that a request means."""
    ids = [str(id) for id in wanted.get("device_ids") or ()]
    if wanted.get("driver") == "cdi" or any(map(is_described, ids)):
        return ids
    driver = str(wanted.get("driver") or "")
    fitting = [one for one in known if one.kind.endswith("/gpu") and one.kind.startswith(driver)]
    if not fitting:
        raise ValueError("no CDI specification for a GPU")
    kind = fitting[-1].kind
    names = [name for one in fitting if one.kind == kind for name in one.devices]
    if ids:
        return [f"{kind}={id}" for id in ids]
    count = wanted.get("count")
    if count in (None, "", "all", -1):
        return [f"{kind}=all"] if "all" in names else [f"{kind}={name}" for name in names]
    single = [name for name in dict.fromkeys(names) if name.isdecimal()]
    if len(single) < int(str(count)):
        raise ValueError(f"{count} GPUs requested, but only {len(single)} found")
    return [f"{kind}={name}" for name in sorted(single, key=int)[: int(str(count))]]
