"""Push and pull with a login: from config.json, and from a credential helper; and what is said without one."""

from __future__ import annotations

import base64
import json
import os
import pathlib
from collections.abc import Iterator

import pytest

from tests.integration.contract.conftest import IMAGE
from tests.integration.docker.conftest import Stack
from tests.registries import PASSWORD, USER, registry

pytestmark = pytest.mark.docker

HELPER = """#!/bin/sh
[ "$1" = get ] || exit 1
read -r server
echo "$server" >> "$(dirname "$0")/asked"
printf '{"ServerURL": "%s", "Username": "USER", "Secret": "PASSWORD"}' "$server"
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry"), password=True) as found:
        yield found


class Docker:
    """A configuration of Docker in a directory of its own."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        directory.mkdir()

    def write(self, **config: object) -> None:
        (self.directory / "config.json").write_text(json.dumps(config))

    def login(self, host: str, password: str = PASSWORD) -> None:
        self.write(auths={host: {"auth": base64.b64encode(f"{USER}:{password}".encode()).decode()}})

    def helper(self, text: str = HELPER) -> None:
        program = self.directory / "docker-credential-made"
        program.write_text(text.replace("USER", USER).replace("PASSWORD", PASSWORD))
        program.chmod(0o755)

    def environment(self) -> dict[str, str]:
        return {"DOCKER_CONFIG": str(self.directory), "PATH": f"{self.directory}:{os.environ['PATH']}"}


@pytest.fixture
def config(tmp_path: pathlib.Path) -> Docker:
    return Docker(tmp_path / "docker")


@pytest.fixture
def image(stack: Stack, host: str) -> Iterator[str]:
    """An image on the engine whose name says the registry, in a project that runs it."""
    name = f"{host}/{stack.name}:1"
    # only what has a build is pushed, as docker compose does it
    stack.write(
        f"services: {{web: {{image: '{name}', build: ., command: [sleep, '600'], stop_signal: SIGKILL}}}}"
    )
    stack.engine("tag", IMAGE, name)
    yield name
    stack.ours("down", "-t", "0")
    stack.run(["docker", "rmi", "-f", name], check=False)


def round_trip(stack: Stack, image: str, config: Docker) -> None:
    """Push, forget, and let ``up`` pull it again."""
    stack.ours("push", **config.environment())  # type: ignore[arg-type]
    stack.engine("rmi", image)
    stack.ours("up", "-d", **config.environment())  # type: ignore[arg-type]
    assert image in stack.engine("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
    assert stack.inspect("web")["State"]["Running"]


def test_a_login_of_config_json(stack: Stack, image: str, host: str, config: Docker) -> None:
    config.login(host)
    round_trip(stack, image, config)


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_a_credential_helper(stack: Stack, image: str, host: str, config: Docker, key: str) -> None:
    config.write(**{key: "made" if key == "credsStore" else {host: "made"}})
    config.helper()
    round_trip(stack, image, config)
    assert host in (config.directory / "asked").read_text().split()


def test_without_a_login(stack: Stack, image: str, config: Docker) -> None:
    pushed = stack.ours("push", check=False, **config.environment())
    assert pushed.returncode == 1
    assert f"cannot push image '{image}'" in pushed.stderr
    assert "composer login" in pushed.stderr
    stack.engine("rmi", image)
    stack.write(f"services: {{web: {{image: '{image}'}}}}")  # with a build, it would do without the image
    pulled = stack.ours("pull", check=False, **config.environment())
    assert pulled.returncode != 0
    assert f"cannot pull image '{image}'" in pulled.stderr
    assert "Traceback" not in pushed.stderr + pulled.stderr


def test_with_the_wrong_password(stack: Stack, image: str, host: str, config: Docker) -> None:
    config.login(host, "guessed")
    pushed = stack.ours("push", check=False, **config.environment())
    assert pushed.returncode == 1
    assert f"cannot push image '{image}'" in pushed.stderr
    assert "composer login" in pushed.stderr
    assert "guessed" not in pushed.stderr


def test_a_helper_that_is_not_there(stack: Stack, image: str, config: Docker) -> None:
    config.write(credsStore="nowhere")
    pushed = stack.ours("push", check=False, **config.environment())
    assert pushed.returncode == 1
    assert "docker-credential-nowhere" in pushed.stderr
    assert "bug" not in pushed.stderr


def test_a_helper_that_fails(stack: Stack, image: str, config: Docker) -> None:
    config.write(credsStore="made")
    config.helper("#!/bin/sh\necho 'the key ring is locked' >&2\nexit 3\n")
    pushed = stack.ours("push", check=False, **config.environment())
    assert pushed.returncode == 1
    assert "docker-credential-made" in pushed.stderr
    assert "bug" not in pushed.stderr
