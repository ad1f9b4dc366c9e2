"""The example with a private registry: images are built, pushed to it, pulled from it and run.

What the README has a reader do once is done here in files of the test: a name for this machine, the authority that is
trusted, the login.
"""

from __future__ import annotations

import base64
import http.client
import os
import pathlib
import socket
import ssl
import subprocess
from collections.abc import Iterator

import pytest

from composer.runtime.base import syscalls
from tests.apart import ENTERED
from tests.e2e.example import Example
from tests.integration.contract.conftest import root_archive
from tests.integration.namespace.conftest import COMMAND

pytestmark = pytest.mark.root

NAME = "registry.localhost"
USER = "team"


@pytest.fixture
def known_name(tmp_path: pathlib.Path) -> Iterator[None]:
    """Let the registry's name be this machine. In a corner /etc/hosts is the worker's own."""
    try:
        socket.getaddrinfo(NAME, None)
        yield
        return
    except socket.gaierror:
        if ENTERED not in os.environ:
            pytest.skip(f"needs {NAME} in /etc/hosts, or a corner")
    hosts = tmp_path / "hosts"
    hosts.write_text(f"{pathlib.Path('/etc/hosts').read_text()}\n127.0.0.1 {NAME}\n")
    syscalls.mount(str(hosts), "/etc/hosts", None, syscalls.MS_BIND)
    yield
    syscalls.umount("/etc/hosts", syscalls.MNT_DETACH)


class Client(Example):
    """A project that uses the registry of another one."""

    def __init__(self, registry: Example, folder: str) -> None:
        super().__init__(registry.directory / folder, registry.state, f"{registry.name}-{folder}")
        self.registry, self.port = registry, registry.port

    def environment(self) -> dict[str, str]:
        home = str(self.registry.directory.parent / "home")
        settings = {"XDG_CONFIG_HOME": home, "DOCKER_CONFIG": home, "BASE": "small"}
        return {**super().environment(), **settings, "REGISTRY": f"{NAME}:{self.port}"}

    def trust(self) -> None:
        file = self.registry.directory.parent / "home" / "composer" / "config.toml"
        file.parent.mkdir(parents=True)
        authority = self.registry.directory / "certs" / "ca.pem"
        file.write_text(f'[registry."{NAME}:{self.port}"]\nca = "{authority}"\n')

    def log_in(self, password: str) -> subprocess.CompletedProcess[str]:
        words = ["login", f"{NAME}:{self.port}", "-u", USER, "--password-stdin"]
        return subprocess.run(
            [COMMAND, "--backend", "namespace", *words],
            cwd=self.directory,
            env=self.environment(),
            input=f"{password}\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def _asked(registry: Example, password: str | None = None) -> int:
    """Return the status of a request whose TLS trusts the example's authority and nobody else."""
    context = ssl.create_default_context(cafile=str(registry.directory / "certs" / "ca.pem"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    login = base64.b64encode(f"{USER}:{password}".encode()).decode()
    with (
        socket.create_connection(("127.0.0.1", registry.port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as encrypted,
    ):
        connection = http.client.HTTPConnection(NAME)
        connection.sock = encrypted
        connection.request("GET", "/v2/", headers={"Authorization": f"Basic {login}"} if password else {})
        return connection.getresponse().status


@pytest.fixture
def deploy(example: Example) -> Iterator[Client]:
    """The project that runs what was pushed."""
    made = Client(example, "deploy")
    yield made
    made.run("down", "-t", "1", check=False)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("example", ["registry"], indirect=True)
def test_an_image_is_built_pushed_pulled_and_run(
    example: Example, deploy: Client, base_archive: pathlib.Path, known_name: None, tmp_path: pathlib.Path
) -> None:
    example.run("image", "load", "-i", str(base_archive))
    example.run("up", "-d", "--wait")
    password = (example.directory / "password.txt").read_text().strip()
    assert [_asked(example), _asked(example, "wrong"), _asked(example, password)] == [401, 401, 200]

    develop = Client(example, "develop")
    example.run("image", "import", root_archive(tmp_path), "small")
    develop.run("build")
    assert "certificate verification failed" in develop.run("push", check=False).stderr
    develop.trust()
    assert "push access denied" in develop.run("push", check=False).stderr
    refused = develop.log_in("wrong")
    assert (refused.returncode, password in refused.stderr) == (1, False)
    accepted = develop.log_in(password)
    assert accepted.returncode == 0, accepted.stderr
    develop.run("push")

    image = f"{NAME}:{example.port}/team/greeting:1"
    example.run("image", "rm", image)
    deploy.run("up", "-d")
    assert deploy.run("wait", "greeting", check=False).returncode == 0
    assert "hello from version 1" in deploy.out("logs", "greeting")
    deploy.run("down")

    # a second version; the first one stays what it was
    develop.run("build", VERSION="2")
    develop.run("push", VERSION="2")
    example.run("image", "rm", image, image.replace(":1", ":2"))
    assert "hello from version 2" in deploy.run("up", VERSION="2").stdout
    assert "hello from version 1" in deploy.run("up").stdout
    deploy.run("down")

    # certificates and images outlive the registry's containers
    authority = (example.directory / "certs" / "ca.pem").read_text()
    example.run("down")
    example.run("up", "-d", "--wait")
    assert (example.directory / "certs" / "ca.pem").read_text() == authority
    deploy.run("pull")
