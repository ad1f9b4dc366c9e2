"""From a container as Compose wants it to an OCI configuration: one row per attribute.

`ATTRIBUTES` is the table: a Compose attribute and the function that puts it into the configuration, or the reason why
it cannot be honoured. What it lacks and the engine does not do is refused as unknown, so that nothing is ignored in
silence; with what is inside of attributes (`attributes.py`) it is this backend's column of `composer.attributes`.
Values are canonical (see `ContainerSpec`); image defaults have Docker's names (``Cmd``, ``Env``, …).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Literal

from composer import errors, sysctls, values
from composer.attributes import ENGINE_NAMES, Row, nothing, refused_row
from composer.backends.namespace import isolation, resources, unusable
from composer.engine.wanted import ContainerSpec, Limitation
from composer.runtime.base import records
from composer.runtime.container import defaults
from composer.units import parse_duration_ns, parse_size_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from composer.backends.namespace.isolation import Probe
    from composer.runtime.objects import specs

    Config = dict[str, Any]

_TERM = "TERM=xterm"
# What an event says of a container beside its name and image; the whole list of labels is in its record.
EVENT_LABELS = (
    "com.docker.compose.project",
    "com.docker.compose.service",
    "com.docker.compose.container-number",
    "com.docker.compose.oneoff",
)
_NOT_IN_EVENTS = ("com.docker.compose.", "composer.")


def limitations(attributes: Mapping[str, Any]) -> list[Limitation]:
    """Return what would not be honoured of a service's attributes, before anything is created."""
    found = [*isolation.limitations(attributes), *unusable.limitations(attributes)]
    found += [
        Limitation(("sysctls", key), reason, hint=hint)
        for key, reason, hint in sysctls.find_faults(attributes)
    ]
    for name, value in attributes.items():
        row = ATTRIBUTES.get(name)
        if row is not None and row.refusal is not None:
            if value not in (None, "", [], {}, False):
                reason, hint = row.refusal
                found.append(Limitation((name,), reason, hint=hint))
        elif row is not None:
            found += _limitations_of(name, value) if name not in {one.path[0] for one in found} else []
        elif name not in ENGINE_NAMES:
            found.append(Limitation((name,), "not supported by the built-in runtime"))
    for path, target, reason in values.mount_problems(attributes):
        found.append(Limitation(path, f"cannot mount at {target}: {reason}", hint=values.MOUNT_HINT))
    return found


def _limitations_of(name: str, value: Any) -> list[Limitation]:
    """Return what the row of an attribute says, and what it would stumble over: once it is created it is too late."""
    row = ATTRIBUTES[name]
    found = row.probe(value) if row.probe is not None else []
    if any(one.fatal for one in found) or value is None:
        return found
    try:
        row.apply(defaults.configuration({}), value)
    except ValueError as error:
        found = [*found, Limitation((name,), str(error))]
    return found


def spec_of(spec: ContainerSpec) -> specs.Container:
    """Return what the runtime is asked to make of a service's container."""
    from composer.backends.namespace import networkoptions
    from composer.runtime.objects import specs

    attributes = spec.attributes
    given = str(attributes.get("hostname") or "")
    return specs.Container(
        spec.name,
        spec.project or records.NOBODY,
        f"service '{spec.service}'" if spec.service else f"container '{spec.name}'",
        spec.image,
        lambda image: oci_config(spec, image),
        labels=spec.labels,
        image_id=spec.image_id,
        mounts=[specs.Mount(*mount) for mount in spec.mounts],
        volumes_from=[str(text) for text in attributes.get("volumes_from") or ()],
        endpoints=[networkoptions.endpoint_of(endpoint) for endpoint in spec.endpoints],
        files=[specs.File(*file) for file in spec.files],
        namespaces=isolation.wanted(spec),
        names=[given] if given and spec.endpoints else [],  # others find it by that as well
        event={
            key: value
            for key, value in spec.labels.items()
            if key in EVENT_LABELS or not key.startswith(_NOT_IN_EVENTS)
        },
        mac=attributes.get("mac_address") or None,
        auto_remove=spec.auto_remove,
        takes_over=spec.takes_over,
        replaces=spec.replaces,
    )


def update_of(attributes: Mapping[str, Any]) -> tuple[Config, Config | None]:
    """Return what an update is to change: OCI's `linux.resources`, and the restart policy. Raises BackendError."""
    config: Config = {"linux": {"resources": {}}, "composer": {}}
    for name, value in attributes.items():
        try:
            ATTRIBUTES[name].apply(config, value)
        except ValueError as error:
            raise errors.BackendError(f"cannot change {name}: {error}") from error
    found = config["linux"]["resources"]
    if "mem_limit" in attributes and "memswap_limit" not in attributes:
        del found["memory"]["swap"]  # only a new container gets the usual one
    if "blockIO" in found:
        found["blockIO"] = {key: value for key, value in found["blockIO"].items() if value}
    return found, config["composer"].get("restart")


def oci_config(spec: ContainerSpec, image: Mapping[str, Any]) -> Config:
    """Return the OCI configuration of a container, without what depends on its id and on other objects.

    ``image`` is the image's configuration.
    """
    config = defaults.configuration(image)
    for name, value in spec.attributes.items():
        if name in ATTRIBUTES and value is not None:
            try:
                ATTRIBUTES[name].apply(config, value)
            except ValueError as error:
                raise errors.BackendError(
                    f"cannot use {name} of service '{spec.service}': {error}"
                ) from error
    records.extras(config)["service"] = spec.service
    if spec.restarts_with:
        records.extras(config)["renew_with"] = [
            {"service": one.service, "healthy": one.healthy} for one in spec.restarts_with
        ]
    _finish_process(config, spec, image)
    isolation.grant(config, spec)
    return config


# ------------------------------------------------------------------ one function per attribute


def _process(key: str) -> Callable[[Config, Any], None]:
    def apply(config: Config, value: Any) -> None:
        config["process"][key] = value

    return apply


def _extra(key: Literal["annotations", "init", "stdin"]) -> Callable[[Config, Any], None]:
    """Put the value into the runtime's own part."""

    def apply(config: Config, value: Any) -> None:
        records.extras(config)[key] = value

    return apply


def _environment(config: Config, value: Any) -> None:
    merged = dict(entry.partition("=")[::2] for entry in config["process"]["env"])
    for key, text in _pairs(value):
        if text is None:
            merged.pop(key, None)
        else:
            merged[key] = text
    config["process"]["env"] = [f"{key}={text}" for key, text in merged.items()]


def _pairs(value: Any) -> list[tuple[str, str | None]]:
    if isinstance(value, dict):
        return [(key, None if text is None else str(text)) for key, text in value.items()]
    return [(key, text if separator else None) for key, separator, text in (e.partition("=") for e in value)]


def _user(config: Config, value: Any) -> None:
    config["process"]["user"]["name"] = str(value)


def _group_add(config: Config, value: Any) -> None:
    config["process"]["user"]["groups"] = [str(group) for group in value]


def _hostname(config: Config, value: Any) -> None:
    config["hostname"] = str(value)


def _domainname(config: Config, value: Any) -> None:
    config["domainname"] = str(value)


def _read_only(config: Config, value: Any) -> None:
    config["root"]["readonly"] = bool(value)


def _ulimits(config: Config, value: Any) -> None:
    for name, limit in value.items():
        # A limit of 0 is left out of the canonical form, as Go prints it.
        soft, hard = (
            (limit.get("soft", 0), limit.get("hard", 0)) if isinstance(limit, dict) else (limit, limit)
        )
        config["process"]["rlimits"].append(
            {"type": f"RLIMIT_{name.upper()}", "soft": int(soft), "hard": int(hard)}
        )


def _shm_size(config: Config, value: Any) -> None:
    for mount in config["mounts"]:
        if mount["destination"] == "/dev/shm":
            mount["options"] = [o for o in mount["options"] if not o.startswith("size=")] + [
                f"size={parse_size_bytes(str(value))}"
            ]


def _sysctls(config: Config, value: Any) -> None:
    config["linux"]["sysctl"].update({key: str(text) for key, text in _pairs(value)})


def _restart(config: Config, value: Any) -> None:
    policy, maximum = values.restart_policy(str(value))
    records.extras(config)["restart"] = {"policy": policy, "maximum": maximum}


def _logging(config: Config, value: Any) -> None:
    from composer.runtime.objects import log_options

    log_options.apply(config, value)


def _logging_limits(value: Any) -> list[Limitation]:
    from composer.backends.namespace import logdrivers

    return logdrivers.limits(value)


def _stop_signal(config: Config, value: Any) -> None:
    records.extras(config)["stop"]["signal"] = defaults.signal_number(str(value))


def _stop_grace_period(config: Config, value: Any) -> None:
    records.extras(config)["stop"]["timeout_s"] = parse_duration_ns(str(value)) / 1e9


def _healthcheck(config: Config, value: Any) -> None:
    test = value.get("test")
    if value.get("disable") or (test and test[0] == "NONE"):
        records.extras(config)["health"] = None
        return
    health: Config = dict(records.extras(config)["health"] or {})
    if test:
        health["test"] = list(test)
    for key in ("interval", "timeout", "start_period", "start_interval"):
        if value.get(key):
            health[key] = parse_duration_ns(str(value[key]))
    if value.get("retries"):
        health["retries"] = int(value["retries"])
    records.extras(config)["health"] = health if health.get("test") else None


def _ports(config: Config, value: Any) -> None:
    for port in value:
        problem = values.protocol_problem(port.get("protocol") or "tcp")
        if problem is not None:
            raise ValueError(problem)
        first, _, last = str(port.get("published") or "0").partition("-")
        records.extras(config)["network"]["ports"].append(
            {
                "protocol": port.get("protocol") or "tcp",
                "container_port": int(port.get("target") or 0),
                "host_ip": port.get("host_ip") or "",
                "host_port": int(first),
                "host_port_end": int(last or first),
            }
        )


def _extra_hosts(config: Config, value: Any) -> None:
    records.extras(config)["network"]["extra_hosts"] = [list(pair) for pair in values.host_pairs(value)]


def _dns(key: str) -> Callable[[Config, Any], None]:
    def apply(config: Config, value: Any) -> None:
        records.extras(config)["network"]["dns"][key] = [value] if isinstance(value, str) else list(value)

    return apply


def _security_opt(config: Config, value: Any) -> None:
    for option in value:
        name, setting = _security(option)
        if name == "no-new-privileges":
            config["process"]["noNewPrivileges"] = setting.lower() != "false"
        elif name == "seccomp":
            config["linux"]["seccomp"] = _seccomp(setting)
        elif (name, setting) == ("systempaths", "unconfined"):
            config["linux"].update(maskedPaths=[], readonlyPaths=[])


def _security(option: str) -> tuple[str, str]:
    """``name=setting`` or, as it was once written, ``name:setting``."""
    separator = "=" if "=" in option.partition(":")[0] or ":" not in option else ":"
    name, _, setting = option.partition(separator)
    return name, setting


def _seccomp(setting: str) -> Any:
    """Return what the runtime compiles: a profile in Docker's form, the default one, or none.

    A profile is a file, or the text of one: clients of Docker's API read the file themselves.
    """
    if setting in ("builtin", "default", "unconfined"):
        return None if setting == "unconfined" else "default"
    try:
        if setting.lstrip().startswith("{"):
            profile = json.loads(setting)
        else:
            with open(setting, encoding="utf-8") as file:
                profile = json.load(file)
    except OSError as error:
        raise ValueError(f"cannot read the seccomp profile {setting}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"the seccomp profile {setting} is not valid JSON: {error}") from error
    if not isinstance(profile, dict) or "defaultAction" not in profile:
        raise ValueError(f"defaultAction is required in the seccomp profile {setting}")
    return profile


# Where the kernel module that an option is for does not exist, the option has no effect, as with Docker.
_MODULES = {"apparmor": ("/sys/module/apparmor", "unconfined"), "label": ("/sys/fs/selinux", "disable")}


def _security_limits(value: Any) -> list[Limitation]:
    found = []
    for index, option in enumerate(value or ()):
        name, setting = _security(option)
        if name in ("no-new-privileges", "seccomp") or (name, setting) == ("systempaths", "unconfined"):
            continue
        module, without = _MODULES.get(name, ("/", None))
        if setting != without and os.path.exists(module):
            reason = f"'{option}' is not supported by the built-in runtime"
            found.append(Limitation(("security_opt", index), reason, hint="remove it"))
    return found


def _platform_limits(value: Any) -> list[Limitation]:
    if not value:
        return []
    from composer.registry import platforms
    from composer.runtime.images import configuration, manifests

    own = platforms.Platform("linux", configuration.architecture())
    try:
        wanted = platforms.parse_platform(str(value), own)
    except ValueError as error:
        return [Limitation(("platform",), f"invalid platform '{value}': {error}", hint=f"use {own}")]
    if wanted.system == "linux" and wanted.architecture in {name for name, _ in manifests.platforms()}:
        return []
    reason = f"only {own} is supported on this machine: the built-in runtime has no emulation"
    return [Limitation(("platform",), reason, hint=f"use {own}, or --backend docker")]


def _umask(config: Config, value: Any) -> None:
    if not 0 <= value <= 0o777:
        raise ValueError(f"must be between 000 and 777, not '{value:o}'")
    config["process"]["user"]["umask"] = value


def _oneof(name: str, reason: str, *values: str) -> Callable[[Any], list[Limitation]]:
    """Return a check that rejects every value except these.

    They only describe the behavior that the runtime always has.
    """

    def check(value: Any) -> list[Limitation]:
        return [] if value in (None, "", *values) else [Limitation((name,), reason, hint="remove it")]

    return check


def _cgroup_parent(config: Config, value: Any) -> None:
    records.extras(config)["cgroup_parent"] = str(value)


def _cgroup_parent_limits(value: Any) -> list[Limitation]:
    if not {".", ".."}.isdisjoint(str(value or "").split("/")):
        return [
            Limitation(
                ("cgroup_parent",),
                f"'{value}' must not contain '.' or '..' as a path component",
                hint="use a cgroup below the root",
            )
        ]
    return []


ATTRIBUTES: dict[str, Row[Probe]] = {
    **resources.ROWS,
    "annotations": Row(_extra("annotations")),
    "build": Row(),  # see builds
    "cap_add": Row(),  # with what is granted: see privileges
    "cap_drop": Row(),
    "cgroup": Row(nothing, isolation.probe("cgroup", "host", "private"), "yes: host, private"),
    "cgroup_parent": Row(_cgroup_parent, _cgroup_parent_limits, "yes"),
    "command": Row(),  # with the image's: see _finish_process
    "dns": Row(_dns("servers")),
    "dns_opt": Row(_dns("options")),
    "dns_search": Row(_dns("search")),
    "domainname": Row(_domainname),
    "entrypoint": Row(),
    "environment": Row(_environment),
    "expose": Row(),
    "extra_hosts": Row(_extra_hosts),
    "group_add": Row(_group_add),
    "healthcheck": Row(_healthcheck),
    "hostname": Row(_hostname),
    "init": Row(_extra("init")),
    "ipc": Row(
        nothing,
        isolation.probe("ipc", "private", "shareable", "host", "none", joins=True),
        "yes: private, shareable, host, none, service:NAME, container:NAME",
    ),
    "isolation": Row(
        nothing,
        _oneof("isolation", "only supported by Windows containers", "default"),
        "only default",
    ),
    "logging": Row(
        _logging,
        _logging_limits,
        "json-file, local, syslog, none, and journald if it is running; max-size and max-file",
    ),
    "mac_address": Row(),  # of the first endpoint, see bundle
    "oom_score_adj": Row(_process("oomScoreAdj")),
    "platform": Row(nothing, _platform_limits, "only the platform of this machine"),
    "pid": Row(
        nothing, isolation.probe("pid", "host", joins=True), "yes: host, service:NAME, container:NAME"
    ),
    "ports": Row(_ports),
    "privileged": Row(),
    "read_only": Row(_read_only),
    "restart": Row(_restart),
    "runtime": Row(
        nothing,
        _oneof("runtime", "only the built-in runtime is supported", "runc"),
        "only runc, which selects the built-in runtime",
    ),
    "security_opt": Row(
        _security_opt, _security_limits, "yes; apparmor and label only if they have no effect"
    ),
    "shm_size": Row(_shm_size),
    "stdin_open": Row(_extra("stdin")),
    "stop_grace_period": Row(_stop_grace_period),
    "stop_signal": Row(_stop_signal),
    "sysctls": Row(_sysctls),
    "tty": Row(_process("terminal")),
    "ulimits": Row(_ulimits),
    "umask": Row(_umask),
    "user": Row(_user),
    # There is no user namespace to leave: host is what a container has.
    "userns_mode": Row(nothing, isolation.probe("userns_mode", "host"), "only host, which is the default"),
    "uts": Row(nothing, isolation.probe("uts", "host"), "yes: host"),
    "volumes_from": Row(),  # mounts, see bundle
    "working_dir": Row(_process("cwd")),
    # what cannot be honoured at all
    "credential_spec": refused_row("only supported by Windows containers", "remove it"),
    "storage_opt": refused_row(
        "storage size limits are not supported by the built-in runtime",
        "limit writes with read_only and tmpfs, or use a volume",
    ),
    "use_api_socket": refused_row("there is no Docker Engine socket to mount", "remove it"),
}


# ------------------------------------------------------------------ what depends on several


def _finish_process(config: Config, spec: ContainerSpec, image: Mapping[str, Any]) -> None:
    extras, process = records.extras(config), config["process"]
    entrypoint, command = spec.attributes.get("entrypoint"), spec.attributes.get("command")
    # As in Docker: an entrypoint of the service's own makes the image's command void.
    if entrypoint is None:
        head, tail = list(image.get("Entrypoint") or ()), list(image.get("Cmd") or ())
    else:
        head, tail = _words(entrypoint), []
    arguments = head + (tail if command is None else _words(command))
    if not arguments:
        raise errors.BackendError(
            f"no command specified for service '{spec.service}' or in its image '{spec.image}'",
            hint="add a command to the service",
        )
    process["args"] = arguments
    if process["terminal"] and not _has(process["env"], "TERM"):
        process["env"] = [*process["env"], _TERM]
        extras["term"] = _TERM  # of this terminal: an exec without one does not get it
    if not process["cwd"].startswith("/"):
        raise errors.BackendError(
            f"working_dir '{process['cwd']}' of service '{spec.service}' must be an absolute path"
        )


def _words(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(word) for word in value]


def _has(environment: Sequence[str], key: str) -> bool:
    return any(entry.startswith(f"{key}=") for entry in environment)
