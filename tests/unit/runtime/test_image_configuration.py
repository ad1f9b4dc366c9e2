"""Image configurations of others: which are refused, by the name of the field, and what readers make of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from composer.errors import ImageError
from composer.runtime.images import configuration, manifests

GOOD: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2026-01-02T03:04:05.123456789Z",
    "author": "",
    "config": {
        "Env": ["PATH=/bin", "EMPTY=", "ALONE"],
        "Cmd": ["sh"],
        "Entrypoint": None,
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "9000": {}, "7000-7002/TCP": {}},
        "Volumes": {"/data": {}},
        "Labels": {"a": "b"},
        "User": "1000:1000",
        "WorkingDir": "/app",
        "StopSignal": "SIGRTMIN+3",
        "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 30000000000, "Retries": 3},
        "OnBuild": None,
        "ArgsEscaped": True,
        "Unknown": [1, {"a": 2}],
    },
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "a" * 64]},
    "history": [{"created": "2026-01-02T03:04:05+01:00", "created_by": "RUN", "empty_layer": True}, {}],
    "container_config": {},
}


def changed(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    whole = json.loads(json.dumps(GOOD))
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return whole


def test_what_tools_write_is_accepted() -> None:
    assert configuration.checked(GOOD) is GOOD
    assert configuration.checked({}) == {}
    assert configuration.checked({"config": None, "history": None, "created": None}) is not None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("config", "ExposedPorts"), {"abc": {}}),
        (("config", "ExposedPorts"), {"80/icmp": {}}),
        (("config", "ExposedPorts"), {"65536/tcp": {}}),
        (("config", "ExposedPorts"), {"0": {}}),
        (("config", "ExposedPorts"), {"9-8": {}}),
        (("config", "ExposedPorts"), {"٣": {}}),
        (("config", "ExposedPorts"), ["80/tcp"]),
        (("config", "ExposedPorts"), {"80": 1}),
        (("config", "Healthcheck"), ["CMD", "true"]),
        (("config", "Healthcheck"), "true"),
        (("config", "Healthcheck", "Test"), "true"),
        (("config", "Healthcheck", "Test"), ["true"]),
        (("config", "Healthcheck", "Interval"), "30s"),
        (("config", "Healthcheck", "Interval"), 1.5),
        (("config", "Healthcheck", "Interval"), True),
        (("config", "Healthcheck", "Retries"), -1),
        (("config", "Healthcheck", "StartPeriod"), 1 << 63),
        (("config", "Env"), {"A": "b"}),
        (("config", "Env"), ["=b"]),
        (("config", "Env"), ["A=\0"]),
        (("config", "Env"), [1]),
        (("config", "Cmd"), {"a": 1}),
        (("config", "Cmd"), ["sh", None]),
        (("config", "Entrypoint"), 5),
        (("config", "Shell"), "sh"),
        (("config", "Volumes"), ["/data"]),
        (("config", "Volumes"), {"": {}}),
        (("config", "Labels"), {"a": 1}),
        (("config", "Labels"), [["a", "b"]]),
        (("config", "Labels"), {"a": "\ud800"}),
        (("config", "User"), 1000),
        (("config", "WorkingDir"), ["/app"]),
        (("config", "StopSignal"), "SIGNOTHING"),
        (("config", "StopSignal"), 15),
        (("config", "StopSignal"), "99"),
        (("config", "StopTimeout"), "10"),
        (("config", "Tty"), "yes"),
        (("config",), []),
        (("rootfs",), []),
        (("rootfs", "type"), "squashfs"),
        (("rootfs", "diff_ids"), "sha256:0"),
        (("rootfs", "diff_ids"), [1]),
        (("history",), {"a": 1}),
        (("history",), ["RUN"]),
        (("history", 0, "created"), "yesterday"),
        (("history", 0, "created_by"), 1),
        (("history", 0, "empty_layer"), 1),
        (("created",), "2026-13"),
        (("created",), 1700000000),
        (("os",), ["linux"]),
        (("architecture",), {}),
        (("author",), 1),
        (("os.features",), "win32k"),
        (("size",), "1"),
        (("size",), -5),
    ],
)
def test_a_field_of_a_wrong_shape_is_named(path: tuple[str | int, ...], value: Any) -> None:
    name = ".".join(str(key) for key in path if not isinstance(key, int)).replace("history.", "history[0].")
    with pytest.raises(ImageError, match=r"invalid: ") as caught:
        configuration.checked(changed(path, value))
    assert f"{name} must be " in str(caught.value)


@pytest.mark.parametrize("whole", [[], "text", 1, None, True])
def test_what_is_no_mapping_is_no_configuration(whole: Any) -> None:
    with pytest.raises(ImageError, match="not a mapping"):
        configuration.checked(whole)


@pytest.mark.parametrize(
    "text", ['{"a": ' * 500 + "1" + "}" * 500, '{"config": NaN}', '{"size": 1e400}', "[" * 100000]
)
def test_json_that_only_python_takes_is_refused(text: str) -> None:
    with pytest.raises(ImageError):
        manifests.diff_ids(text.encode(), 0)


def test_readers_leave_out_what_is_wrong_and_keep_the_rest() -> None:
    damaged = {
        **GOOD["config"],
        "ExposedPorts": {"abc": {}},
        "Healthcheck": [],
        "Env": "A",
        "Labels": {"a": 1},
        "Cmd": "sh",
    }
    kept = configuration.tolerant(damaged)
    assert not {"ExposedPorts", "Healthcheck", "Env", "Labels"} & kept.keys()
    assert kept["User"] == "1000:1000"
    assert kept["Cmd"] == ["sh"]
    assert configuration.tolerant([]) == {}


def test_ranges_of_ports_are_single_ones_to_whoever_reads() -> None:
    assert configuration.exposed(GOOD["config"]) == [
        "53/udp",
        "7000/tcp",
        "7001/tcp",
        "7002/tcp",
        "80/tcp",
        "9000/tcp",
    ]


@pytest.mark.parametrize(
    "data", [b'{"mediaType": "m\\ud800"}', b'{"a": "\xed\xa0\x80"}', b'{"a": NaN}', b"[" * 9999]
)
def test_a_document_that_could_not_be_written_again_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match="the manifest is not valid JSON"):
        manifests.parsed(data, "the manifest")
