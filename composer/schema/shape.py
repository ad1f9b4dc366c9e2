"""The types behind the canonical form: what Go's structs make of each value, and in which order they print it.

One table per struct, in the order in which Compose writes its fields: rendering, hashing and comparing read the
order from the tree. A kind turns a value into its canonical form or says why it cannot; values that Go would
leave out (zero, empty) become `OMIT`. `Keep` marks fields that are pointers in Go: their zero is kept.
"""

from __future__ import annotations

import re
from struct import pack, unpack
from typing import TYPE_CHECKING, Any, Final

from composer.schema.golang import ShellWordsError, go_text, shell_words
from composer.schema.interpolate import to_bool, to_float, to_int
from composer.schema.tree import INVALID, Map, Seq
from composer.units import format_duration, parse_duration_ns, parse_size_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.errors import Mark
    from composer.schema.problems import Problems
    from composer.schema.tree import Path

    Kind = Callable[[Any, Path, Mark, "Decoder"], Any]


class _Omit:
    __slots__ = ()


OMIT: Final = _Omit()
_EXPONENT = re.compile(r"[0-9]+(?:\.[0-9]+)?[eE]\+?[0-9]{1,2}")


class Decoder:
    """What kinds need beside the value: where to report."""

    __slots__ = ("extensions", "problems", "warn_shell")

    def __init__(
        self, problems: Problems, warn_shell: Callable[[str, Path, Mark, Problems], None] | None
    ) -> None:
        self.problems = problems
        self.warn_shell = warn_shell
        self.extensions: dict[Path, Map] = {}
        """The ``x-…`` children of structs: JSON, and so the tree, has no place for them; YAML has."""


def _string(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    if value is None:
        return OMIT
    if isinstance(value, (Map, Seq)):
        raise ValueError("it must be a text")
    return go_text(value) or OMIT


def _published(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    if isinstance(value, float):
        raise ValueError(f"{go_text(value)} is not a port; in YAML 08 is not a whole number")
    return _string(value, path, mark, decoder)


def _int(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    if isinstance(value, str):
        value = to_int(value)
    if isinstance(value, float):
        value = int(value)
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"{value} does not fit into 64 bits")
    return value or OMIT


def _unsigned(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    number = _int(value, path, mark, decoder)
    if isinstance(number, int) and number < 0:
        raise ValueError(f"{number} is negative")
    return number


def _float(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """A float32, as Go has it: 0.333333333 becomes 0.33333334."""
    if isinstance(value, str):
        value = to_float(value)
    if isinstance(value, float):
        if value != value or abs(value) == float("inf"):
            raise ValueError(f"{go_text(value)} is not a finite number")
        value = float32(value)
        if value.is_integer() and abs(value) < 1e15:
            value = int(value)
    return value or OMIT


def float32(value: float) -> float:
    """Return the shortest decimal that is the same number in 32 bits."""
    try:
        exact = pack("f", value)
        value = unpack("f", exact)[0]
    except OverflowError:
        raise ValueError(f"{value} is too large") from None
    for digits in range(1, 9):
        short = float(f"{value:.{digits}g}")
        if pack("f", short) == exact:
            return short
    return float(f"{value:.9g}")


def _bool(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    if isinstance(value, str):
        value = to_bool(value)
    return bool(value) or OMIT


def _size(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    if isinstance(value, float):
        # Compose reads 1e3 as 0 here, which is nobody's wish
        value = int(value)
    if isinstance(value, str) and _EXPONENT.fullmatch(value):
        value = int(float(value))
    number = parse_size_bytes(value) if isinstance(value, str) else value
    return str(number) if number else OMIT


def _swap(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    return _size(value, path, mark, decoder)


def _duration(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    if value is None:
        return OMIT
    if not isinstance(value, str):
        raise ValueError(f"'{go_text(value)}' is not a duration: write a unit, such as {go_text(value)}s")
    return format_duration(parse_duration_ns(value))


def _duration_or_zero(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    text = _duration(value, path, mark, decoder)
    return OMIT if text == "0s" else text


def _any(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    return OMIT if value is None else sort_keys(value)


def sort_keys(value: Any) -> Any:
    """Return a tree whose mappings are sorted by key, as encoding/json prints Go's maps."""
    if isinstance(value, Map):
        new = Map()
        for key in sorted(value):
            new.take(key, value)
            new[key] = sort_keys(value[key])
        return new
    if isinstance(value, Seq):
        return Seq([sort_keys(item) for item in value], value.marks)
    return value


def _command(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """``null`` is unset; an empty list or text is kept: it clears what the image has."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            words = shell_words(value)
        except ShellWordsError as error:
            raise ValueError(f"cannot split '{value}' into words: {error}") from None
        if decoder.warn_shell is not None:
            decoder.warn_shell(value, path, mark, decoder.problems)
        return Seq(words, [mark] * len(words))
    return Seq([go_text(item) for item in value if item is not INVALID], value.marks)


def _test(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    if value is None:
        return OMIT
    if isinstance(value, str):
        return Seq(["CMD-SHELL", value], [mark, mark])
    return Seq([go_text(item) for item in value], value.marks) or OMIT


def _mode(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """A file mode: ``0440`` in YAML is a number already, ``"0440"`` is octal text."""
    if value is None:
        return OMIT
    if isinstance(value, str):
        try:
            value = int(value, 8)
        except ValueError:
            raise ValueError(f"'{value}' is not an octal file mode such as 0440") from None
    return f"0{int(value):o}" if value else "0"


def list_of(kind: Kind) -> Kind:
    """Return the kind of a list that is left out when it is empty."""

    def rule(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
        if value is None:
            return OMIT
        if not isinstance(value, Seq):
            value = Seq([value], [mark])
        new = Seq()
        for index, item in enumerate(value):
            if item is INVALID:
                continue
            at = value.mark(index)
            decoded = decode(kind, item, (*path, index), at, decoder)
            if decoded is not INVALID:
                new.add("" if decoded is OMIT and kind is _string else {} if decoded is OMIT else decoded, at)
        return new or OMIT

    return rule


def map_of(kind: Kind, *, null: Any = OMIT, keep: bool = False) -> Kind:
    """Return the kind of a mapping with sorted keys. ``null`` replaces values that are left out."""

    def rule(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
        if value is None:
            return OMIT
        if isinstance(value, Seq):
            value = from_pairs(value)
        new = Map()
        for key in sorted(value):
            if value[key] is INVALID:
                continue
            decoded = decode(kind, value[key], (*path, key), value.mark(key), decoder)
            if decoded is INVALID:
                continue
            new.take(key, value)
            new[key] = null if decoded is OMIT else decoded
        return new if new or keep else OMIT

    return rule


def from_pairs(items: Seq) -> Map:
    """Return ``K=V`` items as a mapping; ``K`` alone is None."""
    new = Map()
    for index, item in enumerate(items):
        if item is INVALID:
            continue
        key, equals, text = go_text(item).partition("=")
        new.put(key, text if equals else None, items.mark(index))
    return new


def _text_or_null(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    return None if value is None else go_text(value)


def _text_or_empty(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    return "" if value is None else go_text(value)


def _hosts(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """``extra_hosts`` → sorted ``host=address`` items."""
    pairs: list[tuple[str, str, Mark]] = []
    if isinstance(value, Map):
        for host, addresses in value.items():
            every = addresses if isinstance(addresses, Seq) else [addresses]
            pairs += [(host, "" if one is None else go_text(one), value.mark(host)) for one in every]
    else:
        for index, item in enumerate(value or ()):
            separator = "=" if "=" in item else ":"
            host, found, address = item.partition(separator)
            if not found or not host:
                raise ValueError(f"'{item}' is not a host and an address: write host=address")
            pairs.append((host, address, value.mark(index)))
    seq = Seq()
    for host, address, at in sorted(pairs, key=lambda pair: pair[0]):
        if address.startswith("[") and address.endswith("]"):
            address = address[1:-1]
        seq.add(f"{host}={address}", at)
    return seq or OMIT


def _ulimit(value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """One number for both limits, or a mapping. Go prints a limit of 0 as ``{}``: what is missing is 0."""
    if isinstance(value, Map):
        return _ULIMIT(value, path, mark, decoder)
    number = _int(value, path, mark, decoder)
    return Map() if number is OMIT else number


class Keep:
    """A field that Go holds behind a pointer: ``False`` and 0 are printed when they were written."""

    __slots__ = ("kind", "zero")

    def __init__(self, kind: Kind, zero: Any) -> None:
        self.kind = kind
        self.zero = zero

    def __call__(self, value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
        if value is None:
            return OMIT
        decoded = self.kind(value, path, mark, decoder)
        return self.zero if decoded is OMIT else decoded


class Struct:
    """A Go struct: its fields in their order. ``always`` fields are printed even when nothing set them."""

    __slots__ = ("always", "fields", "renamed")

    def __init__(
        self,
        fields: dict[str, Kind],
        *,
        always: dict[str, Any] | None = None,
        renamed: dict[str, str] | None = None,
    ) -> None:
        self.fields = fields
        self.always = always or {}
        self.renamed = renamed or {}

    def __call__(self, value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
        if value is None:
            return OMIT
        if not isinstance(value, Map):
            raise ValueError("it must be a mapping")
        new = Map()
        for key, kind in self.fields.items():
            if key in value:
                item = value[key]
                if item is INVALID:
                    continue
                decoded = decode(kind, item, (*path, key), value.mark(key), decoder)
                if decoded is not OMIT and decoded is not INVALID:
                    name = self.renamed.get(key, key)
                    new.take(key, value, under=name)
                    new[name] = decoded
                    continue
            if key in self.always:
                new[self.renamed.get(key, key)] = self.always[key]
        if any(key.startswith("x-") for key in value):
            extra = Map()
            for key in sorted(value):
                if key.startswith("x-") and value[key] is not INVALID:
                    extra.take(key, value)
                    extra[key] = sort_keys(value[key])
            decoder.extensions[path] = extra
        return new


def decode(kind: Kind, value: Any, path: Path, mark: Mark, decoder: Decoder) -> Any:
    """Return the canonical form of a value; INVALID when it has none, which is reported."""
    try:
        return kind(value, path, mark, decoder)
    except (ValueError, OverflowError) as error:
        decoder.problems.error(f"{_subject(path)}: {error}", mark, path)
        return INVALID


def _subject(path: Path) -> str:
    names = [str(part) for part in path if isinstance(part, str)]
    return f"'{names[-1]}'" if names else "value"


_STRINGS = list_of(_string)
_LABELS = map_of(_text_or_empty)
_OPTIONS = map_of(_text_or_empty)
_OPT_BOOL = Keep(_bool, False)
_OPT_INT = Keep(_int, 0)
_OPT_UNSIGNED = Keep(_unsigned, 0)

_ULIMIT = Struct({"single": _int, "soft": _int, "hard": _int})

_FILE_MOUNT = Struct({"source": _string, "target": _string, "uid": _string, "gid": _string, "mode": _mode})

_HOOK = Struct(
    {
        "command": _command,
        "user": _string,
        "privileged": _bool,
        "working_dir": _string,
        "environment": map_of(_text_or_null),
    },
    always={"command": None},
)

_PRE_START = Struct(
    {
        "command": _command,
        "image": _string,
        "user": _string,
        "privileged": _bool,
        "working_dir": _string,
        "environment": map_of(_text_or_null),
        "per_replica": _bool,
    },
    always={"command": None},
)

_DEVICE_REQUEST = Struct(
    {
        "capabilities": _STRINGS,
        "driver": _string,
        "count": lambda value, path, mark, decoder: (
            -1 if value == "all" else _int(value, path, mark, decoder)
        ),
        "device_ids": _STRINGS,
        "options": _LABELS,
    }
)

BUILD = Struct(
    {
        "context": _string,
        "dockerfile": _string,
        "dockerfile_inline": _string,
        "entitlements": _STRINGS,
        "args": map_of(_text_or_null),
        "provenance": _string,
        "sbom": _string,
        "ssh": lambda value, path, mark, decoder: _ssh(value, path, mark, decoder),
        "labels": _LABELS,
        "cache_from": _STRINGS,
        "cache_to": _STRINGS,
        "no_cache": _bool,
        "no_cache_filter": _STRINGS,
        "additional_contexts": _OPTIONS,
        "pull": _bool,
        "extra_hosts": _hosts,
        "isolation": _string,
        "network": _string,
        "target": _string,
        "secrets": list_of(_FILE_MOUNT),
        "shm_size": _size,
        "tags": _STRINGS,
        "ulimits": map_of(_ulimit),
        "platforms": _STRINGS,
        "privileged": _bool,
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


_RATE = Struct({"path": _string, "rate": _size}, renamed={"path": "Path", "rate": "Rate"})
_WEIGHT = Struct({"path": _string, "weight": _int}, renamed={"path": "Path", "weight": "Weight"})

_UPDATE = Struct(
    {
        "parallelism": _OPT_UNSIGNED,
        "delay": _duration_or_zero,
        "failure_action": _string,
        "monitor": _duration_or_zero,
        "max_failure_ratio": _float,
        "order": _string,
    }
)

_LIMIT = {
    "cpus": _float,
    "memory": _size,
    "pids": _int,
    "devices": list_of(_DEVICE_REQUEST),
    "generic_resources": list_of(
        Struct({"discrete_resource_spec": Struct({"kind": _string, "value": _int}, always={"value": 0})})
    ),
}

_DEPLOY = Struct(
    {
        "mode": _string,
        "replicas": _OPT_INT,
        "labels": _LABELS,
        "update_config": _UPDATE,
        "rollback_config": _UPDATE,
        "resources": Struct({"limits": Struct(_LIMIT), "reservations": Struct(_LIMIT)}),
        "restart_policy": Struct(
            {"condition": _string, "delay": _duration, "max_attempts": _OPT_UNSIGNED, "window": _duration}
        ),
        "placement": Struct(
            {
                "constraints": _STRINGS,
                "preferences": list_of(Struct({"spread": _string})),
                "max_replicas_per_node": _unsigned,
            }
        ),
        "endpoint_mode": _string,
    },
    always={"resources": Map(), "placement": Map()},
)

_VOLUME = Struct(
    {
        "type": _string,
        "source": _string,
        "target": _string,
        "read_only": _bool,
        "consistency": _string,
        "bind": Struct(
            {"selinux": _string, "propagation": _string, "create_host_path": _bool, "recursive": _string}
        ),
        "volume": Struct({"labels": _LABELS, "nocopy": _bool, "subpath": _string}),
        "tmpfs": Struct({"size": _size, "mode": _unsigned}),
        "image": Struct({"subpath": _string}),
    }
)

_ENDPOINT = Struct(
    {
        "aliases": _STRINGS,
        "driver_opts": _OPTIONS,
        "gw_priority": _int,
        "interface_name": _string,
        "ipv4_address": _string,
        "ipv6_address": _string,
        "link_local_ips": _STRINGS,
        "mac_address": _string,
        "priority": _int,
        "use_service_name_alias": _OPT_BOOL,
    }
)

_HEALTHCHECK = Struct(
    {
        "test": _test,
        "timeout": _duration,
        "interval": _duration,
        "retries": _OPT_UNSIGNED,
        "start_period": _duration,
        "start_interval": _duration,
        "disable": _bool,
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
                            "path": _string,
                            "action": _string,
                            "target": _string,
                            "exec": _HOOK,
                            "include": _STRINGS,
                            "ignore": _STRINGS,
                            "initial_sync": _bool,
                        },
                        always={"exec": Map({"command": None})},
                    )
                )
            }
        ),
        "blkio_config": Struct(
            {
                "weight": _unsigned,
                "weight_device": list_of(_WEIGHT),
                "device_read_bps": list_of(_RATE),
                "device_read_iops": list_of(_RATE),
                "device_write_bps": list_of(_RATE),
                "device_write_iops": list_of(_RATE),
            }
        ),
        "cap_add": _STRINGS,
        "cap_drop": _STRINGS,
        "cgroup_parent": _string,
        "cgroup": _string,
        "cpu_count": _int,
        "cpu_percent": _float,
        "cpu_period": _int,
        "cpu_quota": _int,
        "cpu_rt_period": _int,
        "cpu_rt_runtime": _int,
        "cpus": _float,
        "cpuset": _string,
        "cpu_shares": _int,
        "command": _command,
        "configs": list_of(_FILE_MOUNT),
        "container_name": _string,
        "credential_spec": Struct({"config": _string, "file": _string, "registry": _string}),
        "depends_on": map_of(
            Struct({"condition": _string, "restart": _bool, "required": _bool}, always={"required": False})
        ),
        "deploy": _DEPLOY,
        "device_cgroup_rules": _STRINGS,
        "devices": list_of(Struct({"source": _string, "target": _string, "permissions": _string})),
        "dns": _STRINGS,
        "dns_opt": _STRINGS,
        "dns_search": _STRINGS,
        "domainname": _string,
        "entrypoint": _command,
        "provider": Struct({"type": _string, "options": map_of(_STRINGS)}),
        "environment": map_of(_text_or_null),
        "env_file": list_of(
            Struct({"path": _string, "required": _bool, "format": _string}, always={"required": False})
        ),
        "expose": _STRINGS,
        "extends": Struct({"file": _string, "service": _string}),
        "external_links": _STRINGS,
        "extra_hosts": _hosts,
        "group_add": _STRINGS,
        "gpus": list_of(_DEVICE_REQUEST),
        "hostname": _string,
        "healthcheck": _HEALTHCHECK,
        "image": _string,
        "init": _OPT_BOOL,
        "ipc": _string,
        "isolation": _string,
        "labels": _LABELS,
        "label_file": _STRINGS,
        "links": _STRINGS,
        "logging": Struct({"driver": _string, "options": _OPTIONS}),
        "mem_limit": _size,
        "mem_reservation": _size,
        "memswap_limit": _size,
        "mem_swappiness": _size,
        "mac_address": _string,
        "models": map_of(Struct({"endpoint_var": _string, "model_var": _string}), null=None),
        "network_mode": _string,
        "networks": map_of(_ENDPOINT, null=None),
        "oom_kill_disable": _bool,
        "oom_score_adj": _int,
        "pid": _string,
        "pids_limit": _int,
        "platform": _string,
        "ports": list_of(
            Struct(
                {
                    "name": _string,
                    "mode": _string,
                    "host_ip": _string,
                    "target": _unsigned,
                    "published": _published,
                    "protocol": _string,
                    "app_protocol": _string,
                }
            )
        ),
        "privileged": _bool,
        "pull_policy": _string,
        "read_only": _bool,
        "restart": _string,
        "runtime": _string,
        "scale": _OPT_INT,
        "secrets": list_of(_FILE_MOUNT),
        "security_opt": _STRINGS,
        "shm_size": _size,
        "stdin_open": _bool,
        "stop_grace_period": _duration,
        "stop_signal": _string,
        "storage_opt": _OPTIONS,
        "sysctls": _LABELS,
        "tmpfs": _STRINGS,
        "tty": _bool,
        "ulimits": map_of(_ulimit),
        "umask": _string,
        "use_api_socket": _bool,
        "user": _string,
        "userns_mode": _string,
        "uts": _string,
        "volumes": list_of(_VOLUME),
        "volumes_from": _STRINGS,
        "working_dir": _string,
        "pre_start": list_of(_PRE_START),
        "post_start": list_of(_HOOK),
        "pre_stop": list_of(_HOOK),
    },
    always={"command": None, "entrypoint": None},
)

NETWORK = Struct(
    {
        "name": _string,
        "driver": _string,
        "driver_opts": _OPTIONS,
        "ipam": Struct(
            {
                "driver": _string,
                "config": list_of(
                    Struct(
                        {
                            "subnet": _string,
                            "gateway": _string,
                            "ip_range": _string,
                            "aux_addresses": _OPTIONS,
                        }
                    )
                ),
            }
        ),
        "external": _bool,
        "internal": _bool,
        "attachable": _bool,
        "labels": _LABELS,
        "enable_ipv4": _OPT_BOOL,
        "enable_ipv6": _OPT_BOOL,
    },
    always={"ipam": Map()},
)

VOLUME = Struct(
    {"name": _string, "driver": _string, "driver_opts": _OPTIONS, "external": _bool, "labels": _LABELS}
)

_FILE_OBJECT: dict[str, Kind] = {
    "name": _string,
    "file": _string,
    "environment": _string,
    "content": _string,
    "external": _bool,
    "labels": _LABELS,
    "driver": _string,
    "driver_opts": _OPTIONS,
    "template_driver": _string,
}

SECRET = CONFIG = Struct(_FILE_OBJECT)

MODEL = Struct({"name": _string, "model": _string, "context_size": _int, "runtime_flags": _STRINGS})

SECTIONS: dict[str, Kind] = {
    "configs": map_of(CONFIG),
    "models": map_of(MODEL),
    "networks": map_of(NETWORK),
    "secrets": map_of(SECRET),
    "services": map_of(SERVICE, keep=True),
    "volumes": map_of(VOLUME),
}
