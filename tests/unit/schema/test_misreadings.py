"""What Compose accepts and reads in another way than it was meant: each has a warning, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.schema.project import project

MISREADINGS = [
    ("services: {a: {image: i, command: ls | wc}}", "1:35", "command is cut off at '|'"),
    ("services: {a: {image: i, command: a && b}}", "1:35", "command is cut off at '&'"),
    ("services: {a: {image: i, entrypoint: a > f}}", "1:38", "entrypoint is cut off at '>'"),
    ("services: {a: {image: i, command: a; b}}", "1:35", "command is cut off at ';'"),
    (
        "services: {a: {image: i, mem_limit: 1e3}}",
        "1:37",
        "'mem_limit': 1000 is not an integer number of bytes",
    ),
    ("services: {a: {image: i, shm_size: 1.0}}", "1:36", "'shm_size': 1 is not an integer number of bytes"),
    ("services: {a: {image: i, volumes: ['v:/d']}}\nvolumes: {v: {}}", "1:36", "'v:' in volume 'v:/d'"),
    ("services: {a: {image: i, volumes: ['v:/d:ro']}}\nvolumes: {v: {}}", "1:36", "'v:' in volume 'v:/d:ro'"),
    ("services: {a: {image: i, volumes: ['./d:/d:cachet']}}", "1:36", "volume option 'cachet'"),
    ("services: {a: {image: i, tty: yes}}", "1:31", "'yes' is read as the boolean true"),
    ("services: {a: {image: 'i:$UNSET'}}", "1:23", 'The "UNSET" variable is not set.'),
    (
        "services: {a: {image: i, configs: [c]}}\nconfigs: {c: {external: true, content: x}}",
        "2:31",
        "'content'",
    ),
    (
        "services: {a: {image: i}}\nnetworks: {n: {external: {name: m}}}",
        "2:26",
        "'external.name' is deprecated",
    ),
    (
        "include: [{path: other.yaml, files: []}]\nservices: {a: {image: i}}",
        "1:30",
        "unknown attribute 'files'",
    ),
    ("include: [path: ]\nservices: {a: {image: i}}", "1:11", "include without 'path'"),
    ("services: {a: {image: i, labels: {x-a: b}}}", "1:35", "'x-a' in 'labels' is not kept as an entry"),
    (
        "services: {a: {image: i, blkio_config: {weight: 65541}}}",
        "1:49",
        "65541 is out of range and wraps around to 5",
    ),
    ("version: '2'\nservices: {a: {image: i}}", "1:1", "'version' is obsolete"),
]

MEANT = [
    "services: {a: {image: i, command: 'sh -c \"a | b\"'}}",
    "services: {a: {image: i, command: [a, '|', b], mem_limit: 1000, tty: true}}",
    "services: {a: {image: i, volumes: ['v:/d', 'C:\\d:/e', 'c:/d:/f:ro']}}\nvolumes: {vv: {}}".replace(
        "v:/d", "vv:/d"
    ),
    "services: {a: {image: 'i:${UNSET:-x}'}}",
]


@pytest.mark.parametrize(("text", "place", "words"), MISREADINGS)
def test_a_misreading_has_a_warning_with_its_place(tmp_path: Path, text: str, place: str, words: str) -> None:
    found = project(tmp_path, text, {"other.yaml": "services: {b: {image: i}}\n"}).warnings
    assert [(str(notice.at), words in notice.message) for notice in found] == [
        (f"compose.yaml:{place}", True)
    ]
    assert found[0].hint


@pytest.mark.parametrize("text", MEANT)
def test_what_is_meant_has_none(tmp_path: Path, text: str) -> None:
    assert project(tmp_path, text).warnings == ()
