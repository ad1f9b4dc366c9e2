"""A state directory of its own for each test, the command to use it, and the proof that nothing is left behind."""

from __future__ import annotations

import os
import pathlib
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import pytest

from tests import apart, forked
from tests.registries import registry
from tests.uploads import Memory

T = TypeVar("T")
COMMAND = str(pathlib.Path(sys.executable).with_name("composer"))


class Stack:
    """A project folder and its state directory, driven through the command line as a user does."""

    def __init__(self, directory: pathlib.Path, state: pathlib.Path, name: str) -> None:
        self.directory = directory
        self.state = state
        self.name = name

    def write(self, text: str, name: str = "compose.yaml") -> None:
        (self.directory / name).write_text(text)

    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        return {**kept, "COMPOSER_ROOT": str(self.state), "COMPOSE_PROJECT_NAME": self.name}

    def popen(
        self, *arguments: str, variables: Mapping[str, str] | None = None, **options: object
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(  # type: ignore[no-any-return]
            [COMMAND, "--backend", "namespace", *arguments],
            cwd=self.directory,
            env={**self.environment(), **(variables or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            **options,  # type: ignore[call-overload]
        )

    def run(
        self, *arguments: str, check: bool = True, timeout_s: float = 120, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command; with ``check`` a failure fails the test, with what was printed."""
        said = f"composer {' '.join(arguments)}"
        try:
            done = forked.run(
                ["--backend", "namespace", *arguments],
                cwd=self.directory,
                env={**self.environment(), **variables},
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired as error:
            pytest.fail(
                f"{said} took longer than {timeout_s} s\n{error.stdout!r}\n{error.stderr!r}{self.logs()}"
            )
        if check and done.returncode:
            pytest.fail(f"{said}: exit {done.returncode}\n{done.stdout}\n{done.stderr}{self.logs()}")
        return done

    def out(self, *arguments: str) -> str:
        return self.run(*arguments).stdout

    def up(self, text: str, *arguments: str) -> None:
        self.write(text)
        self.run("up", "-d", *arguments)

    def inside(self, service: str, *command: str) -> str:
        """Return what a command prints inside a service's first container."""
        return self.out("exec", "-T", service, *command)

    def shell(self, service: str, script: str) -> str:
        return self.inside(service, "sh", "-c", script).strip()

    def logs(self) -> str:
        """Return the runtime's own log, for a failing test."""
        found = sorted(self.state.glob("run/projects/*/supervisor.log"))
        return "".join(f"\n--- {path}\n{path.read_text()}" for path in found)

    def pid(self, role: str) -> int:
        """Return the pid of this project's keeper or supervisor."""
        return wait_for(
            lambda: find_process(f"composer: {role} {self.name}"), what=f"the {role} of {self.name}"
        )


def find_process(title: str) -> int:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                command = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            if command.rstrip(b"\0").decode(errors="replace").rstrip() == title:
                return int(entry)
    return 0


def wait_for(condition: Callable[[], T | None], *, timeout_s: float = 60, what: str = "it") -> T:
    """Return the condition's first true value; fail the test when it does not come, however busy the machine is."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline_s:
            pytest.fail(f"{what} did not happen within {timeout_s} s")
        time.sleep(0.01)


def listing() -> dict[str, list[str]]:
    """Return everything that a run could leave on this machine, whole lists, by kind."""
    mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    return {
        "processes": sorted(_our_processes()),
        "mounts": sorted(line.split(" ", 2)[2] for line in mounts),
        "network namespaces": sorted(_namespaces()),
        "cgroups": sorted(_cgroups()),
        "links": sorted(os.listdir("/sys/class/net")),
        "rules": [line for line in rules.splitlines() if "counter" not in line],
    }


_ENDING = ("processes", "network namespaces")
"""What may be on its way out when a test begins: somebody else's, and no loss."""


def left_behind(before: dict[str, list[str]], timeout_s: float = 30) -> dict[str, list[str]]:
    """Return what there is more (or less, with a minus) than before, once the kernel has had time to clean up."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        after = listing()
        found = {}
        for kind, entries in before.items():
            counted, counted_after = Counter(entries), Counter(after[kind])
            less = () if kind in _ENDING else (counted - counted_after).elements()
            found[kind] = [*(counted_after - counted).elements(), *(f"- {entry}" for entry in less)]
        found = {kind: entries for kind, entries in found.items() if entries}
        if not found or time.monotonic() > deadline_s:
            return found
        time.sleep(0.05)


def _cgroups() -> Iterator[str]:
    """Yield the cgroups of containers. Our own parent of them, when empty, is nobody's and goes with the next."""
    for parent in (apart.ROOT / "composer", *apart.ROOT.glob("*/composer")):
        try:
            yield from (str(path) for path in parent.iterdir() if path.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            continue  # no parent, or it went while we looked


def _processes() -> Iterator[str]:
    """Yield the processes of this workplace: not those of tests that run apart from these."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            groups = pathlib.Path(f"/proc/{entry}/cgroup").read_text()
        except OSError:
            continue
        if f"/{apart.NAME}-" not in groups:
            yield entry


def _our_processes() -> Iterator[str]:
    for entry in _processes():
        try:
            command = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace")
            comm = pathlib.Path(f"/proc/{entry}/comm").read_text().strip()
        except OSError:
            continue
        if command.startswith("composer: ") or comm.startswith("composer-"):
            yield f"{entry} {comm} {command[:80]}"


def _namespaces() -> Iterator[str]:
    """Yield the network namespaces that some process is in."""
    seen = set()
    for entry in _processes():
        try:
            seen.add(os.readlink(f"/proc/{entry}/ns/net"))
        except OSError:
            continue
    yield from seen


@pytest.fixture
def stack(tmp_path: pathlib.Path) -> Iterator[Stack]:
    """A project folder; after the test the project is taken down and nothing of it may be left."""
    before = listing()
    directory = tmp_path / "project"
    directory.mkdir()
    name = f"t{secrets.token_hex(4)}"
    made = Stack(directory, tmp_path / "state", name)
    yield made
    # by the name alone: a file that the test changed last declares fewer volumes than there are
    made.run("-f", "none.yaml", "down", "-v", "-t", "0", "--remove-orphans", check=False)
    assert left_behind(before) == {}, "something is left behind"
    left = [str(path.relative_to(made.state)) for path in _state_left(made.state)]
    assert left == [], "state files are left behind"


def _state_left(state: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield what is left of containers, names, networks, volumes and the run state."""
    parts = ("lib/containers", "lib/names", "lib/networks", "lib/volumes", "lib/supervision", "run/projects")
    for part in parts:
        yield from (state / part).glob("*")


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The registry of the distribution, by HOST:PORT."""
    with registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture
def memory() -> Iterator[Memory]:
    """A registry in memory."""
    with Memory() as made:
        yield made
