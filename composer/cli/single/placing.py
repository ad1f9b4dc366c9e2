"""Where a container is put by flags: its mounts (``--volume``, ``--mount``, ``--tmpfs``), networks and ports."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from composer.cli import options as shared
from composer.cli.single import container_options, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.cli.context import Context
    from composer.engine.observed import ObservedImage
    from composer.engine.wanted import EndpointSpec, MountSpec

MODES = ("bridge", "host", "none", "default")
_TRUE, _FALSE = ("", "1", "true"), ("0", "false")


def _bad(flag: str, text: str) -> click.BadParameter:
    return click.BadParameter(text, param_hint=flag)


# ------------------------------------------------------------------ mounts


def mounts(context: Context, given: Mapping[str, Any]) -> Iterator[MountSpec]:
    """Yield what is to be mounted. Raises click.BadParameter."""
    from composer.engine.resolving.resolve import tmpfs_options
    from composer.engine.wanted import MountSpec

    for text in given["volume"]:
        yield container_options.mount(context, text, lambda _: None)
    for text in given["mount"]:
        yield _mount(context, text)
    for text in given["tmpfs"]:
        target, _, options = text.partition(":")
        _check_target("--tmpfs", text, target)
        yield MountSpec("tmpfs", None, target, options=tmpfs_options(options))


_FIELDS = {
    "type": "type",
    "source": "source",
    "src": "source",
    "target": "target",
    "destination": "target",
    "dst": "target",
    "readonly": "read_only",
    "ro": "read_only",
    "consistency": "",
    "bind-propagation": "bind.propagation",
    "bind-recursive": "bind.recursive",
    "bind-nonrecursive": "bind.nonrecursive",
    "bind-create-src": "bind.create_host_path",
    "volume-nocopy": "volume.nocopy",
    "volume-label": "volume.labels",
    "volume-subpath": "volume.subpath",
    "tmpfs-size": "tmpfs.size",
    "tmpfs-mode": "tmpfs.mode",
    "image-subpath": "image.subpath",
}
"""The fields of ``--mount``, and what they are in the long form of a service's volume."""
_UNSUPPORTED = {
    "volume-driver": "create the volume first, with composer volume create --driver",
    "volume-opt": "create the volume first, with composer volume create --opt",
}


def _mount(context: Context, text: str) -> MountSpec:
    from composer.engine.wanted import MountSpec

    found: dict[str, Any] = {"type": "volume"}
    options: dict[str, dict[str, Any]] = {"bind": {"create_host_path": False}}
    for key, value in _mount_fields(text):
        if key in _UNSUPPORTED:
            raise _bad("--mount", f"'{key}' is not supported: {_UNSUPPORTED[key]}")
        if key not in _FIELDS:
            raise _bad("--mount", f"unknown field '{key}' in '{text}'")
        kind, dot, name = _FIELDS[key].partition(".")
        if dot:
            _set_option(options.setdefault(kind, {}), name, key, value)
        elif kind:
            found[kind] = _flag(key, value) if kind == "read_only" else value
    kind, source, target = found["type"], found.get("source"), found.get("target", "")
    if kind not in ("bind", "volume", "tmpfs", "image"):
        raise _bad("--mount", f"unknown type '{kind}': use bind, volume, tmpfs or image")
    others = sorted(options.keys() - {kind, "bind"}) + (
        ["bind"] if len(options["bind"]) > 1 and kind != "bind" else []
    )
    if others:
        raise _bad("--mount", f"options of {others[0]} cannot be used with type={kind}")
    _check_target("--mount", text, target)
    if kind in ("bind", "image") and not source:
        raise _bad("--mount", f"'{text}': source is required for type={kind}")
    if kind == "tmpfs" and source:
        raise _bad("--mount", f"'{text}': a tmpfs has no source")
    if kind == "bind":
        source = os.path.normpath(os.path.join(context.working_dir, os.path.expanduser(str(source))))
    read_only = bool(found.get("read_only"))
    return MountSpec(kind, source or None, target, read_only, options.get(kind) or {})


def _mount_fields(text: str) -> Iterator[tuple[str, str]]:
    import csv

    try:
        (row,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError):
        raise _bad("--mount", f"'{text}' must be KEY=VALUE,KEY=VALUE") from None
    for part in row:
        key, _, value = part.partition("=")
        yield key.strip().lower(), value


def _set_option(options: dict[str, Any], name: str, key: str, value: str) -> None:
    if name == "nonrecursive":
        if _flag(key, value):
            options["recursive"] = "disabled"
    elif name in ("nocopy", "create_host_path"):
        options[name] = _flag(key, value)
    elif name == "labels":
        label, _, text = value.partition("=")
        options.setdefault("labels", {})[label] = text
    elif name == "mode":
        if not value or value.strip("01234567"):
            raise _bad("--mount", f"'{key}={value}' must be an octal number")
        options["mode"] = int(value, 8)
    elif name == "recursive":
        if value not in ("enabled", "disabled", "writable", "readonly"):
            raise _bad("--mount", f"'{key}={value}' must be enabled, disabled, writable or readonly")
        if value != "enabled":
            options["recursive"] = value
    elif name == "size":
        try:
            options["size"] = reading.size(value)
        except ValueError as error:
            raise _bad("--mount", f"'{key}={value}': {error}") from None
    else:
        options[name] = value


def _flag(key: str, value: str) -> bool:
    if value.lower() not in (*_TRUE, *_FALSE):
        raise _bad("--mount", f"'{key}={value}' must be true or false")
    return value.lower() in _TRUE


def _check_target(flag: str, text: str, target: str) -> None:
    from composer import values

    if not target:
        raise _bad(flag, f"'{text}': target is required")
    reason = values.mount_problem(target, None)
    if reason:
        raise _bad(flag, f"'{text}': cannot mount at {target}: {reason}")


# ------------------------------------------------------------------ networks


def networks(name: str, given: Mapping[str, Any]) -> tuple[str | None, tuple[EndpointSpec, ...]]:
    """Return the mode, or the places in networks that a container gets. Raises click.BadParameter."""
    wanted = [_network(text) for text in given["network"] or ("bridge",)]
    first = wanted[0][0]
    if len(wanted) == 1 and (first in MODES or first.startswith("container:")):
        for flag in ("network_alias", "ip", "ip6", "link", "link_local_ip"):
            if given[flag] or wanted[0][1]:
                raise _bad(
                    f"--{flag.replace('_', '-')}",
                    f"only supported in a network of your own, not with --network {first}",
                )
        return ("bridge" if first == "default" else first), ()
    for network, _ in wanted:
        if network in MODES or network.startswith("container:"):
            raise _bad("--network", f"'{network}' cannot be combined with other networks")
    return None, tuple(_endpoints(name, wanted, given))


def _endpoints(
    name: str, wanted: list[tuple[str, dict[str, Any]]], given: Mapping[str, Any]
) -> Iterator[EndpointSpec]:
    from composer.engine.wanted import EndpointSpec

    own = {
        "ipv4_address": given["ip"],
        "ipv6_address": given["ip6"],
        "link_local_ips": list(given["link_local_ip"]),
        "links": [text if ":" in text else f"{text}:{text}" for text in given["link"]],
        "aliases": list(given["network_alias"]),
    }
    for index, (network, said) in enumerate(wanted):
        attributes = (
            {**{key: value for key, value in own.items() if value}, **said} if index == 0 else dict(said)
        )
        aliases = (name, *attributes.pop("aliases", ()))
        yield EndpointSpec(network, tuple(dict.fromkeys(aliases)), attributes)


_NETWORK_FIELDS = {
    "ip": "ipv4_address",
    "ip6": "ipv6_address",
    "mac-address": "mac_address",
    "gw-priority": "gw_priority",
}


def _network(text: str) -> tuple[str, dict[str, Any]]:
    """Read ``NAME`` or ``name=NAME,alias=…,ip=…,driver-opt=KEY=VALUE``."""
    if "=" not in text:
        return text, {}
    import csv

    name = ""
    found: dict[str, Any] = {}
    for part in next(csv.reader([text])):
        key, _, value = part.partition("=")
        key = key.strip().lower()
        if key == "name":
            name = value
        elif key == "alias":
            found.setdefault("aliases", []).append(value)
        elif key == "link-local-ip":
            found.setdefault("link_local_ips", []).append(value)
        elif key == "driver-opt":
            option, _, setting = value.partition("=")
            found.setdefault("driver_opts", {})[option] = setting
        elif key in _NETWORK_FIELDS:
            found[_NETWORK_FIELDS[key]] = value
        else:
            raise _bad("--network", f"unknown field '{key}' in '{text}'")
    if not name:
        raise _bad("--network", f"'{text}': name is required")
    return name, found


# ------------------------------------------------------------------ ports


def ports(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [port for text in given["publish"] for port in container_options.ports(text)]


def exposed_ports(
    published: list[dict[str, Any]], exposed: list[str], image: ObservedImage | None
) -> list[dict[str, Any]]:
    """Return the ports that ``--publish-all`` adds: every one that is exposed and not published."""
    texts = [*((image.config.get("ExposedPorts") or {}) if image is not None else ()), *exposed]
    taken = {(str(port["target"]), port.get("protocol") or "tcp") for port in published}
    found = []
    for text in texts:
        numbers, _, protocol = text.partition("/")
        first, _, last = numbers.partition("-")
        for target in range(int(first), int(last or first) + 1):
            if (str(target), protocol or "tcp") not in taken:
                taken.add((str(target), protocol or "tcp"))
                found.append({"mode": "ingress", "target": target, "protocol": protocol or "tcp"})
    return found


def labels(context: Context, given: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of files, and those of flags over them."""
    from composer.errors import ProjectError

    found: dict[str, str] = {}
    for name in given["label_file"]:
        try:
            with open(os.path.join(context.working_dir, name), encoding="utf-8") as file:
                lines = [line.strip() for line in file]
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ProjectError(f"cannot read '{name}': {reason.lower()}") from None
        # a bare key in a file is no label, as with the docker CLI
        found |= shared.mapping(tuple(line for line in lines if "=" in line and not line.startswith("#")))
    return {**found, **shared.mapping(given["label"])}
