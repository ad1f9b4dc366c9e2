"""``composer config``: each flag, on one project."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from composer.cli.commands.config import command
from composer.engine.resolving.hashing import service_hash
from composer.errors import DisabledService
from composer.schema.load import LoadOptions, load
from composer.schema.model import Project
from tests.unit.schema.project import write

TEXT = """\
name: demo
services:
  web:
    image: nginx:${TAG:-1}
    networks: [front]
    environment: {A: "$$x"}
    env_file: web.env
    x-note: hi
  job: {build: ., profiles: [ops], volumes: ["data:/d"]}
networks: {front: {}, unused: {}}
volumes: {data: {}}
models: {m: {model: ai/m}}
"""


class Console:
    """What the command asks of its context."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.stdout = io.StringIO()
        self.warnings: list[str] = []
        self.working_dir = str(directory)
        self._options = LoadOptions(working_dir=str(directory), environment={"E": "1"}, **options)

    def load_options(self) -> LoadOptions:
        return self._options

    def as_instance(self, project: Project) -> Project:
        return project

    def display(self) -> SimpleNamespace:
        return SimpleNamespace(warn=self.warnings.append)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write(tmp_path, {"compose.yaml": TEXT, "web.env": "B=2\n"})
    return tmp_path


def run(directory: Path, *arguments: str, **options: Any) -> str:
    console = Console(directory, **options)
    result = CliRunner().invoke(
        command, list(arguments), obj=console, catch_exceptions=False, standalone_mode=False
    )
    assert result.exit_code == 0, result.output
    return console.stdout.getvalue()


def test_yaml_by_default(directory: Path) -> None:
    assert run(directory) == (
        'name: demo\nservices:\n  web:\n    environment:\n      A: $$x\n      B: "2"\n    image: nginx:1\n'
        "    networks:\n      front: null\n    x-note: hi\nnetworks:\n  front:\n    name: demo_front\n"
    )


def test_json(directory: Path) -> None:
    model = json.loads(run(directory, "--format", "json"))
    assert model["services"]["web"]["environment"] == {"A": "$$x", "B": "2"}
    assert list(model) == ["name", "networks", "services"]


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["--services"], ["web"]),
        (["--networks"], ["front"]),
        (["--volumes"], []),
        (["--images"], ["nginx:1"]),
        (["--profiles"], ["ops"]),
        (["--environment"], ["COMPOSE_PROJECT_NAME=demo", "E=1", "PWD=DIRECTORY"]),
        (["--services", "job"], ["web"]),
        (["--volumes", "job"], []),
        (["--images", "job"], ["demo-job"]),
        (["-q"], []),
    ],
)
def test_lists(directory: Path, arguments: list[str], lines: list[str]) -> None:
    assert run(directory, *arguments).replace(str(directory), "DIRECTORY").splitlines() == lines


def test_services_stand_after_what_they_depend_on(directory: Path) -> None:
    write(directory, {"compose.yaml": "services: {a: {image: i, depends_on: [z]}, z: {image: i}}\n"})
    assert run(directory, "--services").splitlines() == ["z", "a"]


def test_what_is_disabled_has_no_hash_and_is_no_dependency(directory: Path) -> None:
    with pytest.raises(DisabledService, match="'job' is not enabled"):
        run(directory, "--hash", "job")
    text = "services: {a: {image: i, depends_on: [z], profiles: [p]}, z: {image: i, profiles: [q]}}\n"
    write(directory, {"compose.yaml": text})
    with pytest.raises(
        DisabledService,
        match="service 'a' depends on service 'z', which is not enabled by any active profile",
    ):
        run(directory, "a")


def test_variables(directory: Path) -> None:
    assert run(directory, "--variables").splitlines() == [
        "NAME                REQUIRED            DEFAULT VALUE       ALTERNATE VALUE",
        "TAG                 false               1                   ",
    ]
    assert json.loads(run(directory, "--variables", "--format", "json"))["TAG"]["DefaultValue"] == "1"


def test_hash_of_one_and_of_all(directory: Path) -> None:
    one = run(directory, "--hash", "web")
    assert one == run(directory, "--hash", "*")
    name, digest = one.split()
    assert (name, len(digest)) == ("web", 64)
    # the label's, which is made of resolved files; docker compose 2.40's --hash is not, whatever the flags
    resolved = load(LoadOptions(working_dir=str(directory), environment={})).tree["services"]["web"]
    assert "A" in resolved["environment"]
    assert service_hash(resolved) == digest
    assert run(directory, "--hash", "web", "--no-env-resolution") != one


def test_origins(directory: Path) -> None:
    assert run(directory, "--origins", "services.web.environment").splitlines() == [
        'services.web.environment.A: "$x"  ← compose.yaml:6:22',
        'services.web.environment.B: "2"  ← web.env:1:1',
    ]
    assert "(variable TAG, not set)" in run(directory, "--origins", "services.web.image")
    assert "networks.front.name" in run(directory, "--origins")


def test_no_interpolate_keeps_the_texts(directory: Path) -> None:
    text = run(directory, "--no-interpolate")
    assert "image: nginx:${TAG:-1}" in text and "A: $$x" in text


def test_the_other_switches(directory: Path) -> None:
    assert "env_file" in run(directory, "--no-env-resolution")
    assert "name: demo_front" not in run(directory, "--no-normalize")
    assert "source: web.env" not in run(directory, "--no-path-resolution")
    write(directory, {"compose.yaml": "services: {a: {}}"})
    assert run(directory, "--no-consistency", "--services") == "a\n"


def test_output_file(directory: Path) -> None:
    assert run(directory, "-o", str(directory / "out.yaml")) == ""
    assert (directory / "out.yaml").read_text() == run(directory)


def test_without_normalising_empty_resources_are_empty_mappings(directory: Path) -> None:
    write(directory, {"compose.yaml": "services: {a: {image: i, volumes: ['vol:/v']}}\nvolumes: {vol: }\n"})
    assert "  vol: {}\n" in run(directory, "--no-normalize")
    assert json.loads(run(directory, "--no-normalize", "--format", "json"))["volumes"] == {"vol": {}}


def test_without_interpolation_lists_stay_lists(directory: Path) -> None:
    write(directory, {"compose.yaml": "services: {a: {image: i, environment: ['K=${V}', L]}}\n"})
    assert "      - K=${V}\n      - L\n" in run(directory, "--no-interpolate")
