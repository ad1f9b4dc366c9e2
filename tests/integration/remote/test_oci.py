"""Projects into a registry and out of it again, and registries that do not behave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from composer.errors import ProjectError
from composer.session.remote import artifacts
from composer.session.remote.fetching import Remotes
from tests.integration.remote.conftest import Place
from tests.registries import INDEX, Proxy, flip, push, push_blob, push_index, push_manifest, status
from tests.unit.schema.project import write

FILES = {
    "compose.yaml": """
        name: published
        services:
          web:
            image: ${IMAGE:-nginx:1}
            env_file: web.env
            extends: {file: parts/base.yaml, service: base}
            volumes: ["./data:/data"]
          debug: {image: busybox, profiles: [debug]}
    """,
    "compose.override.yaml": "services: {web: {labels: {over: ridden}}}",
    "web.env": "WEB=1",
    "parts/base.yaml": "services: {base: {extends: {file: more.yaml, service: more}, env_file: base.env}}",
    "parts/base.env": "BASE=2",
    "parts/more.yaml": "services: {more: {cap_add: [NET_ADMIN]}}",
}


def remotes(directory: Path) -> Remotes:
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory)}
    return Remotes(environment, environment.get, str(directory / "cache"))


def publish(host: str, name: str, layers: list[dict[str, object]], **fields: object) -> str:
    manifest = {
        "schemaVersion": 2,
        "mediaType": artifacts.MANIFEST,
        "artifactType": artifacts.PROJECT,
        "config": {"mediaType": artifacts.OCI_EMPTY, "digest": push_blob(host, name, b"{}"), "size": 2},
        "layers": layers,
        **fields,
    }
    return push_manifest(host, name, "1", manifest)


def layer(host: str, name: str, data: bytes, **annotations: str) -> dict[str, object]:
    keys = {"file": artifacts.NAME, "extends": artifacts.EXTENDED}
    notes = {keys[key]: value for key, value in annotations.items()}
    return {
        "mediaType": artifacts.FILE,
        "digest": push_blob(host, name, data),
        "size": len(data),
        "annotations": notes,
    }


@pytest.mark.parametrize("version", ["1.0", "1.1", ""])
def test_what_is_published_is_the_same_project_elsewhere(
    host: str, author: Place, reader: Place, version: str
) -> None:
    write(author.directory, FILES)
    name = f"{host}/same:v{version}"
    options = ["--oci-version", version] if version else []
    said = author.ours("publish", "-y", "--with-env", *options, name).stdout.strip()
    assert said.startswith(f"oci://{name}@sha256:")
    written = json.loads(author.ours("config", "--format", "json").stdout)
    read = json.loads(reader.ours("-f", f"oci://{name}", "config", "--format", "json").stdout)
    (volume,) = read["services"]["web"]["volumes"]
    assert volume["source"].startswith(f"{reader.directory}/home/.cache/composer/remote/oci/sha256-")
    volume["source"] = f"{author.directory}/data"
    assert read == written
    both = reader.ours("-f", said, "--profile", "debug", "config", "--services", IMAGE="x").stdout.split()
    assert sorted(both) == ["debug", "web"]


def test_a_digest_that_is_kept_needs_no_registry(host: str, author: Place, reader: Place) -> None:
    write(author.directory, {"compose.yaml": "services: {web: {image: nginx}}"})
    with Proxy(host) as proxy:
        said = author.ours("publish", "-y", f"{proxy.host}/kept:1").stdout.strip()
        assert reader.ours("-f", said, "config", "--images").stdout == "nginx\n"
        assert proxy.count("GET .*/blobs/") == 1
        reader.ours("-f", f"oci://{proxy.host}/kept:1", "config")
        assert proxy.count("GET .*/blobs/") == 1  # the tag is asked for, and leads to what is there
    assert reader.ours("-f", said, "config", "--images").stdout == "nginx\n"
    refused = reader.ours("-f", f"oci://{proxy.host}/kept:1", "config", check=False)
    assert "failed to pull OCI resource" in refused.stderr


def test_a_service_may_extend_and_a_file_include_what_was_published(
    host: str, author: Place, reader: Place
) -> None:
    write(author.directory, {"compose.yaml": "services: {base: {image: nginx, volumes: ['./d:/d']}}"})
    author.ours("publish", "-y", f"{host}/part:1")
    write(
        reader.directory,
        {
            "compose.yaml": f"""
                include: ["oci://{host}/part:1"]
                services: {{web: {{extends: {{file: "oci://{host}/part:1", service: base}}}}}}
            """
        },
    )
    read = json.loads(reader.ours("config", "--format", "json").stdout)["services"]
    assert read["web"]["volumes"] == read["base"]["volumes"]
    assert "/remote/oci/sha256-" in read["web"]["volumes"][0]["source"]


def test_images_are_pinned(host: str, author: Place, reader: Place) -> None:
    pushed = push(host, "pinned", "1", [b""])
    write(author.directory, {"compose.yaml": f"services: {{web: {{image: '{host}/pinned:1'}}}}"})
    author.ours("publish", "-y", "--resolve-image-digests", f"{host}/pins:1")
    read = reader.ours("-f", f"oci://{host}/pins:1", "config", "--images").stdout
    assert read == f"{host}/pinned:1@{pushed.digest}\n"


def test_an_application_brings_its_images_along(host: str, author: Place, reader: Place) -> None:
    one = push(host, "images/one", "1", [b"layer of one"])
    two = push(host, "images/two", "1", [b"layer of two"])
    index = push_index(host, "images/two", "all", [(two, {"os": "linux", "architecture": "amd64"})])
    text = f"services: {{a: {{image: '{host}/images/one:1'}}, b: {{image: '{host}/images/two:all'}}}}"
    write(author.directory, {"compose.yaml": text})
    with Proxy(host) as proxy:
        author.ours("publish", "-y", "--app", f"{proxy.host}/application:1")
        (sent,) = [
            json.loads(asked.body)
            for asked in proxy.asked
            if asked.method == "PUT" and b'"subject"' in asked.body
        ]
    assert [entry["digest"] for entry in sent["manifests"]] == [one.digest, index]
    assert sent["subject"]["artifactType"] == artifacts.PROJECT
    for digest in (one.digest, two.digest, index):  # they are in the application's repository
        write(
            reader.directory, {"compose.yaml": f"services: {{a: {{image: '{host}/application@{digest}'}}}}"}
        )
        reader.ours("config", "--resolve-image-digests")
    assert reader.ours("-f", f"oci://{host}/application:1", "config", "--services").stdout == "a\nb\n"


def test_an_image_with_a_manifest_that_is_none_is_not_copied(host: str, author: Place) -> None:
    with Proxy(host) as proxy:
        write(author.directory, {"compose.yaml": f"services: {{a: {{image: '{proxy.host}/odd:1'}}}}"})
        body = json.dumps({"mediaType": artifacts.MANIFEST, "layers": [{"digest": "sha256:../x", "size": 1}]})
        headers = {"Content-Type": artifacts.MANIFEST}
        proxy.on(
            "(GET|HEAD) .*/odd/manifests/", lambda handler: handler.answer(200, body.encode(), headers), 0
        )
        refused = author.ours("publish", "-y", "--app", f"{proxy.host}/copies:1", check=False)
        assert "odd:1' has an invalid manifest" in refused.stderr
        assert proxy.count("GET .*/odd/blobs") == 0


def test_what_was_fetched_can_be_published_again(host: str, author: Place, reader: Place) -> None:
    write(author.directory, FILES)
    first = author.ours("publish", "-y", "--with-env", f"{host}/again:1").stdout.strip()
    second = reader.ours("-f", first, "publish", "-y", "--with-env", f"{host}/again:2").stdout.strip()
    written = [
        json.loads(reader.ours("-f", one, "config", "--format", "json").stdout) for one in (first, second)
    ]
    for project in written:
        (volume,) = project["services"]["web"].pop("volumes")
        assert volume["source"].endswith("/data")
    assert written[0] == written[1]


def test_a_file_of_standard_input(host: str, author: Place, reader: Place) -> None:
    write(author.directory, {"in.yaml": "services: {web: {image: of-stdin}}"})
    words = [sys.executable, "-m", "composer", "-f", "-", "publish", "-y", f"{host}/stdin:1"]
    with open(author.directory / "in.yaml") as file:
        subprocess.run(
            words, cwd=author.directory, env=author.environment, stdin=file, check=True, timeout=60
        )
    assert reader.ours("-f", f"oci://{host}/stdin:1", "config", "--images").stdout == "of-stdin\n"


def test_a_registry_that_does_not_know_oci_1_1(host: str, author: Place, reader: Place) -> None:
    write(author.directory, {"compose.yaml": "services: {web: {image: nginx}}"})
    with Proxy(host) as proxy:
        proxy.on("PUT .*/manifests/", status(415), 1)
        author.ours("publish", "-y", f"{proxy.host}/old:1")
        sent = [json.loads(asked.body) for asked in proxy.asked if "/manifests/" in asked.path]
        assert ["artifactType" in one for one in sent] == [True, False]
        proxy.on("PUT .*/manifests/", status(415), 1)
        refused = author.ours("publish", "-y", "--oci-version=1.1", f"{proxy.host}/old:1", check=False)
        assert "does not accept the manifest" in refused.stderr
    assert reader.ours("-f", f"oci://{host}/old:1", "config", "--images").stdout == "nginx\n"


def test_an_index_leads_to_its_project(host: str, tmp_path: Path) -> None:
    data = b"services: {web: {image: of-an-index}}"
    digest = publish(host, "index", [layer(host, "index", data, file="compose.yaml")])
    entry = {"mediaType": artifacts.MANIFEST, "digest": digest, "size": 1, "artifactType": artifacts.PROJECT}
    push_manifest(host, "index", "all", {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})
    assert Path(remotes(tmp_path).fetch(f"oci://{host}/index:all").file).read_bytes() == data


def test_a_file_that_is_written_twice_counts_once(host: str, tmp_path: Path) -> None:
    main = layer(host, "twice", b"services: {}", file="compose.yaml")
    part = layer(host, "twice", b"part: 1", file="a.yaml", extends="true")
    other = layer(host, "twice", b"part: 2", file="a.yaml", extends="true")
    publish(host, "twice", [main, part, part, other])
    root = Path(remotes(tmp_path).fetch(f"oci://{host}/twice:1").root)
    assert (root / "a.yaml").read_text() == "\n---\npart: 1\n---\npart: 2"


@pytest.mark.parametrize("name", ["../outside.yaml", "/etc/outside.yaml", ".."])
def test_a_name_with_a_way_out_is_refused(host: str, tmp_path: Path, name: str) -> None:
    main = layer(host, "evil", b"services: {}", file="compose.yaml")
    publish(host, "evil", [main, layer(host, "evil", b"x", file=name, extends="true")])
    with pytest.raises(ProjectError, match="is no name of a file in it"):
        remotes(tmp_path).fetch(f"oci://{host}/evil:1")
    assert os.listdir(tmp_path / "cache/remote/oci") == []
    assert not list(tmp_path.rglob("outside.yaml"))


def test_what_is_damaged_on_the_way_is_not_kept(host: str, tmp_path: Path) -> None:
    publish(host, "bits", [layer(host, "bits", b"services: {}", file="compose.yaml")])
    with Proxy(host) as proxy:
        proxy.on("GET .*/blobs/", flip(3), 0)
        with pytest.raises(ProjectError, match="digest mismatch"):
            remotes(tmp_path).fetch(f"oci://{proxy.host}/bits:1")
    assert os.listdir(tmp_path / "cache/remote/oci") == []


def test_a_digest_that_is_none_is_never_a_part_of_a_url(host: str, tmp_path: Path) -> None:
    main = layer(host, "url", b"services: {}", file="compose.yaml")
    with Proxy(host) as proxy:
        body = json.dumps(
            {
                "artifactType": artifacts.PROJECT,
                "mediaType": artifacts.MANIFEST,
                "layers": [{**main, "digest": "sha256:../../../other"}],
            }
        ).encode()
        proxy.on(
            "GET .*/manifests/",
            lambda handler: handler.answer(200, body, {"Content-Type": artifacts.MANIFEST}),
        )
        with pytest.raises(ProjectError, match="digest must be sha256"):
            remotes(tmp_path).fetch(f"oci://{proxy.host}/url:1")
        assert proxy.count("blobs") == 0


def test_an_image_is_no_project(host: str, tmp_path: Path) -> None:
    push(host, "image", "1", [b""])
    with pytest.raises(ProjectError, match="is not a compose project OCI artifact"):
        remotes(tmp_path).fetch(f"oci://{host}/image:1")
    with pytest.raises(ProjectError, match="failed to pull OCI resource"):
        remotes(tmp_path).fetch(f"oci://{host}/none:1")
    with pytest.raises(ProjectError, match="invalid reference format"):
        remotes(tmp_path).fetch(f"oci://{host}/UPPER")
