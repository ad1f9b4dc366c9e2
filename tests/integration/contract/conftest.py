"""What a backend is: the tests of this directory run against each of them, through the engine's own protocol.

A test says what a container does twice: as a shell command, for backends that run it, and as a `Behaviour`, for
the one in memory. A new backend is a `Place` more, and is done when everything here passes.
"""

from __future__ import annotations

import os
import pathlib
import secrets
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from composer.backends.memory import Behaviour, MemoryBackend
from composer.engine.backend import Backend, EventStream
from composer.engine.observed import ContainerState, Event
from composer.engine.wanted import ContainerSpec, EndpointSpec, NetworkSpec, VolumeSpec

T = TypeVar("T")
IMAGE = f"composer-contract-{secrets.token_hex(4)}"
"""Of this process alone: who imports it again changes what others run."""
PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"


class Place:
    """A backend, and a project on it that belongs to one test."""

    def __init__(self, backend: Backend, project: str, image: str) -> None:
        self.backend, self.project, self.image = backend, project, image

    @property
    def is_real(self) -> bool:
        return not isinstance(self.backend, MemoryBackend)

    def labels(self, **more: str) -> dict[str, str]:
        return {PROJECT: self.project, **more}

    def name(self, service: str) -> str:
        return f"{self.project}-{service}-1"

    def spec(
        self, service: str = "web", shell: str = "sleep 600", does: Behaviour | None = None, **more: Any
    ) -> ContainerSpec:
        """Return a container that runs a shell command; ``more`` are attributes, or fields of the spec."""
        if isinstance(self.backend, MemoryBackend):
            self.backend.behave(service, does or Behaviour())
        fields = {key: more.pop(key) for key in list(more) if key in ContainerSpec._fields}
        attributes = {"command": ["sh", "-c", shell], "stop_signal": "SIGKILL", **more}
        values = {
            "name": self.name(service),
            "project": self.project,
            "service": service,
            "number": 1,
            "image": self.image,
            "labels": self.labels(**{SERVICE: service}),
            "attributes": attributes,
            "network_mode": None if "endpoints" in fields else "none",
        }
        return ContainerSpec(**{**values, **fields})

    def create(self, *arguments: Any, **more: Any) -> str:
        return self.backend.create_container(self.spec(*arguments, **more))

    def start(self, *arguments: Any, **more: Any) -> str:
        id = self.create(*arguments, **more)
        self.backend.start_container(id)
        return id

    def state(self, id: str) -> ContainerState:
        return self.backend.container(id).state

    def network(self, key: str = "net") -> str:
        """Create a network and return its name."""
        name = f"{self.project}_{key}"
        self.backend.create_network(NetworkSpec(name, self.labels(), {}))
        return name

    def volume(self, key: str = "data") -> str:
        name = f"{self.project}_{key}"
        return self.backend.create_volume(VolumeSpec(name, self.labels(), {}))

    def endpoint(self, network: str, service: str, *aliases: str, **attributes: Any) -> EndpointSpec:
        return EndpointSpec(network, (self.name(service), service, *aliases), attributes)

    def output(self, id: str, *command: str) -> str:
        """Return what a command inside a container prints, for backends that run any."""
        from composer.engine.wanted import ExecSpec

        session = self.backend.exec(id, ExecSpec(command, interactive=False))
        try:
            data = b""
            while (chunk := session.read()) is not None:
                data += chunk[1]
            return data.decode()
        finally:
            session.close()

    def clean(self) -> None:
        """Remove everything that the test made."""
        observed = self.backend.observe(self.project)
        for container in observed.containers:
            self.backend.remove_container(container.id, force=True, volumes=True)
        for network in observed.networks:
            self.backend.remove_network(network.id)
        for volume in observed.volumes:
            self.backend.remove_volume(volume.name)
        self.backend.close()


def eventually(condition: Callable[[], T | None], timeout_s: float = 60, what: str = "it") -> T:
    """Return the first true value of a condition that no event tells of."""
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline_s:
            pytest.fail(f"{what} did not happen within {timeout_s} s")
        time.sleep(0.02)
    return value


def until(stream: EventStream, action: str, timeout_s: float = 60) -> list[Event]:
    """Return the events up to the first one with this action, which is the last of them."""
    found: list[Event] = []
    deadline_s = time.monotonic() + timeout_s
    while not found or found[-1].action != action:
        event = stream.next(max(0.01, deadline_s - time.monotonic()))
        if event is None:
            pytest.fail(f"no event '{action}' within {timeout_s} s, but {[e.action for e in found]}")
        found.append(event)
    return found


def root_archive(directory: pathlib.Path) -> str:
    """Return a tarball of a root file system with nothing but a static busybox under all its names."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("needs busybox-static for a small image")
    import subprocess

    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    path = directory / "root.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(busybox, "bin/busybox")
        for applet in applets:
            if applet != "busybox":
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(entry)
        for name in ("tmp", "etc", "srv"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
    return str(path)


def _memory(tmp: pathlib.Path) -> tuple[Backend, str]:
    return MemoryBackend(images=["host"]), "host"


def _namespace(tmp: pathlib.Path) -> tuple[Backend, str]:
    from composer.backends import namespace

    return namespace.connect({"COMPOSER_ROOT": str(tmp / "root")}), "host"


def engine() -> Backend:
    """Return the backend of the engine that the tests may use."""
    from composer.backends import docker

    return docker.connect({**os.environ, "DOCKER_HOST": os.environ["COMPOSER_TEST_DOCKER"]})


def provide_image(directory: pathlib.Path) -> None:
    """Have the engine know `IMAGE`."""
    backend = engine()
    if backend.find_image(IMAGE) is None:
        backend.import_image(root_archive(directory), IMAGE, {"Env": ["PATH=/bin"]})
        _provided.append(IMAGE)
    backend.close()


def remove_image() -> None:
    """Take from the engine what `provide_image` gave it: at the end of all tests."""
    if _provided:
        backend = engine()
        backend.remove_image(_provided.pop())
        backend.close()


_provided: list[str] = []


def _docker(tmp: pathlib.Path) -> tuple[Backend, str]:
    provide_image(tmp)
    return engine(), IMAGE


_PLACES = {"memory": _memory, "namespace": _namespace, "docker": _docker}


@pytest.fixture(
    params=[
        "memory",
        pytest.param("namespace", marks=pytest.mark.root),
        pytest.param("docker", marks=pytest.mark.docker),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Place]:
    backend, image = _PLACES[request.param](tmp_path)
    made = Place(backend, f"c{secrets.token_hex(4)}", image)
    yield made
    made.clean()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the memory backend where something has to run: there is nothing to skip, nothing was promised."""
    left = [item for item in items if item.get_closest_marker("real") and "[memory" in item.name]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
