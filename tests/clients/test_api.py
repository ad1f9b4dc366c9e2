"""Programs of others on `composer serve`: testcontainers for Python and Node, Ansible's community.docker."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.api_client import Client, Server, served
from tests.clients import test_pytest_docker as pytest_docker
from tests.clients.conftest import CLIENTS, PYTHON
from tests.compared.api.image import archive
from tests.integration.contract.conftest import IMAGE
from tests.samples import run as samples
from tests.samples import stand_ins
from tests.samples.table import SAMPLES, Sample

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

PROGRAMS = pathlib.Path(__file__).parent / "programs"
COMPOSER = [sys.executable, "-m", "composer", "--backend", "namespace"]
Run = Callable[..., str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the image ``box``."""
    if not PYTHON.exists():
        pytest.skip("needs the programs of others: make clients")
    place = tmp_path_factory.mktemp("api")
    home = place / "home"
    home.mkdir()
    with served(place, {"COMPOSER_ROOT": str(place / "state"), "HOME": str(home)}) as found:
        found.client().post("/images/load", {"quiet": 1}, archive("box"))
        yield found


@pytest.fixture(scope="module")
def databases(server: Server) -> None:
    """Images ``postgres`` and ``redis`` from Debian packages."""
    if not shutil.which("mmdebstrap"):
        pytest.skip("needs mmdebstrap")
    environment = {**os.environ, "COMPOSER_ROOT": str(server.path.parent / "state")}
    stand_ins.import_images(COMPOSER, environment, ("postgres", "redis"))
    client = server.client()
    for name, tag in (("postgres", "16"), ("redis", "7")):
        client.post(f"/images/{stand_ins.PREFIX}/{name}/tag", {"repo": name, "tag": tag})


@pytest.fixture
def run(server: Server, tmp_path: pathlib.Path) -> Run:
    def start(*command: str | pathlib.Path, **variables: str) -> str:
        environment = {**os.environ, "DOCKER_HOST": server.client().host, "HOME": str(tmp_path), **variables}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400, check=False
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{server.log()[-3000:]}"
        return done.stdout

    return start


def nothing_is_left(client: Client) -> None:
    assert client.get("/containers/json", {"all": 1}) == []
    assert client.get("/networks", {"filters": {"type": ["custom"]}}) == []


# Ryuk, which removes what a test run leaves, is not to be had: the Go proxy does not have its module.
WITHOUT_RYUK = {"TESTCONTAINERS_RYUK_DISABLED": "true"}


@pytest.mark.usefixtures("databases")
def test_testcontainers_for_python(run: Run, server: Server, tmp_path: pathlib.Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    said = run(PYTHON, PROGRAMS / "containers.py", context, **WITHOUT_RYUK)
    assert said.split() == ["generic", "networks", "postgres", "redis", "built"]
    nothing_is_left(server.client())


def test_testcontainers_for_node(run: Run, server: Server, tmp_path: pathlib.Path) -> None:
    (tmp_path / "node_modules").symlink_to(CLIENTS / "node_modules")
    shutil.copy(PROGRAMS / "containers.mjs", tmp_path)
    said = run("node", tmp_path / "containers.mjs", **WITHOUT_RYUK).splitlines()
    assert said == ['page "page\\n"', 'exec 0 "copied\\n"', "other page", "stopped"]
    nothing_is_left(server.client())


def test_a_playbook_of_ansible(run: Run, server: Server) -> None:
    ansible = CLIENTS / "bin/ansible-playbook"
    run(ansible, "-i", "localhost,", "-e", f"ansible_python_interpreter={PYTHON}", PROGRAMS / "playbook.yaml")
    nothing_is_left(server.client())


@pytest.mark.oracle
def test_pytest_docker(run: Run, server: Server, tmp_path: pathlib.Path) -> None:
    """The example of its README, with docker compose."""
    (tmp_path / "tests/hello").mkdir(parents=True)
    (tmp_path / "tests/docker-compose.yml").write_text(pytest_docker.PROJECT)
    (tmp_path / "tests/hello/Dockerfile").write_text(pytest_docker.DOCKERFILE.replace(IMAGE, "box"))
    (tmp_path / "tests/test_example.py").write_text(pytest_docker.EXAMPLE)
    assert "2 passed" in run(PYTHON, "-m", "pytest", "-q", "tests")
    nothing_is_left(server.client())


# ------------------------------------------------------------------ docker compose with projects of others

PLACE = os.environ.get("COMPOSE_SAMPLES", "")
LAUNCHER = """#!/bin/sh
[ "$1" = image ] && exec docker "$@"
docker compose "$@" || exit
[ "$1" = up ] || exit 0
exec env -u DOCKER_HOST COMPOSER_ROOT=STATE COMPOSER plan --detailed-exitcode
"""


@pytest.mark.oracle
@pytest.mark.skipif(not PLACE, reason="needs samples of others in COMPOSE_SAMPLES")
@pytest.mark.parametrize("sample", SAMPLES[:10], ids=lambda sample: sample.name)
def test_docker_compose_with_samples(
    server: Server, sample: Sample, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come up, their pages answer and count, composer has nothing to change of them, and they go."""
    state = str(server.path.parent / "state")
    stand_ins.import_images(COMPOSER, {**os.environ, "COMPOSER_ROOT": state})
    launcher = tmp_path / "compose"
    launcher.write_text(
        LAUNCHER.replace("STATE", state).replace("COMPOSER plan", f"{' '.join(COMPOSER)} plan")
    )
    launcher.chmod(0o755)
    monkeypatch.setenv("DOCKER_HOST", server.client().host)
    monkeypatch.setenv("PYTHONPATH", str(samples.ROOT))
    samples.play(sample, pathlib.Path(PLACE), tmp_path, [str(launcher)])
    nothing_is_left(server.client())
