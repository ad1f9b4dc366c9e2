"""The same requests about images to Docker Engine and to ours: statuses, fields, types, and null or empty are equal."""

from __future__ import annotations

import contextlib
import io
import json
import re
import secrets
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api_client import Answer, Client, Refused
from tests.api_images import layer, rootfs, tar
from tests.registries import push

pytestmark = [pytest.mark.root, pytest.mark.docker]

_ENGINE_KNOWS = {"GraphDriver.Data.LowerDir"}
"""What depends on the layers that an engine has put below, and not on the request."""


def shape(value: Any, path: str = "") -> Any:
    """Return the types of a document; of a list those of all entries, of labels and the like the names."""
    if isinstance(value, dict):
        found = {key: shape(one, f"{path}.{key}".strip(".")) for key, one in value.items()}
        return {key: one for key, one in found.items() if f"{path}.{key}".strip(".") not in _ENGINE_KNOWS}
    if isinstance(value, list):
        shapes: list[Any] = []
        for one in value:
            found = shape(one, path)
            if found not in shapes:
                shapes.append(found)
        return shapes
    return type(value).__name__


@pytest.fixture
def prefix(engine: Client) -> Iterator[str]:
    """The begin of names that nobody else on the engine has; what has them goes at the end."""
    found = f"shapes{secrets.token_hex(4)}"
    yield found
    engine.ask("DELETE", f"/containers/{found}", {"force": 1})
    for image in engine.get("/images/json", {"filters": {"label": [f"test={found}"]}}):
        engine.ask("DELETE", f"/images/{image['Id']}", {"force": 1})
    for image in engine.get("/images/json", {"filters": {"reference": [f"*/{found}*", f"{found}*"]}}):
        for name in (*image["RepoTags"], *image["RepoDigests"]):
            with contextlib.suppress(Refused):
                engine.delete(f"/images/{name}", {"force": 1})


def imported(client: Client, prefix: str, tag: str = "1") -> str:
    query = {
        "fromSrc": "-",
        "repo": prefix,
        "tag": tag,
        "message": "why",
        "changes": ['CMD ["/bin/sh"]', "ENV A=1", f"LABEL test={prefix}"],
    }
    return str(client.post("/images/create", query, rootfs()).lines[-1]["status"])


def both(
    engine: Client, ours: Client, method: str, path: str, query: Any = None, **more: Any
) -> list[Answer]:
    """Ask both; the statuses must be the same, and the documents of the same shape."""
    answers = [one.ask(method, path, query, **more) for one in (engine, ours)]
    first, second = answers
    where = f"{method} {path} {query}"
    assert first.status == second.status, f"{where}: {first.body[:300]!r} {second.body[:300]!r}"
    if first.headers.get("content-type") == "application/json" and first.body.strip():
        assert shape(first.json) == shape(second.json), where
    return answers


@pytest.mark.parametrize("version", ["1.40", "1.42", "1.43", "1.44", "1.45", "1.48", "1.49", "1.50", "1.51"])
def test_what_is_seen_of_an_image(engine: Client, client: Client, prefix: str, version: str) -> None:
    for one in (engine, client):
        imported(one, prefix)
    old = engine.at(version), client.at(version)
    reference = {"filters": {"reference": [prefix]}}
    both(*old, "GET", "/images/json", reference)
    both(*old, "GET", "/images/json", {**reference, "shared-size": 1, "digests": 1})
    both(*old, "GET", f"/images/{prefix}:1/json")
    both(*old, "GET", f"/images/{prefix}:1/history")
    both(*old, "GET", "/images/json", {"filters": {"label": ["none=of=these"]}})
    platform = json.dumps({"os": "linux", "architecture": "s390x"})
    both(*old, "GET", f"/images/{prefix}:1/json", {"platform": platform})


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/images/none/json", {}),
        ("GET", "/images/UPPER/json", {}),
        ("GET", "/images/none/history", {}),
        ("GET", "/images/none/get", {}),
        ("GET", "/images/get", {"names": ["none"]}),
        ("GET", "/images/json", {"filters": {"nothing": ["x"]}}),
        ("GET", "/images/json", {"filters": {"dangling": ["x"]}}),
        ("GET", "/images/json", {"filters": {"before": ["none"]}}),
        ("GET", "/images/json", {"filters": "{"}),
        ("DELETE", "/images/none", {}),
        ("POST", "/images/none/tag", {"repo": "x"}),
        ("POST", "/images/none/tag", {"repo": "UPPER"}),
        ("POST", "/images/prune", {"filters": {"nothing": ["x"]}}),
        ("POST", "/images/create", {"fromImage": "UPPER"}),
        ("POST", "/images/create", {"fromImage": "127.0.0.1:1/none", "tag": "1"}),
        ("POST", "/images/create", {"fromImage": "x", "tag": "%"}),
        ("POST", "/commit", {"container": "none"}),
        ("POST", "/commit", {"container": "none", "repo": "UPPER"}),
        ("POST", "/build/cancel", {}),
        ("POST", "/build/cancel", {"id": "none"}),
        ("POST", "/build/prune", {"filters": {"nothing": ["x"]}}),
        ("POST", "/build/prune", {"filters": {"id": ["none"]}}),
        ("POST", "/build", {"squash": "1"}),
        ("GET", "/distribution/UPPER/json", {}),
        ("GET", "/system/df", {"type": "nothing"}),
    ],
)
def test_what_cannot_be_has_the_same_status(
    engine: Client, client: Client, method: str, path: str, query: dict[str, Any]
) -> None:
    both(engine, client, method, path, query)


def test_names_given_and_taken(engine: Client, client: Client, prefix: str) -> None:
    ids = [imported(one, prefix) for one in (engine, client)]
    both(engine, client, "POST", f"/images/{prefix}:1/tag", {"repo": f"{prefix}x", "tag": "2"})
    for one, id in zip((engine, client), ids, strict=True):
        assert one.ask("DELETE", f"/images/{id}").status == 409
    both(engine, client, "DELETE", f"/images/{prefix}x:2")
    for one in (engine, client):
        one.post("/containers/create", {"name": prefix}, {"Image": f"{prefix}:1"})
    first, second = both(engine, client, "DELETE", f"/images/{prefix}:1")
    assert re.sub("[0-9a-f]{12}", "ID", first.message) == re.sub("[0-9a-f]{12}", "ID", second.message)
    for one in (engine, client):
        one.delete(f"/containers/{prefix}", {"force": 1})


def test_a_commit(engine: Client, client: Client, prefix: str) -> None:
    for one in (engine, client):
        imported(one, prefix)
        one.post("/containers/create", {"name": prefix}, {"Image": f"{prefix}:1", "Env": ["Z=1"]})
    query = {
        "container": prefix,
        "repo": f"{prefix}c",
        "tag": "2",
        "comment": "c",
        "author": "a",
        "changes": "ENV B=2",
    }
    both(engine, client, "POST", "/commit", query, body={"Env": ["C=3"]})
    first, second = (one.get(f"/images/{prefix}c:2/json") for one in (engine, client))
    assert set(first["Config"]["Env"]) == set(second["Config"]["Env"])
    assert shape(first["Config"]) == shape(second["Config"]) and first["Author"] == second["Author"]
    both(engine, client, "POST", "/commit", {**query, "changes": "RUN x"})
    both(engine, client, "POST", "/commit", {**query, "tag": "%"})
    client.delete(f"/containers/{prefix}", {"force": 1})


def statuses(lines: list[Any]) -> set[str]:
    found = (re.sub("sha256:[0-9a-f]{64}|127.0.0.1:[0-9]+", "X", str(line.get("status"))) for line in lines)
    return {re.sub("size: [0-9]+", "size", status) for status in found}


def test_a_pull_and_a_push(engine: Client, client: Client, prefix: str, host: str) -> None:
    push(host, prefix, "1", [layer(200_000), tar({"a": b"b"})])
    query = {"fromImage": f"{host}/{prefix}", "tag": "1"}
    first, second = (one.post("/images/create", query).lines for one in (engine, client))
    optional = {"Downloading", "Extracting", "Verifying Checksum"}
    assert statuses(first) - optional == statuses(second) - optional
    again = [one.post("/images/create", query).lines for one in (engine, client)]
    assert statuses(again[0]) == statuses(again[1])
    both(engine, client, "GET", f"/images/{host}/{prefix}:1/json")
    both(engine, client, "GET", f"/distribution/{host}/{prefix}:1/json")
    both(engine, client, "POST", "/images/create", {**query, "tag": "none"})
    both(engine, client, "GET", f"/distribution/{host}/{prefix}:none/json")
    pushed = []
    for number, one in enumerate((engine, client)):
        name = f"{host}/{prefix}{number}"
        one.post(f"/images/{host}/{prefix}:1/tag", {"repo": name, "tag": "1"})
        pushed.append(
            one.post(f"/images/{name}/push", {"tag": "1"}, headers={"X-Registry-Auth": "e30="}).lines
        )
    ends = [(shape(lines[-1]), lines[-2]["status"].split()[:2]) for lines in pushed]
    assert ends[0] == ends[1]
    both(engine, client, "DELETE", f"/images/{host}/{prefix}:1")


def test_an_archive_of_either_is_read_by_the_other(engine: Client, client: Client, prefix: str) -> None:
    for one, other in ((engine, client), (client, engine)):
        id = imported(one, prefix)
        with one.open("GET", f"/images/{prefix}:1/get") as stream:
            archive = stream.read()
        with tarfile.open(fileobj=io.BytesIO(archive)) as found:
            assert {"manifest.json", "index.json", "oci-layout"} <= set(found.getnames())
        assert other.post("/images/load", {"quiet": 1}, archive).lines == [
            {"stream": f"Loaded image: {prefix}:1\n"}
        ]
        assert other.get(f"/images/{prefix}:1/json")["Id"] == id
        for each in (one, other):
            each.delete(f"/images/{prefix}:1")


def test_a_build(engine: Client, client: Client, prefix: str) -> None:
    for one in (engine, client):
        imported(one, prefix)

    def built(one: Client, dockerfile: str, **query: Any) -> list[Any]:
        text = f"FROM {prefix}:1\n{dockerfile}"
        return one.post("/build", {"rm": 1, **query}, tar({"Dockerfile": text.encode(), "file": b"x"})).lines

    def words(lines: list[Any]) -> list[str]:
        text = "".join(line.get("stream", "") for line in lines)
        text = re.sub("[0-9a-f]{12}", "ID", text)
        return [line for line in text.splitlines() if "container" not in line and "Running in" not in line]

    dockerfile = "COPY file /file\nENV A=1\nRUN echo said\n"
    found = [built(one, dockerfile, t=f"{prefix}b:1") for one in (engine, client)]
    assert words(found[0]) == words(found[1])
    assert [shape(line) for line in found[0] if "aux" in line] == [
        shape(line) for line in found[1] if "aux" in line
    ]
    failed = [built(one, "RUN exit 3\n")[-1] for one in (engine, client)]
    assert failed[0] == failed[1]
    for query in ({"t": "UPPER"}, {"dockerfile": "None"}, {"buildargs": "{"}, {"target": "none"}):
        statuses_of = [
            one.ask("POST", "/build", query, body=tar({"Dockerfile": f"FROM {prefix}:1\n".encode()})).status
            for one in (engine, client)
        ]
        assert all(status >= 400 for status in statuses_of), (query, statuses_of)
