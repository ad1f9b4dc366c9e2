"""pytest-docker's fixtures, with composer behind them: ``from composer.testing.docker_services import *``.

A project's own fixtures of these names (``docker_compose_file``, ``docker_setup``, …) go on as they are. Unlike there,
what a setup that failed has made is taken down too, and so is the stack of a pytest that was killed.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from composer.stacks import surroundings
from composer.testing.reaping import Reaper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "DockerComposeExecutor",
    "Services",
    "docker_cleanup",
    "docker_compose_command",
    "docker_compose_file",
    "docker_compose_project_name",
    "docker_ip",
    "docker_services",
    "docker_setup",
    "get_docker_services",
]

_COMMAND = f"{shlex.quote(sys.executable)} -m composer"


def containers_scope(fixture_name: str, config: pytest.Config) -> Any:
    """Return the scope of the fixtures: pytest-docker's option, where it is there."""
    return config.getoption("--container-scope", "session")


class DockerComposeExecutor:
    """Runs commands of a project: ``executor.execute("ps")``."""

    def __init__(self, command: str, files: Any, project: str) -> None:
        self.command, self.project = command, project
        self.files = [str(file) for file in _listed(files)]

    def execute(self, subcommand: str, success_codes: Iterable[int] = (0,), **_: Any) -> bytes:
        """Run a command and return what it printed. Raises an Exception with all of it for another exit code."""
        words = [*shlex.split(self.command), *(word for file in self.files for word in ("-f", file))]
        words += ["-p", self.project, *shlex.split(subcommand)]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode not in tuple(success_codes):
            text = done.stdout.decode(errors="replace")
            raise Exception(f'Command {" ".join(words)} returned {done.returncode}: """{text}""".')
        return done.stdout


class Services:
    """The services of a project that is up."""

    def __init__(self, compose_executor: DockerComposeExecutor) -> None:
        self._docker_compose = compose_executor
        self._services: dict[Any, dict[Any, int]] = {}

    def port_for(self, service: str, container_port: int) -> int:
        """Return the host's port that a port of a service is published on. Raises ValueError."""
        cached = self._services.get(service, {}).get(container_port)
        if cached is not None:
            return cached
        output = self._docker_compose.execute(f"port {service} {container_port:d}", (0, 1))
        text = output.decode().strip().splitlines()
        found = text[-1].rpartition(":")[2] if text else ""
        if not found.isdecimal():
            raise ValueError(f'Could not detect port for "{service}:{container_port:d}".')
        self._services.setdefault(service, {})[container_port] = int(found)
        return int(found)

    def wait_until_responsive(
        self,
        check: Callable[[], bool],
        timeout: float,
        pause: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Call ``check`` until it returns True. Raises an Exception when ``timeout`` seconds have passed."""
        reference = now = clock()
        while now - reference < timeout:
            if check():
                return
            time.sleep(pause)
            now = clock()
        raise Exception("Timeout reached while waiting on service!")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


@pytest.fixture(scope=containers_scope)
def docker_ip() -> str:
    """Where published ports are reached."""
    host = surroundings.environment().get("DOCKER_HOST", "")
    is_remote = host and not host.startswith(("unix:", "npipe:", "fd:"))
    return host.partition("://")[2].rpartition("@")[2].partition(":")[0] if is_remote else "127.0.0.1"


@pytest.fixture(scope=containers_scope)
def docker_compose_command() -> str:
    """The command that is run."""
    return _COMMAND


@pytest.fixture(scope=containers_scope)
def docker_compose_file(pytestconfig: pytest.Config) -> Any:
    """The compose file, or a list of them."""
    return os.path.join(str(pytestconfig.rootpath), "tests", "docker-compose.yml")


@pytest.fixture(scope=containers_scope)
def docker_compose_project_name(request: pytest.FixtureRequest) -> str:
    """The project's name: one for each process of pytest."""
    worker = getattr(request.config, "workerinput", {}).get("workerid", "")
    return f"pytest{os.getpid()}{worker}"


@pytest.fixture(scope=containers_scope)
def docker_cleanup() -> Any:
    """The commands that take the project down."""
    return ["down -v"]


@pytest.fixture(scope=containers_scope)
def docker_setup() -> Any:
    """The commands that bring the project up."""
    return ["up --build --wait"]


@contextlib.contextmanager
def get_docker_services(
    docker_compose_command: str,
    docker_compose_file: Any,
    docker_compose_project_name: str,
    docker_setup: Any,
    docker_cleanup: Any,
) -> Iterator[Services]:
    """Bring a project up for the block, and take it down in any case."""
    executor = DockerComposeExecutor(docker_compose_command, docker_compose_file, docker_compose_project_name)
    reaper = Reaper(surroundings.environment())
    commands = _listed(docker_cleanup) if docker_cleanup else []
    if commands and docker_compose_command == _COMMAND:
        reaper.add(docker_compose_project_name, None)
    try:
        try:
            for command in _listed(docker_setup) if docker_setup else []:
                executor.execute(command)
            yield Services(executor)
        finally:
            for command in commands:
                executor.execute(command)
            reaper.remove(docker_compose_project_name)
    finally:
        reaper.close()


@pytest.fixture(scope=containers_scope)
def docker_services(
    docker_compose_command: str,
    docker_compose_file: Any,
    docker_compose_project_name: str,
    docker_setup: Any,
    docker_cleanup: Any,
) -> Iterator[Services]:
    """The services of the project, up and ready."""
    with get_docker_services(
        docker_compose_command,
        docker_compose_file,
        docker_compose_project_name,
        docker_setup,
        docker_cleanup,
    ) as services:
        yield services
