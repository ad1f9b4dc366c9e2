"""The structs behind the canonical form: one table per Go struct, in the order in which Compose writes its fields.

Rendering, hashing and comparing read the order from the tree, so it is written down here and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.schema.golang import go_text
from composer.schema.kinds import (
    OMIT,
    Decoder,
    Keep,
    Struct,
    boolean,
    command,
    decimal,
    device_count,
    duration,
    duration_or_zero,
    file_mode,
    from_pairs,
    healthcheck_test,
    hosts,
    integer,
    list_of,
    map_of,
    size,
    text,
    text_or_empty,
    text_or_int,
    text_or_null,
    texts,
    umask,
    unsigned,
    wrapping,
)
from composer.schema.tree import Map, Seq

if TYPE_CHECKING:
    from composer.errors import Mark
    from composer.schema.kinds import Decoder, Kind
    from composer.schema.tree import Path

_STRINGS = list_of(text)
_LABELS = map_of(text_or_empty)
_OPTIONS = map_of(text_or_empty)
_OPT_BOOL = Keep(boolean, False)
_OPT_INT = Keep(integer, 0)
_OPT_UNSIGNED = Keep(unsigned, 0)

_WEIGHT_NUMBER = wrapping(16, "use a weight between 10 and 1000")
_MODE = wrapping(32, "use an octal mode, such as 01777")
_ULIMIT = Struct({"single": integer, "soft": integer, "hard": integer}, extended=False)


def ulimit(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """One number for both limits, or a mapping. Go prints a limit of 0 as ``{}``: what is missing is 0."""
    if isinstance(value, Map):
        return _ULIMIT(value, path, mark, decoder)
    number = integer(value, path, mark, decoder)
    return Map() if number is OMIT else number


_FILE_MOUNT = Struct({"source": text, "target": text, "uid": text, "gid": text, "mode": file_mode})

_HOOK = Struct(
    {
        "command": command,
        "user": text,
        "privileged": boolean,
        "working_dir": text,
        "environment": map_of(text_or_null),
    },
    always={"command": None},
)

_PRE_START = Struct(
    {
        "command": command,
        "image": text,
        "user": text,
        "privileged": boolean,
        "working_dir": text,
        "environment": map_of(text_or_null),
        "per_replica": boolean,
    },
    always={"command": None},
)

_DEVICE_REQUEST = Struct(
    {
        "capabilities": _STRINGS,
        "driver": text,
        "count": device_count,
        "device_ids": _STRINGS,
        "options": _LABELS,
    },
    extended=False,
)

BUILD = Struct(
    {
        "context": text,
        "dockerfile": text,
        "dockerfile_inline": text,
        "entitlements": _STRINGS,
        "args": map_of(text_or_null),
        "provenance": text,
        "sbom": text,
        "ssh": lambda value, path, mark, decoder: _ssh(value, path, mark, decoder),
        "labels": _LABELS,
        "cache_from": _STRINGS,
        "cache_to": _STRINGS,
        "no_cache": boolean,
        "no_cache_filter": _STRINGS,
        "additional_contexts": _OPTIONS,
        "pull": boolean,
        "extra_hosts": hosts,
        "isolation": text,
        "network": text,
        "target": text,
        "secrets": list_of(_FILE_MOUNT),
        "shm_size": size,
        "tags": _STRINGS,
        "ulimits": map_of(ulimit),
        "platforms": _STRINGS,
        "privileged": boolean,
    }
)


def _ssh(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """Agent keys → ``default`` or ``id=path`` items, in order of ids."""
    if value is None:
        return OMIT
    if isinstance(value, Seq):
        value = from_pairs(value)
    new = Seq()
    for key in sorted(value):
        item = value[key]
        new.add(key if item in (None, "") else f"{key}={go_text(item)}", value.mark(key))
    return new or OMIT


_RATE = Struct(
    {"path": text, "rate": size},
    always={"path": "", "rate": "0"},
    renamed={"path": "Path", "rate": "Rate"},
)
_WEIGHT = Struct(
    {"path": text, "weight": _WEIGHT_NUMBER},
    always={"path": "", "weight": 0},
    renamed={"path": "Path", "weight": "Weight"},
)

_UPDATE = Struct(
    {
        "parallelism": _OPT_UNSIGNED,
        "delay": duration_or_zero,
        "failure_action": text,
        "monitor": duration_or_zero,
        "max_failure_ratio": decimal,
        "order": text,
    }
)

_LIMIT = {
    "cpus": decimal,
    "memory": size,
    "pids": integer,
    "devices": list_of(_DEVICE_REQUEST),
    "generic_resources": list_of(
        Struct(
            {
                "discrete_resource_spec": Struct(
                    {"kind": text, "value": integer}, always={"kind": "", "value": 0}
                )
            }
        )
    ),
}

_DEPLOY = Struct(
    {
        "mode": text,
        "replicas": _OPT_INT,
        "labels": _LABELS,
        "update_config": _UPDATE,
        "rollback_config": _UPDATE,
        "resources": Struct({"limits": Struct(_LIMIT), "reservations": Struct(_LIMIT)}),
        "restart_policy": Struct(
            {"condition": text, "delay": duration, "max_attempts": _OPT_UNSIGNED, "window": duration}
        ),
        "placement": Struct(
            {
                "constraints": _STRINGS,
                "preferences": list_of(Struct({"spread": text})),
                "max_replicas_per_node": unsigned,
            }
        ),
        "endpoint_mode": text,
    },
    always={"resources": Map(), "placement": Map()},
)

_VOLUME = Struct(
    {
        "type": text,
        "source": text,
        "target": text,
        "read_only": boolean,
        "consistency": text,
        "bind": Struct(
            {"selinux": text, "propagation": text, "create_host_path": _OPT_BOOL, "recursive": text}
        ),
        "volume": Struct({"labels": _LABELS, "nocopy": boolean, "subpath": text}),
        "tmpfs": Struct({"size": size, "mode": _MODE}),
        "image": Struct({"subpath": text}),
    }
)

_ENDPOINT = Struct(
    {
        "aliases": _STRINGS,
        "driver_opts": _OPTIONS,
        "gw_priority": integer,
        "interface_name": text,
        "ipv4_address": text,
        "ipv6_address": text,
        "link_local_ips": _STRINGS,
        "mac_address": text,
        "priority": integer,
        "use_service_name_alias": _OPT_BOOL,
    }
)

_HEALTHCHECK = Struct(
    {
        "test": healthcheck_test,
        "timeout": duration,
        "interval": duration,
        "retries": _OPT_UNSIGNED,
        "start_period": duration,
        "start_interval": duration,
        "disable": boolean,
    }
)

SERVICE = Struct(
    {
        "profiles": _STRINGS,
        "annotations": _LABELS,
        "attach": _OPT_BOOL,
        "build": BUILD,
        "develop": Struct(
            {
                "watch": list_of(
                    Struct(
                        {
                            "path": text,
                            "action": text,
                            "target": text,
                            "exec": _HOOK,
                            "include": _STRINGS,
                            "ignore": _STRINGS,
                            "initial_sync": boolean,
                        },
                        always={"exec": Map({"command": None})},
                    )
                )
            }
        ),
        "blkio_config": Struct(
            {
                "weight": _WEIGHT_NUMBER,
                "weight_device": list_of(_WEIGHT),
                "device_read_bps": list_of(_RATE),
                "device_read_iops": list_of(_RATE),
                "device_write_bps": list_of(_RATE),
                "device_write_iops": list_of(_RATE),
            }
        ),
        "cap_add": _STRINGS,
        "cap_drop": _STRINGS,
        "cgroup_parent": text,
        "cgroup": text,
        "cpu_count": integer,
        "cpu_percent": decimal,
        "cpu_period": integer,
        "cpu_quota": integer,
        "cpu_rt_period": integer,
        "cpu_rt_runtime": integer,
        "cpus": decimal,
        "cpuset": text,
        "cpu_shares": integer,
        "command": command,
        "configs": list_of(_FILE_MOUNT),
        "container_name": text,
        "credential_spec": Struct({"config": text, "file": text, "registry": text}),
        "depends_on": map_of(
            Struct({"condition": text, "restart": boolean, "required": boolean}, always={"required": False}),
            named=True,
        ),
        "deploy": _DEPLOY,
        "device_cgroup_rules": _STRINGS,
        "devices": list_of(Struct({"source": text, "target": text, "permissions": text})),
        "dns": _STRINGS,
        "dns_opt": _STRINGS,
        "dns_search": _STRINGS,
        "domainname": text,
        "entrypoint": command,
        "provider": Struct({"type": text, "options": map_of(texts)}),
        "environment": map_of(text_or_null),
        "env_file": list_of(
            Struct({"path": text, "required": boolean, "format": text}, always={"required": False})
        ),
        "expose": list_of(text_or_int),
        "extends": Struct({"file": text, "service": text}),
        "external_links": _STRINGS,
        "extra_hosts": hosts,
        "group_add": list_of(text_or_int),
        "gpus": list_of(_DEVICE_REQUEST),
        "hostname": text,
        "healthcheck": _HEALTHCHECK,
        "image": text,
        "init": _OPT_BOOL,
        "ipc": text,
        "isolation": text,
        "labels": _LABELS,
        "label_file": _STRINGS,
        "links": _STRINGS,
        "logging": Struct({"driver": text, "options": _OPTIONS}),
        "mem_limit": size,
        "mem_reservation": size,
        "memswap_limit": size,
        "mem_swappiness": size,
        "mac_address": text,
        "models": map_of(Struct({"endpoint_var": text, "model_var": text}), null=None),
        "network_mode": text,
        "networks": map_of(_ENDPOINT, null=None),
        "oom_kill_disable": boolean,
        "oom_score_adj": integer,
        "pid": text,
        "pids_limit": integer,
        "platform": text,
        "ports": list_of(
            Struct(
                {
                    "name": text,
                    "mode": text,
                    "host_ip": text,
                    "target": unsigned,
                    "published": text_or_int,
                    "protocol": text,
                    "app_protocol": text,
                }
            )
        ),
        "privileged": boolean,
        "pull_policy": text,
        "pull_refresh_after": text,
        "read_only": boolean,
        "restart": text,
        "runtime": text,
        "scale": _OPT_INT,
        "secrets": list_of(_FILE_MOUNT),
        "security_opt": _STRINGS,
        "shm_size": size,
        "stdin_open": boolean,
        "stop_grace_period": duration,
        "stop_signal": text,
        "storage_opt": map_of(text_or_int, null=""),
        "sysctls": _LABELS,
        "tmpfs": _STRINGS,
        "tty": boolean,
        "ulimits": map_of(ulimit),
        "umask": umask,
        "use_api_socket": boolean,
        "user": text,
        "userns_mode": text,
        "uts": text,
        "volumes": list_of(_VOLUME),
        "volumes_from": _STRINGS,
        "working_dir": text,
        "pre_start": list_of(_PRE_START),
        "post_start": list_of(_HOOK),
        "pre_stop": list_of(_HOOK),
    },
    always={"command": None, "entrypoint": None},
)

NOT_OF_JOBS = (
    "attach container_name deploy develop external_links links post_start pre_start pre_stop provider restart "
    "scale"
).split()

JOB = Struct(
    {
        **{name: kind for name, kind in SERVICE.fields.items() if name not in NOT_OF_JOBS},
        "triggers": Struct(
            {
                "manual": _OPT_BOOL,
                "schedule": list_of(
                    Struct({"cron": text, "timezone": text, "concurrency": text, "missed_fires": text})
                ),
            }
        ),
    },
    always=SERVICE.always,
)

NETWORK = Struct(
    {
        "name": text,
        "driver": text,
        "driver_opts": _OPTIONS,
        "ipam": Struct(
            {
                "driver": text,
                "config": list_of(
                    Struct(
                        {
                            "subnet": text,
                            "gateway": text,
                            "ip_range": text,
                            "aux_addresses": _OPTIONS,
                        },
                        extended=False,
                    )
                ),
                "options": _OPTIONS,
            }
        ),
        "external": boolean,
        "internal": boolean,
        "attachable": boolean,
        "labels": _LABELS,
        "enable_ipv4": _OPT_BOOL,
        "enable_ipv6": _OPT_BOOL,
    },
    always={"ipam": Map()},
)

VOLUME = Struct(
    {"name": text, "driver": text, "driver_opts": _OPTIONS, "external": boolean, "labels": _LABELS}
)

_FILE_OBJECT: dict[str, Kind] = {
    "name": text,
    "file": text,
    "environment": text,
    "content": text,
    "external": boolean,
    "labels": _LABELS,
    "driver": text,
    "driver_opts": map_of(text_or_int, null=""),
    "template_driver": text,
}

SECRET = CONFIG = Struct(_FILE_OBJECT)

MODEL = Struct({"name": text, "model": text, "context_size": integer, "runtime_flags": _STRINGS})

SECTIONS: dict[str, Kind] = {
    "configs": map_of(CONFIG, named=True),
    "jobs": map_of(JOB, named=True),
    "models": map_of(MODEL),
    "networks": map_of(NETWORK, named=True),
    "secrets": map_of(SECRET, named=True),
    "services": map_of(SERVICE, keep=True, named=True),
    "volumes": map_of(VOLUME, named=True),
}
