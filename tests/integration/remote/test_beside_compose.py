"""Beside docker compose: each reads what the other has published, and both find the same in a repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.build.servers import GitServer, git
from tests.integration.remote.conftest import Place
from tests.integration.remote.test_oci import FILES
from tests.registries import registry
from tests.unit.schema.project import write

pytestmark = pytest.mark.oracle

# docker compose puts names of files into a text without looking at what stands behind them in the line
BLOCKS = {
    **FILES,
    "compose.yaml": """
        name: published
        services:
          web:
            image: ${IMAGE:-nginx:1}
            env_file: web.env
            extends:
              file: parts/base.yaml
              service: base
            volumes: ["./data:/data"]
    """,
    "parts/base.yaml": "services:\n  base:\n    labels: {of: base}\n",
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "all.pem"
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    crt = path.with_suffix(".crt")
    subprocess.run(
        [*words.split(), "-keyout", str(path), "-out", str(crt)], check=True, capture_output=True, timeout=60
    )
    path.write_text(path.read_text() + crt.read_text())
    return path


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[str]:
    """A registry with encryption: docker compose reads artifacts in no other way."""
    with registry(tmp_path_factory.mktemp("secure"), certificate=str(certificate)) as host:
        yield host


def theirs(place: Place, *arguments: str, certificate: Path | None = None) -> str:
    config = os.environ.get("DOCKER_CONFIG")
    environment = {
        **({"SSL_CERT_FILE": str(certificate.with_suffix(".crt"))} if certificate else {}),
        **({"DOCKER_CONFIG": config} if config else {}),
        **({"DOCKER_HOST": os.environ["DOCKER_HOST"]} if "DOCKER_HOST" in os.environ else {}),
    }
    return place.run(["docker", "compose", *arguments], environment).stdout


def trusting(place: Place, secure: str, certificate: Path) -> None:
    """Let composer trust the certificate."""
    config = Path(place.environment["HOME"], ".config/composer/config.toml")
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(f'[registry."{secure}"]\nca = "{certificate.with_suffix(".crt")}"\n')


def services(text: str) -> Any:
    """Return the services of a project without where their files are, and without what versions print differently."""
    found = json.loads(text)["services"]
    for service in found.values():
        for volume in service.get("volumes") or ():
            volume.pop("bind", None)
            volume["source"] = volume["source"].rpartition("/")[2]
    return found


def test_docker_compose_reads_what_composer_has_published(
    author: Place, reader: Place, secure: str, certificate: Path
) -> None:
    write(author.directory, FILES)
    trusting(author, secure, certificate)
    author.ours("publish", "-y", "--with-env", f"{secure}/ours:1")
    read = theirs(
        reader, "-f", f"oci://{secure}/ours:1", "config", "--format", "json", certificate=certificate
    )
    written = author.ours("config", "--format", "json").stdout
    assert services(read) == services(written)
    assert services(read)["web"]["environment"] == {"WEB": "1", "BASE": "2"}


def test_composer_reads_what_docker_compose_has_published(
    author: Place, reader: Place, secure: str, certificate: Path
) -> None:
    write(author.directory, BLOCKS)
    theirs(author, "publish", "-y", "--with-env", f"{secure}/theirs:1", certificate=certificate)
    trusting(reader, secure, certificate)
    read = reader.ours("-f", f"oci://{secure}/theirs:1", "config", "--format", "json").stdout
    assert services(read) == services(author.ours("config", "--format", "json").stdout)
    assert services(read)["web"]["labels"] == {"of": "base", "over": "ridden"}


def test_both_find_the_same_in_a_repository(author: Place, reader: Place, tmp_path: Path) -> None:
    served = tmp_path / "served"
    (served / "app").mkdir(parents=True)
    write(
        served / "app",
        {
            "sub/compose.yaml": """
                services:
                  web: {image: nginx, volumes: ["./data:/d"], extends: {file: deep/base.yaml, service: base}}
            """,
            "sub/deep/base.yaml": "services: {base: {volumes: ['./base:/b'], extends: {file: m.yaml, service: m}}}",
            "sub/deep/m.yaml": "services: {m: {volumes: ['./m:/m']}}",
            # what a service extends from elsewhere begins at the top
            "sub/near.yaml": "services: {near: {image: x, volumes: ['./n:/n'], extends: {file: t.yaml, service: m}}}",
            "t.yaml": "services: {m: {volumes: ['./t:/t']}}",
            "sub/.env": "TAG=theirs",
        },
    )
    git(served / "app", "init", "--quiet", "--initial-branch=main")
    git(served / "app", "add", "--all")
    git(served / "app", "commit", "--quiet", "-m", "one")
    server = GitServer(served)
    try:
        url = f"{server.url}/app#main"
        write(
            reader.directory,
            {
                "include.yaml": f'include: ["{url}:sub"]\nservices: {{own: {{image: x, volumes: ["./o:/o"]}}}}',
                "extends.yaml": f'services: {{a: {{extends: {{file: "{url}:sub/near.yaml", service: near}}}}}}',
            },
        )
        shutil.copy(reader.directory / "include.yaml", reader.directory / "compose.yaml")
        for words in (
            ("-f", f"{url}:sub"),
            ("-f", "include.yaml"),
            ("-f", "extends.yaml"),
            ("-f", "include.yaml", "-f", f"{url}:sub"),
            ("--project-directory", str(author.directory), "-f", f"{url}:sub"),
        ):
            results = []
            for text, cache in (
                (reader.ours(*words, "config", "--format", "json").stdout, ".cache/composer/remote/git"),
                (theirs(reader, *words, "config", "--format", "json"), ".cache/docker-compose"),
            ):
                found = json.loads(text.replace(f"{reader.directory}/home/{cache}", "CACHE"))
                for service in found["services"].values():
                    for volume in service["volumes"]:
                        volume.pop("bind", None)
                results.append(found)
            assert results[0] == results[1], words
    finally:
        server.close()


def test_viz(author: Place) -> None:
    write(
        author.directory,
        {
            "compose.yaml": """
                name: app
                services:
                  web: {image: nginx, ports: ["8080:80"], networks: {a: {priority: 1}, b: {}}, depends_on: [db]}
                  db: {build: .}
                networks: {a: {}, b: {}}
            """
        },
    )
    words = ("alpha", "viz", "--networks", "--ports", "--image", "--spaces", "--indentation-size", "2")
    assert sorted(author.ours(*words).stdout.splitlines()) == sorted(theirs(author, *words).splitlines())
