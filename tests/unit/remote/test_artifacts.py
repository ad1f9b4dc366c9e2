"""Artifacts as Docker Compose writes them, and as nobody should: names, sizes, types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from composer.errors import ProjectError
from composer.session.remote import artifacts
from composer.session.remote.artifacts import File

DIGEST = f"sha256:{'a' * 64}"


def layer(
    media_type: str = artifacts.FILE, size: Any = 3, digest: Any = DIGEST, **notes: str
) -> dict[str, Any]:
    names = {"file": artifacts.NAME, "env": artifacts.ENV_NAME, "extends": artifacts.EXTENDED}
    annotations = {names[key]: value for key, value in notes.items()}
    return {"mediaType": media_type, "digest": digest, "size": size, "annotations": annotations}


def manifest(*layers: Any, **fields: Any) -> bytes:
    return json.dumps({"artifactType": artifacts.PROJECT, "layers": list(layers), **fields}).encode()


MAIN = layer(file="compose.yaml")


def test_layers() -> None:
    found = artifacts.layers_of(
        manifest(
            MAIN,
            layer(file="over.yaml"),
            layer(file="ab.yaml", extends="true"),
            layer(artifacts.ENV_FILE, env="cd.env"),
            layer("application/something"),
        ),
        "r",
    )
    assert [(one.name, one.media_type == artifacts.FILE) for one in found] == [
        ("", True),
        ("", True),
        ("ab.yaml", True),
        ("cd.env", False),
    ]


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "", ".", "..", "a\0b", "a\nb", "x" * 256])
@pytest.mark.parametrize("kind", ["extends", "env"])
def test_names_with_a_way_out_are_refused(name: str, kind: str) -> None:
    bad = layer(artifacts.ENV_FILE, env=name) if kind == "env" else layer(file=name, extends="true")
    with pytest.raises(ProjectError, match="invalid OCI artifact r"):
        artifacts.layers_of(manifest(MAIN, bad), "r")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[]", "no JSON object"),
        (b"{", "no JSON object"),
        (
            manifest(MAIN, artifactType="application/x"),
            "not a compose project OCI artifact, but application/x",
        ),
        (manifest(MAIN, artifactType="", config={"mediaType": "y"}), "but y"),
        (manifest(), "it has no compose file"),
        (manifest(layer(artifacts.ENV_FILE, env="a.env")), "it has no compose file"),
        (manifest(MAIN, layers={}), "list of at most"),
        (manifest(*[MAIN] * 300), "list of at most"),
        (manifest(MAIN, 5), "a layer is no object"),
        (manifest(layer(size="3", file="a")), "no digest or no size"),
        (manifest(layer(size=-1, file="a")), "no digest or no size"),
        (manifest(layer(digest=None, file="a")), "no digest or no size"),
        (manifest(layer(size=9 << 20, file="a")), "more than 8 MiB"),
        (manifest(*[layer(size=8 << 20, file="a")] * 9), "more than 64 MiB"),
        (manifest(MAIN, layer(artifacts.ENV_FILE)), "missing annotation"),
        (manifest(MAIN, layer(artifacts.ENV_FILE, env="compose.yaml")), "an env file has the name"),
    ],
)
def test_refused(data: bytes, said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        artifacts.layers_of(data, "r")


def test_an_artifact_of_oci_1_0_is_known_by_its_configuration() -> None:
    data = manifest(MAIN, artifactType="", config={"mediaType": artifacts.EMPTY_CONFIG})
    assert len(artifacts.layers_of(data, "r")) == 1


def test_the_project_of_an_index() -> None:
    entries = [{"digest": "x"}, {"digest": DIGEST, "artifactType": artifacts.PROJECT}, 5]
    assert artifacts.project_in(json.dumps({"manifests": entries}).encode(), "r") == DIGEST
    with pytest.raises(ProjectError, match="OCI index r doesn't refer to compose artifacts"):
        artifacts.project_in(b'{"manifests": [{"digest": "x"}]}', "r")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_what_is_written_is_what_is_read(version: str) -> None:
    files = [
        File("/home/me/app/compose.yaml", b"services: {}"),
        File("ab.yaml", b"x", is_extended=True),
        File("cd.env", b"A=1", artifacts.ENV_FILE),
    ]
    data = artifacts.manifest(files, version, "9.9", "2026-01-01T00:00:00Z")
    document = json.loads(data)
    assert document.get("artifactType") == (artifacts.PROJECT if version == "1.1" else None)
    assert b"/home/me" not in data
    assert document["layers"][0]["annotations"] == {
        "com.docker.compose.version": "9.9",
        "com.docker.compose.file": "compose.yaml",
    }
    assert [(one.name, one.size_bytes) for one in artifacts.layers_of(data, "r")] == [
        ("", 12),
        ("ab.yaml", 1),
        ("cd.env", 3),
    ]
