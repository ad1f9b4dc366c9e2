"""No attribute of the schema is dropped in silence, nested ones included: whatever is written shows somewhere.

Each leaf of the schema is named here once: with a sample, whose presence must change what a backend is asked to make or
must be warned of or refused by its path; or with the part of the engine that carries it out. A leaf that the schema
gets and that nobody names fails.
"""

from __future__ import annotations

import copy
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from composer import attributes
from composer.backends.docker import attributes as docker_attributes
from composer.backends.docker import creation
from composer.backends.docker import translate as docker
from composer.backends.namespace import attributes as namespace_attributes
from composer.backends.namespace import networkoptions, resources
from composer.backends.namespace import translate as namespace
from composer.engine.wanted import EndpointSpec, Limitation, NetworkSpec, VolumeSpec
from composer.runtime.container import defaults
from composer.runtime.host import devices

SCHEMA = json.loads((pathlib.Path(docker.__file__).parents[2] / "schema/compose-spec.json").read_text())
NEWEST = (1, 99)
Path = tuple[str, ...]
COLUMNS = (docker_attributes.COLUMN, namespace_attributes.COLUMN)


def leaves(definition: dict[str, Any], path: Path = ()) -> Iterator[Path]:
    """Yield the paths to what has nothing inside; ``*`` is any key and ``#`` any entry of a list."""
    while "$ref" in definition:
        definition = SCHEMA["$defs"][definition["$ref"].rpartition("/")[2]]
    inner = [
        *((path, one) for key in ("oneOf", "anyOf", "allOf") for one in definition.get(key, ())),
        *(((*path, name), one) for name, one in definition.get("properties", {}).items()),
        *(
            ((*path, "*"), one)
            for name, one in definition.get("patternProperties", {}).items()
            if not name.startswith("^x-")
        ),
    ]
    if isinstance(definition.get("additionalProperties"), dict):
        inner.append(((*path, "*"), definition["additionalProperties"]))
    if isinstance(definition.get("items"), dict):
        inner.append(((*path, "#"), definition["items"]))
    for below, one in inner:
        yield from leaves(one, below)
    if not inner:
        yield path


def nested(kind: str, name: str) -> set[str]:
    """Return the leaves of an attribute, as texts, without those that are a short form of others."""
    definition = SCHEMA["$defs"][kind]["properties"][name]
    found = {".".join(path) for path in leaves(definition)}
    return {one for one in found if not any(other.startswith(f"{one}.") for other in found) and one}


DEVICE: dict[str, Any] = {"capabilities": ["gpu"]}
REQUEST: dict[str, dict[str, Any]] = {
    "capabilities.#": {"capabilities": ["tpu"]},
    "count": {"count": 2},
    "device_ids.#": {"device_ids": ["3"]},
    "driver": {"driver": "cdi", "device_ids": ["nvidia.com/gpu=1"]},
    "options.*": {"options": {"a": "b"}},
    "options.#": {"options": {"a": "b"}},
}
"""Each leaf of a request for devices, which gpus and deploy share."""

SAMPLES: dict[str, dict[str, tuple[Any, Any]]] = {
    "blkio_config": {
        **{
            f"{kind}.#.{part}": ({kind: [{"path": "/dev/null", "rate": 7}]}, {kind: [changed]})
            for kind in ("device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops")
            for part, changed in (
                ("path", {"path": "/dev/zero0", "rate": 7}),
                ("rate", {"path": "/dev/null", "rate": 9}),
            )
        },
        "weight": ({}, {"weight": 300}),
        "weight_device.#.path": (
            {"weight_device": [{"path": "/dev/null", "weight": 5}]},
            {"weight_device": [{"path": "/dev/zero0", "weight": 5}]},
        ),
        "weight_device.#.weight": (
            {"weight_device": [{"path": "/dev/null", "weight": 5}]},
            {"weight_device": [{"path": "/dev/null", "weight": 7}]},
        ),
    },
    "deploy": {
        "endpoint_mode": ({}, {"endpoint_mode": "dnsrr"}),
        "labels.*": ({}, {"labels": {"a": "b"}}),
        "labels.#": ({}, {"labels": {"a": "b"}}),
        "mode": ({}, {"mode": "sometimes"}),
        "placement.constraints.#": ({}, {"placement": {"constraints": ["node.role==manager"]}}),
        "placement.max_replicas_per_node": ({}, {"placement": {"max_replicas_per_node": 2}}),
        "placement.preferences.#.spread": ({}, {"placement": {"preferences": [{"spread": "zone"}]}}),
        "resources.limits.cpus": ({}, {"resources": {"limits": {"cpus": 0.5}}}),
        "resources.limits.memory": ({}, {"resources": {"limits": {"memory": "67108864"}}}),
        "resources.limits.pids": ({}, {"resources": {"limits": {"pids": 9}}}),
        "resources.reservations.cpus": ({}, {"resources": {"reservations": {"cpus": 0.5}}}),
        "resources.reservations.memory": ({}, {"resources": {"reservations": {"memory": "67108864"}}}),
        **{
            f"resources.reservations.devices.#.{leaf}": (
                {"resources": {"reservations": {"devices": [DEVICE]}}},
                {"resources": {"reservations": {"devices": [{**DEVICE, **more}]}}},
            )
            for leaf, more in REQUEST.items()
        },
        **{
            f"resources.reservations.generic_resources.#.discrete_resource_spec.{part}": (
                {},
                {"resources": {"reservations": {"generic_resources": [{"discrete_resource_spec": {}}]}}},
            )
            for part in ("kind", "value")
        },
        "restart_policy.condition": (
            {"restart_policy": {"condition": "any"}},
            {"restart_policy": {"condition": "none"}},
        ),
        "restart_policy.delay": (
            {"restart_policy": {"condition": "any"}},
            {"restart_policy": {"condition": "any", "delay": "5s"}},
        ),
        "restart_policy.max_attempts": (
            {"restart_policy": {"condition": "on-failure"}},
            {"restart_policy": {"condition": "on-failure", "max_attempts": 3}},
        ),
        "restart_policy.window": (
            {"restart_policy": {"condition": "any"}},
            {"restart_policy": {"condition": "any", "window": "1m0s"}},
        ),
    },
    "gpus": {f"#.{leaf}": ([DEVICE], [{**DEVICE, **more}]) for leaf, more in REQUEST.items()},
    "healthcheck": {
        "disable": ({"test": ["CMD", "true"]}, {"test": ["CMD", "true"], "disable": True}),
        "test.#": ({}, {"test": ["CMD", "true"]}),
        **{
            leaf: ({"test": ["CMD", "true"]}, {"test": ["CMD", "true"], leaf: value})
            for leaf, value in {
                "interval": "7s",
                "retries": 7,
                "start_interval": "7s",
                "start_period": "7s",
                "timeout": "7s",
            }.items()
        },
    },
    "logging": {
        "driver": ({"driver": "json-file"}, {"driver": "none"}),
        "options.*": ({"driver": "json-file"}, {"driver": "json-file", "options": {"max-size": "1m"}}),
    },
    "networks": {
        leaf: ({"n": {}}, {"n": {key: value}})
        for leaf, (key, value) in {
            "*.driver_opts.*": (
                "driver_opts",
                {"com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.forwarding=1"},
            ),
            "*.gw_priority": ("gw_priority", 3),
            "*.interface_name": ("interface_name", "lan"),
            "*.ipv4_address": ("ipv4_address", "10.0.0.9"),
            "*.ipv6_address": ("ipv6_address", "fd00::9"),
            "*.link_local_ips.#": ("link_local_ips", ["169.254.7.7"]),
            "*.mac_address": ("mac_address", "02:42:ac:11:65:43"),
        }.items()
    },
    "ulimits": {
        "*.hard": ({"nofile": {"soft": 7, "hard": 7}}, {"nofile": {"soft": 7, "hard": 9}}),
        "*.soft": ({"nofile": {"soft": 7, "hard": 9}}, {"nofile": {"soft": 8, "hard": 9}}),
    },
}
"""For each leaf what is written without it, and with it; nothing else may differ."""


@pytest.fixture(autouse=True)
def described(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a machine with four GPUs and disks wherever one looks, so that they are not all refused."""
    monkeypatch.setattr(resources, "_numbers", lambda path: {"major": len(path), "minor": 0})
    gpus = [
        {"name": name, "containerEdits": {"env": [f"GPU={name}"]}} for name in ("0", "1", "2", "3", "all")
    ]
    (tmp_path / "gpus.json").write_text(
        json.dumps({"cdiVersion": "0.6.0", "kind": "nvidia.com/gpu", "devices": gpus})
    )
    monkeypatch.setattr(devices, "DIRECTORIES", (str(tmp_path),))


def written(name: str, value: Any) -> dict[str, Any]:
    return {name: copy.deepcopy(value)}


def in_docker(given: dict[str, Any]) -> tuple[Any, list[Limitation]]:
    """Return what Docker Engine is asked for, and what it would not honour."""
    endpoints = [
        creation.endpoint_settings(EndpointSpec(name, (), endpoint or {}), NEWEST)
        for name, endpoint in (given.get("networks") or {}).items()
    ]
    return [docker.body_of(given, "web"), endpoints], docker.limitations(given, NEWEST)


def in_namespaces(given: dict[str, Any]) -> tuple[Any, list[Limitation]]:
    """Return what the built-in runtime is asked for, and what it would not honour."""
    config = defaults.configuration({})
    limitations = namespace.limitations(given)
    for name, value in given.items():
        if name in namespace.ATTRIBUTES and not any(one.fatal for one in limitations):
            namespace.ATTRIBUTES[name].apply(config, value)
    joined = [
        networkoptions.endpoint_of(EndpointSpec(name, (), endpoint or {}))
        for name, endpoint in (given.get("networks") or {}).items()
    ]
    return [config, joined], limitations


SHOWN = {"docker": in_docker, "namespace": in_namespaces}


ELSEWHERE = {
    "annotations": "any key",
    "build": "a builder is given it: test_build_requests, test_builds",
    "devices": "test_attributes of the built-in runtime, and of the Docker backend",
    "configs": "files of a container: test_resolve; what Docker Engine makes of an owner: test_attributes",
    "environment": "any key",
    "extra_hosts": "lines of a file: test_attributes",
    "labels": "any key",
    "pre_start": "a container of its own, with what its service's has: test_jobs",
    "ports": "test_attributes of both",
    "secrets": "as configs",
    "storage_opt": "any key",
    "sysctls": "any key",
    "volumes": "mounts: test_attributes and test_volumes of both",
}
"""Attributes with something inside that are not looked at here, leaf by leaf, and who does instead."""


def of_backends(name: str) -> set[str]:
    """Return the leaves of an attribute that some backend must do something about, if only warn.

    The others are the engine's, refused as a whole, or for other tools, everywhere.
    """
    found = set()
    for leaf in nested("service", name):
        path = ".".join(["service", name, *(part for part in leaf.split(".") if part != "#")]).removesuffix(
            ".*"
        )
        verdicts = [attributes.verdict(column, path) for column in COLUMNS]
        assert None not in verdicts
        texts = [one.text for one in verdicts if one is not None]
        if not all(text == "composer" or text.startswith(("no: ", "no effect")) for text in texts):
            found.add(leaf)
    return found


def test_every_attribute_with_something_inside_is_looked_at_somewhere() -> None:
    inside = {
        name
        for name in SCHEMA["$defs"]["service"]["properties"]
        if any("." in one or "*" in one for one in of_backends(name))
    }
    assert inside <= SAMPLES.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("name", SAMPLES)
def test_every_leaf_that_a_backend_must_honour_is_named(name: str) -> None:
    assert of_backends(name) <= SAMPLES[name].keys()
    assert SAMPLES[name].keys() <= nested("service", name)


@pytest.mark.parametrize("backend", SHOWN)
@pytest.mark.parametrize(
    ("name", "leaf"), [(name, leaf) for name, samples in SAMPLES.items() for leaf in samples]
)
def test_what_is_written_shows(name: str, leaf: str, backend: str) -> None:
    without, with_it = SAMPLES[name][leaf]
    before = SHOWN[backend](written(name, without))
    after = SHOWN[backend](written(name, with_it))
    assert before != after, f"{name}.{leaf} is dropped in silence"


@pytest.mark.parametrize("backend", SHOWN)
@pytest.mark.parametrize("path", attributes.UNHEEDED, ids=".".join)
def test_what_nobody_heeds_is_a_warning_that_names_it(path: Path, backend: str) -> None:
    value: Any = ["a"] if path[-1] in ("constraints", "preferences", "generic_resources") else "5"
    for name in reversed(path):
        value = {name: value}
    (found,) = SHOWN[backend]({"deploy": value})[1]
    assert found.path == ("deploy", *path)
    assert not found.fatal


# ------------------------------------------------------------------ networks and volumes of a project

NETWORK: dict[str, tuple[Any, Any]] = {
    "driver": ({}, {"driver": "macvlan"}),
    "driver_opts.*": ({}, {"driver_opts": {"com.docker.network.driver.mtu": "1400"}}),
    "enable_ipv4": ({}, {"enable_ipv4": False}),
    "enable_ipv6": ({}, {"enable_ipv6": True}),
    "internal": ({}, {"internal": True}),
    "attachable": ({}, {"attachable": True}),
    "ipam.driver": ({"ipam": {"driver": "default"}}, {"ipam": {"driver": "somebody"}}),
    "ipam.options.*": ({"ipam": {"driver": "a"}}, {"ipam": {"driver": "a", "options": {"a": "b"}}}),
    **{
        f"ipam.config.#.{leaf}": (
            {"ipam": {"config": [{"subnet": "10.0.0.0/24"}]}},
            {"ipam": {"config": [{"subnet": "10.0.0.0/24", key: value}]}},
        )
        for leaf, (key, value) in {
            "subnet": ("subnet", "10.0.1.0/24"),
            "ip_range": ("ip_range", "10.0.0.128/25"),
            "gateway": ("gateway", "10.0.0.9"),
            "aux_addresses.*": ("aux_addresses", {"host": "10.0.0.7"}),
        }.items()
    },
}
NETWORK_OF_ENGINE = ("name", "external", "external.name", "labels.*", "labels.#")
VOLUME: dict[str, tuple[Any, Any]] = {
    "driver": ({}, {"driver": "somebody"}),
    "driver_opts.*": ({}, {"driver_opts": {"type": "nfs"}}),
}
VOLUME_OF_ENGINE = ("name", "external", "external.name", "labels.*", "labels.#")


def of_definition(name: str) -> set[str]:
    found = {".".join(path) for path in leaves(SCHEMA["$defs"][name])}
    return {one for one in found if not any(other.startswith(f"{one}.") for other in found) and one}


def test_every_leaf_of_networks_and_volumes_is_named() -> None:
    assert of_definition("network") <= {*NETWORK, *NETWORK_OF_ENGINE}
    assert of_definition("volume") <= {*VOLUME, *VOLUME_OF_ENGINE}
    assert NETWORK.keys() <= of_definition("network")
    assert VOLUME.keys() <= of_definition("volume")


@pytest.mark.parametrize("leaf", NETWORK)
def test_what_is_written_of_a_network_reaches_the_engine(leaf: str) -> None:
    before, after = (creation.network(NetworkSpec("n", {}, one), NEWEST) for one in NETWORK[leaf])
    assert before != after


@pytest.mark.parametrize("leaf", VOLUME)
def test_what_is_written_of_a_volume_reaches_the_engine(leaf: str) -> None:
    before, after = (creation.volume(VolumeSpec("v", {}, one)) for one in VOLUME[leaf])
    assert before != after
