"""docs/attributes.md is what the backends' tables say; ``python -m tests.unit.test_attributes_table`` writes it."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from composer import clusters
from composer.backends.docker import translate as docker
from composer.backends.namespace import translate as namespace

ROOT = pathlib.Path(docker.__file__).parents[3]
PAGE = ROOT / "docs/attributes.md"
SCHEMA = ROOT / "composer/schema/compose-spec.json"

IN_PART = {
    "build": "no: composer image import or load, under the service's image name",
    "cgroup": "yes: host, private",
    "cpu_count": "warned of: only containers of Windows have it",
    "cpu_percent": "warned of: only containers of Windows have it",
    "cgroup_parent": "yes",
    "deploy": "yes, but no mode other than replicated; devices as in gpus; what only a cluster does is warned of",
    "devices": "yes; by name where a specification in /etc/cdi or /var/run/cdi describes them",
    "gpus": "those that a specification in /etc/cdi or /var/run/cdi describes",
    "ipc": "yes: private, shareable, host, none, service:NAME, container:NAME",
    "isolation": "only default",
    "logging": "json-file, local, syslog, none, and journald where it runs; max-size and max-file",
    "pid": "yes: host, service:NAME, container:NAME",
    "platform": "only that of the machine",
    "runtime": "only runc, which stands for the built-in one",
    "security_opt": "yes; apparmor and label only where they have no effect",
    "userns_mode": "only host, which is so anyway",
    "uts": "yes: host",
}
"""What the built-in runtime does of an attribute that is honoured for some values only."""

NEITHER = {
    "develop": "no effect: composer has no watch",
    "provider": "no: services of a provider are not run yet",
}
"""What stands in the model and that the engine does not carry out, on whatever backend."""

YES = ("yes", "yes")
ENGINE = ("engine", "engine")
NO_EFFECT = ("no effect: only Swarm knows it", "no effect: only Swarm knows it")

PARTS: dict[str, dict[str, tuple[str, str]]] = {
    "network": {
        "name": ENGINE,
        "driver": ("bridge", "those of the engine"),
        "driver_opts": (
            "Docker's of its bridge: name, mtu, enable_icc, enable_ip_masquerade, host_binding_ipv4 and 6; what else "
            "Docker's bridge can do is refused by name",
            "yes",
        ),
        "ipam": YES,
        "ipam.driver": ("default", "those of the engine"),
        "ipam.config": YES,
        "ipam.config.subnet": YES,
        "ipam.config.ip_range": YES,
        "ipam.config.gateway": YES,
        "ipam.config.aux_addresses": YES,
        "ipam.options": ("no effect: its driver has none", "yes"),
        "external": ENGINE,
        "internal": YES,
        "enable_ipv4": ("yes", "yes, where its API is new enough"),
        "enable_ipv6": YES,
        "attachable": NO_EFFECT,
        "labels": YES,
    },
    "volume": {
        "name": ENGINE,
        "driver": ("local", "those of the engine"),
        "driver_opts": ("type, device and o, as Docker's local driver has them; size is refused", "yes"),
        "external": ENGINE,
        "labels": YES,
    },
    "config": {
        "name": ENGINE,
        "content": ENGINE,
        "environment": ENGINE,
        "file": ENGINE,
        "external": ("refused: there is no store of configs", "refused: there is no store of configs"),
        "labels": NO_EFFECT,
        "template_driver": NO_EFFECT,
    },
    "secret": {
        "name": ENGINE,
        "environment": ENGINE,
        "file": ENGINE,
        "external": ("refused: there is no store of secrets", "refused: there is no store of secrets"),
        "labels": NO_EFFECT,
        "driver": NO_EFFECT,
        "driver_opts": NO_EFFECT,
        "template_driver": NO_EFFECT,
    },
    "port": {
        "name": ("no effect", "no effect"),
        "mode": NO_EFFECT,
        "host_ip": YES,
        "target": YES,
        "published": YES,
        "protocol": ("tcp, udp", "yes"),
        "app_protocol": ("no effect", "no effect"),
    },
    "volume_mount": {
        "type": ("bind, volume, tmpfs, image", "those of the engine"),
        "source": YES,
        "target": YES,
        "read_only": YES,
        "consistency": ("no effect, as on Linux everywhere", "yes"),
        "bind": YES,
        "bind.propagation": ("yes; shared ones where the host shares the mount", "yes"),
        "bind.create_host_path": YES,
        "bind.recursive": YES,
        "bind.selinux": ("no effect; refused where SELinux is on", "yes"),
        "volume": YES,
        "volume.labels": YES,
        "volume.nocopy": YES,
        "volume.subpath": YES,
        "tmpfs": YES,
        "tmpfs.size": YES,
        "tmpfs.mode": YES,
        "image": YES,
        "image.subpath": YES,
    },
    "healthcheck": {
        "disable": YES,
        "interval": ("yes, ten times a second at most", "yes"),
        "test": YES,
        "timeout": YES,
        "retries": YES,
        "start_period": YES,
        "start_interval": ("yes, ten times a second at most", "yes, where its API is new enough"),
    },
}
"""The attributes of resources and of a service's parts: what each backend does with them."""

TITLES = {
    "network": "Networks",
    "volume": "Volumes",
    "config": "Configs",
    "secret": "Secrets",
    "port": "Ports of a service",
    "volume_mount": "Volumes of a service, in their long form",
    "healthcheck": "Health checks",
}

HEAD = """# Attributes, on each backend

"yes" is honoured; "no" stops `up` with the file and line, the reason and the remedy, before anything is
created; nothing is ignored in silence. "engine" is not the backend's: the engine or the loader does it, or it
arrives as a name, a mount, an endpoint or a file. This page is made from the backends' tables (`translate.py` of
each), which a test compares with the schema.

## Services

| attribute | built-in runtime | Docker Engine |
| --- | --- | --- |
"""


DEPLOY = """
## What `deploy` asks of a cluster

On both backends a warning with file and line; the rest of `deploy` is honoured.

| attribute | why it has no effect |
| --- | --- |
"""


def _attributes() -> list[str]:
    return sorted(json.loads(SCHEMA.read_text())["$defs"]["service"]["properties"])


def _namespace(name: str) -> str:
    if name in namespace.REFUSED:
        return f"no: {namespace.REFUSED[name][0]}"
    return NEITHER.get(name, "engine") if name in namespace.ELSEWHERE else IN_PART.get(name, "yes")


def _docker(name: str) -> str:
    if name in docker.REFUSED:
        return f"no: {docker.REFUSED[name][0]}"
    if name in docker.ELSEWHERE:
        return NEITHER.get(name, "engine")
    return "yes, where its API is new enough" if name in docker.PROBES else "yes"


def page() -> str:
    rows = "".join(f"| `{name}` | {_namespace(name)} | {_docker(name)} |\n" for name in _attributes())
    parts = "".join(_part(title, PARTS[kind]) for kind, title in TITLES.items())
    return HEAD + rows + DEPLOY + _unheeded() + parts


def _unheeded() -> str:
    return "".join(f"| `{'.'.join(path)}` | {reason} |\n" for path, reason in clusters.UNHEEDED.items())


def _part(title: str, rows: dict[str, tuple[str, str]]) -> str:
    table = "".join(f"| `{name}` | {ours} | {theirs} |\n" for name, (ours, theirs) in rows.items())
    return f"\n## {title}\n\n| attribute | built-in runtime | Docker Engine |\n| --- | --- | --- |\n{table}"


def _names(definition: dict[str, Any], prefix: str = "") -> set[str]:
    """Return the attributes of a definition, those inside of others with a dot."""
    found = set()
    for name, inner in definition.get("properties", {}).items():
        found |= {f"{prefix}{name}", *_names(inner, f"{prefix}{name}.")}
        found |= _names(inner.get("items", {}), f"{prefix}{name}.")
    return found


def test_every_attribute_of_resources_and_parts_has_its_row() -> None:
    definitions = json.loads(SCHEMA.read_text())["$defs"]
    assert {kind: set(rows) for kind, rows in PARTS.items()} == {
        kind: _names(definitions[kind]) for kind in PARTS
    }
    assert PARTS.keys() == TITLES.keys()


def test_the_page_is_what_the_tables_say() -> None:
    assert PAGE.read_text() == page()


def test_the_built_in_runtime_knows_every_attribute_of_the_schema_once() -> None:
    tables = (namespace.ATTRIBUTES.keys(), namespace.REFUSED.keys(), namespace.ELSEWHERE)
    assert set(_attributes()) | {"extends"} == set().union(*tables)
    assert sum(map(len, tables)) == len(set().union(*tables))


def test_whatever_is_honoured_in_part_says_which_part() -> None:
    checked = {name for name, (_, probe) in namespace.ATTRIBUTES.items() if probe is not None}
    assert checked == IN_PART.keys()


def test_what_is_refused_is_refused_with_its_reason() -> None:
    for name, (reason, hint) in namespace.REFUSED.items():
        (found,) = namespace.limitations({name: {"something": True}})
        assert (found.path, found.reason, found.hint, found.fatal) == ((name,), reason, hint, True)


if __name__ == "__main__":
    PAGE.write_text(page())
