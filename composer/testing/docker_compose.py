"""testcontainers-python's ``DockerCompose``, with composer behind it: ``from composer.testing import DockerCompose``.

Its known faults are mended: each object has a project of its own, so two in one directory do not take each other
down, and addresses and ports are those that this machine reaches.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import urllib.request
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.engine import labels
from composer.stacks import loading, surroundings
from composer.stacks.stack import Stack
from composer.stacks.waits import Patience
from composer.testing.reaping import Reaper

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from composer.engine.observed import ObservedContainer

_WAIT_S = 120.0


class NoSuchPortExposed(errors.ProjectError):
    """No port of the container fits."""


class ContainerIsNotRunning(errors.ProjectError):
    """There is no such container."""


@dataclasses.dataclass
class PublishedPortModel:
    """A published port, in docker compose's words."""

    URL: str | None = None
    TargetPort: int | None = None
    PublishedPort: int | None = None
    Protocol: str | None = None

    def normalize(self) -> PublishedPortModel:
        """Return it with an address that can be connected to."""
        url = "127.0.0.1" if self.URL in (None, "", "0.0.0.0", "::") else self.URL
        return dataclasses.replace(self, URL=url)


@dataclasses.dataclass
class ComposeContainer:
    """A container of the project."""

    ID: str | None = None
    Name: str | None = None
    Command: str | None = None
    Project: str | None = None
    Service: str | None = None
    State: str | None = None
    Health: str | None = None
    ExitCode: int | None = None
    Publishers: list[PublishedPortModel] = dataclasses.field(default_factory=list)

    def get_publisher(
        self, by_port: int | None = None, by_host: str | None = None, prefer_ip_version: str = "IPv4"
    ) -> PublishedPortModel:
        """Return the one published port that fits. Raises NoSuchPortExposed."""
        wants_v6 = prefer_ip_version == "IPv6"
        fitting = [
            one
            for one in self.Publishers
            if (by_port is None or one.TargetPort == by_port)
            and (by_host is None or by_host == one.URL)
            and wants_v6 is (":" in (one.URL or ""))
        ]
        if len(fitting) != 1:
            raise NoSuchPortExposed(
                f"{len(fitting)} published ports of service {self.Service} fit port={by_port} host={by_host}",
                hint="name one with by_port, and publish it in the compose file",
            )
        return fitting[0]

    def get_container_host_ip(self) -> str:
        """Return the address that the published ports are reached at."""
        return "127.0.0.1"

    def get_exposed_port(self, port: int) -> int:
        """Return the host's port that a port is published on."""
        found = self.get_publisher(by_port=int(port)).PublishedPort
        assert found is not None
        return found

    @property
    def status(self) -> str:
        return self.State or "unknown"


class DockerCompose:
    """A compose project, up for the block of a ``with``."""

    def __init__(
        self,
        context: str | os.PathLike[str],
        compose_file_name: str | list[str] | None = None,
        pull: bool = False,
        build: bool = False,
        wait: bool = True,
        keep_volumes: bool = False,
        env_file: str | list[str] | None = None,
        services: list[str] | None = None,
        docker_command_path: str | None = None,
        profiles: list[str] | None = None,
        quiet_pull: bool = False,
        quiet_build: bool = False,
    ) -> None:
        """The arguments are testcontainers'. ``docker_command_path`` has no meaning here: nothing is run."""
        self.context = os.path.abspath(context)
        self.pull, self.build, self.wait, self.keep_volumes = pull, build, wait, keep_volumes
        names = [compose_file_name] if isinstance(compose_file_name, str) else compose_file_name or []
        env_files = [env_file] if isinstance(env_file, str) else env_file or []
        self.services, self.profiles = services, profiles
        digest = hashlib.sha256(f"{self.context} {os.getpid()} {id(self)}".encode()).hexdigest()[:8]
        project = loading.load(
            [os.path.join(self.context, name) for name in names],
            directory=self.context,
            profiles=profiles or (),
            env_files=[os.path.join(self.context, name) for name in env_files],
            name=f"testcontainers-{digest}",
        )
        self._stack = Stack(project, services=services or ())
        self._reaper = Reaper(surroundings.environment())
        self._strategies: dict[str, Any] = {}

    @property
    def stack(self) -> Stack:
        """The stack behind it, with all that composer's own API has."""
        return self._stack

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop(not self.keep_volumes)

    def waiting_for(self, strategies: dict[str, Any]) -> Self:
        """Wait, in `start`, with a strategy of testcontainers for each of these services."""
        self._strategies = strategies
        return self

    def start(self) -> None:
        """Bring the project up."""
        if not self.keep_volumes:
            self._reaper.add(self._stack.name, None)
        self._stack.up(wait=self.wait, build=True if self.build else None)
        for service, strategy in self._strategies.items():
            strategy.wait_until_ready(self.get_container(service))

    def stop(self, down: bool = True) -> None:
        """Take the project down, with its volumes; without ``down`` only stop it."""
        try:
            if down:
                self._stack.down(volumes=not self.keep_volumes)
            else:
                for service in self._stack.services:
                    self._stack[service].stop()
            self._reaper.remove(self._stack.name)
        finally:
            self._reaper.close()
            self._stack.close()

    def get_logs(self, *services: str) -> tuple[str, str]:
        """Return what services have printed, on stdout and on stderr."""
        texts: dict[str, list[str]] = {"stdout": [], "stderr": []}
        for line in self._stack.logs(services=services):
            texts[line.stream].append(f"{line.container}  | {line.text}\n")
        return "".join(texts["stdout"]), "".join(texts["stderr"])

    def get_containers(self, include_all: bool = False) -> list[ComposeContainer]:
        """Return the running containers; with ``include_all`` the others too."""
        return [_shown(one) for one in self._stack.ps(all=include_all)]

    def get_container(self, service_name: str | None = None, include_all: bool = False) -> ComposeContainer:
        """Return a service's container, or the only one there is. Raises ContainerIsNotRunning."""
        found = self.get_containers(include_all)
        fitting = [one for one in found if service_name is None or one.Service == service_name]
        if not fitting or (service_name is None and len(fitting) > 1):
            what = (
                f"container of {service_name}"
                if service_name
                else f"only container: there are {len(fitting)}"
            )
            raise ContainerIsNotRunning(f"no {what}", hint="name a service that is up")
        return fitting[0]

    def exec_in_container(
        self, command: list[str] | str, service_name: str | None = None
    ) -> tuple[str, str, int]:
        """Run a command in a service's container; return (stdout, stderr, exit code)."""
        service = service_name or self.get_container().Service
        words = [command] if isinstance(command, str) else command
        result = self._stack[str(service)].exec(words, check=False)
        return result.stdout, result.stderr, result.exit_code

    def get_service_port(self, service_name: str | None = None, port: int | None = None) -> int | None:
        return self.get_container(service_name).get_publisher(by_port=port).normalize().PublishedPort

    def get_service_host(self, service_name: str | None = None, port: int | None = None) -> str | None:
        return self.get_container(service_name).get_publisher(by_port=port).normalize().URL

    def get_service_host_and_port(
        self, service_name: str | None = None, port: int | None = None
    ) -> tuple[str | None, int | None]:
        found = self.get_container(service_name).get_publisher(by_port=port).normalize()
        return found.URL, found.PublishedPort

    def wait_for(self, url: str) -> Self:
        """Wait until a URL answers. Raises Timeout after two minutes."""
        patience = Patience(_WAIT_S)
        while True:
            try:
                with urllib.request.urlopen(url, timeout=5) as response:
                    response.read()
                return self
            except OSError as error:
                if not patience.pause():
                    raise errors.Timeout(f"{url} did not answer within {_WAIT_S:g} s: {error}") from error


def _shown(one: ObservedContainer) -> ComposeContainer:
    return ComposeContainer(
        ID=one.id,
        Name=one.name,
        Command=" ".join(one.command),
        Project=labels.project_of(one),
        Service=labels.service_of(one),
        State=one.state.value,
        Health="" if one.health.value == "none" else one.health.value,
        ExitCode=one.exit_code or 0,
        Publishers=[
            PublishedPortModel(port.host_ip or "0.0.0.0", port.container_port, port.host_port, port.protocol)
            for port in one.ports
            if port.host_port
        ],
    )
