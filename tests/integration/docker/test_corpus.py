"""Projects of others are taken over in both directions; one changed variable recreates one container.

The projects are those of ``examples/compose`` and of the directories in ``COMPOSE_ADOPTION`` (separated by ``:``;
``make adoption`` passes it on, for that takes longer than the tests may). Each is as it is, with a second file on
top: every image is stood in for by a small local one of the same name, every command sleeps, every health check
succeeds, and published ports are free ones.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from composer.schema.files import COMPOSE_NAMES
from tests.integration.contract.conftest import IMAGE
from tests.integration.docker.conftest import Stack

pytestmark = [pytest.mark.docker, pytest.mark.oracle, pytest.mark.timeout(180)]

ROOT = pathlib.Path(__file__).parents[3]
FEATURES = """
services:
  base:
    image: made/base:1.0
    command: sleep 600
    env_file: [{path: vars.env}, {path: absent.env, required: false}]
    healthcheck: {test: curl localhost, interval: 1s, start_period: 1s}
    configs: [{source: page, target: /srv/page}, plain]
    networks: {inner: {ipv4_address: SUBNET.9}}
  replicated: {image: made/base:1.0, scale: 3, depends_on: {base: {condition: service_healthy}}}
  deployed: {image: made/base:1.0, deploy: {replicas: 2}, profiles: [chosen], volumes: [data:/data]}
  absent: {image: made/absent, profiles: [other]}
  built: {build: ., networks: [inner, default], links: [base:other]}
networks: {inner: {ipam: {config: [{subnet: SUBNET.0/24, gateway: SUBNET.1}]}, labels: {a: b}}}
volumes: {data: {name: made-$COMPOSE_PROJECT_NAME, labels: [x=y]}}
configs: {page: {content: "in $COMPOSE_PROJECT_NAME"}, plain: {file: vars.env}}
"""
SHARED = ("network_mode", "pid", "ipc")


def projects() -> list[pathlib.Path]:
    above = [
        str(ROOT / "examples" / "compose"),
        *filter(None, os.environ.get("COMPOSE_ADOPTION", "").split(":")),
    ]
    return [
        path for directory in above for path in sorted(pathlib.Path(directory).iterdir()) if _can_run(path)
    ]


def _can_run(path: pathlib.Path) -> bool:
    """Tell a project whose images can be stood in for: not those of another architecture."""
    files = [path / name for name in COMPOSE_NAMES if (path / name).exists()]
    return bool(files) and "wasi/wasm" not in files[0].read_text()


class Project:
    """A project of somebody's, with stand-ins on top. Variables of ``changed`` are the only thing that changes."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        file = next(name for name in COMPOSE_NAMES if (stack.directory / name).exists())
        self.flags = ("--profile", "chosen", "-f", file, "-f", "stand-in.json")
        asked = stack.theirs("--profile", "chosen", "-f", file, "config", "--format", "json")
        model = json.loads(asked.stdout)
        self.services: dict[str, dict[str, Any]] = model["services"]
        # not the names in the file: who keeps images of these names on the engine has nothing to do with tests
        self.images = {f"{stack.name}-{name}" for name in self.services}
        for kept in (*model.get("secrets", {}).values(), *model.get("configs", {}).values()):
            _make(kept.get("file"))
        self.write()

    def write(self, **changed: str) -> None:
        finished = {
            name
            for service in self.services.values()
            for name, how in (service.get("depends_on") or {}).items()
            if how["condition"] == "service_completed_successfully"
        }
        over = {name: _stand_in(service, done=name in finished) for name, service in self.services.items()}
        for name, service in self.services.items():
            if service.get("image"):
                over[name]["image"] = f"{self.stack.name}-{name}"
        over[self.leaf]["environment"] = changed
        (self.stack.directory / "stand-in.json").write_text(json.dumps({"services": over}))

    @property
    def leaf(self) -> str:
        """A service that no other one needs, so that its recreation is nobody else's business."""
        needed = {name for service in self.services.values() for name in service.get("depends_on") or {}}
        for service in self.services.values():
            needed |= {str(service.get(key, "")).removeprefix("service:") for key in SHARED}
            needed |= {entry.partition(":")[0] for entry in service.get("links") or ()}
        return max(name for name in self.services if name not in needed)

    def ours(self, *arguments: str) -> str:
        return self.stack.ours(*self.flags, *arguments).stdout

    def theirs(self, *arguments: str) -> str:
        return self.stack.theirs(*self.flags, *arguments).stderr

    def is_settled(self) -> bool:
        """Tell whether nothing is left to do, but for jobs that have ended, which every `up` starts again."""
        text = self.ours("plan").strip()
        return text.startswith("nothing to do") or bool(_STARTS_ONLY.search(text))

    def containers(self) -> dict[str, str]:
        """Return the id of each container by its name."""
        only = f"label=com.docker.compose.project={self.stack.name}"
        text = self.stack.engine("ps", "-a", "--no-trunc", "--filter", only, "--format", "{{.Names}} {{.ID}}")
        return dict(line.split() for line in text.splitlines())

    def recreated(self, before: dict[str, str]) -> set[str]:
        """Return the services of the containers that are no longer, or newly, there."""
        after = self.containers()
        assert before.keys() == after.keys()
        new = [id for name, id in after.items() if before[name] != id]
        return set(self.stack.engine("inspect", "-f", _SERVICE, *new).split()) if new else set()


_STARTS_ONLY = re.compile(r"^\d+ changes?: \d+ to start; \d+ unchanged$", re.MULTILINE)
_SERVICE = '{{index .Config.Labels "com.docker.compose.service"}}'


def _make(file: str | None) -> None:
    """Make the file of a secret that its project does not come with."""
    if file and not os.path.exists(file):
        os.makedirs(os.path.dirname(file), exist_ok=True)
        pathlib.Path(file).write_text("stand-in")


def _stand_in(service: dict[str, Any], *, done: bool) -> dict[str, Any]:
    over: dict[str, Any] = {
        "entrypoint": ["sh", "-c", "exit 0" if done else "sleep 600", "--"],
        "stop_signal": "SIGKILL",
        "init": False,  # an engine may come without docker-init
    }
    if service.get("user"):
        over["user"] = "0"
    if service.get("healthcheck"):
        over["healthcheck"] = {"test": ["CMD", "true"], "interval": "1s", "start_period": "0s"}
    return over


@pytest.fixture
def project(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Project]:
    source: pathlib.Path | None = request.param
    if source is None:
        stack.write(FEATURES)
        (stack.directory / "vars.env").write_text("ONE=1\nTWO='$ONE and \"two\"'\n")
    else:
        shutil.copytree(source, stack.directory, dirs_exist_ok=True, symlinks=True)
    _free_ports(stack)
    made = Project(stack)
    for image in made.images:
        stack.engine("tag", IMAGE, image)
    yield made
    stack.theirs(*made.flags, "down", "-v", "-t", "0", check=False)
    # by the tag alone: what else has the image keeps it
    stack.engine("rmi", "--no-prune", *made.images)


def _free_ports(stack: Stack) -> None:
    """Let the engine choose the published ports: those in the file may be taken here."""
    import yaml

    file = next(stack.directory / name for name in COMPOSE_NAMES if (stack.directory / name).exists())
    tree = yaml.safe_load(file.read_text())
    for service in tree["services"].values():
        service["ports"] = [_free(entry) for entry in service.get("ports") or ()]
    file.write_text(yaml.safe_dump(tree, sort_keys=False))


def _free(entry: Any) -> Any:
    if isinstance(entry, dict):
        return {key: value for key, value in entry.items() if key != "published"}
    target, _, protocol = str(entry).rpartition(":")[2].partition("/")
    return f"127.0.0.1::{target}/{protocol or 'tcp'}"


every = pytest.mark.parametrize(
    "project", [None, *projects()], ids=lambda path: "features" if path is None else path.name, indirect=True
)


@every
def test_theirs_becomes_ours(project: Project) -> None:
    project.theirs("up", "-d", "--no-build")
    assert project.is_settled(), project.ours("plan")
    before = project.containers()
    project.ours("up", "-d", "--no-build")
    assert project.containers() == before
    project.write(CHANGED="1")
    project.ours("up", "-d", "--no-build")
    assert project.recreated(before) == {project.leaf}
    before = project.containers()
    project.theirs("up", "-d", "--no-build")
    assert project.containers() == before


@every
def test_ours_becomes_theirs(project: Project) -> None:
    project.ours("up", "-d", "--no-build")
    assert project.is_settled(), project.ours("plan")
    before = project.containers()
    said = project.theirs("up", "-d", "--no-build")
    assert project.containers() == before, said
    project.write(CHANGED="1")
    project.theirs("up", "-d", "--no-build")
    assert project.recreated(before) == {project.leaf}
    assert project.is_settled(), project.ours("plan")
