"""What each fast verb imports: start-up time is a promise, and imports are what it is made of."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HEAVY = (
    "pydantic",
    "jsonschema",
    "networkx",
    "docker",
    "asyncio",
    "dataclasses",
    "logging",
    "subprocess",
    "http",
    "urllib3",
    "watchfiles",
)

PROGRAM = """
import io, json, sys
from composer.backends.memory import Behaviour, MemoryBackend
from composer.cli.main import run

class Lasting(MemoryBackend):
    def close(self): pass

backend = Lasting()
code = run(
    sys.argv[1:], {"HOME": "home", "COMPOSER_ROOT": "root"}, stdin=io.StringIO(), stdout=io.StringIO(),
    stderr=io.StringIO(), connect=lambda name, environment: backend,
)
print("=====" + json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""


def output_of(directory: Path, program: str, *arguments: str) -> str:
    """Run a Python program; return what it prints behind its mark."""
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return result.stdout.rpartition("=====")[2]


def modules_of(directory: Path, *arguments: str) -> set[str]:
    found = json.loads(output_of(directory, PROGRAM, *arguments))
    assert found["code"] == 0
    return set(found["modules"])


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "compose.yaml").write_text("name: app\nservices: {web: {image: nginx}}\n")
    return tmp_path


@pytest.mark.parametrize("arguments", [("ps",), ("logs",), ("down",), ("ls",), ("--help",), ("version",)])
def test_fast_verbs_import_nothing_heavy(directory: Path, arguments: tuple[str, ...]) -> None:
    modules = modules_of(directory, *arguments)
    assert not [name for name in modules if name.partition(".")[0] in HEAVY]


@pytest.mark.parametrize("arguments", [("ps",), ("ls",), ("logs",)])
def test_reading_verbs_need_neither_planner_nor_model(directory: Path, arguments: tuple[str, ...]) -> None:
    modules = modules_of(directory, *arguments)
    names = ("planning.reconcile", "running.execute", "plan", "operations", "resolving.resolve")
    unwanted = {f"composer.engine.{name}" for name in names}
    assert all(importlib.util.find_spec(name) for name in unwanted)
    assert not modules & (unwanted | {"composer.schema.validate"})


def test_reading_from_the_built_in_runtime_needs_no_system_calls_of_its_own(directory: Path) -> None:
    program = (
        "import sys\nfrom composer.cli.main import run\n"
        "code = run(['--backend', 'namespace', 'ps'], {'HOME': 'home', 'COMPOSER_ROOT': 'root'})\n"
        "print('=====', code, *sorted(sys.modules))"
    )
    code, *modules = output_of(directory, program).split()
    assert code == "0"
    assert "composer.backends.namespace.observing" in modules
    assert not {"ctypes", "composer.runtime.base.syscalls"} & set(modules)


def test_no_configuration_costs_no_import(directory: Path) -> None:
    assert "composer.cli.configuration" not in modules_of(directory, "ps")


def test_a_configuration_that_was_read_before_costs_no_import(directory: Path) -> None:
    config = directory / "home/.config/composer"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('progress = "plain"\n[registry."r"]\ninsecure = true\n')
    assert {"pydantic", "tomllib"} <= modules_of(directory, "ps")
    assert not {"pydantic", "tomllib", "hashlib"} & modules_of(directory, "ps")
    (config / "config.toml").write_text('progress = "quiet"\n')
    assert "pydantic" in modules_of(directory, "ps")


ANALYSIS = ("pydantic", "networkx")


@pytest.mark.parametrize(
    "arguments",
    [
        ("ps", "--format", "json"),
        ("ls", "--format", "json"),
        ("images", "--format", "json"),
        ("volume", "ls", "--format", "json"),
        ("network", "ls", "--format", "json"),
        ("events", "--json", "--since", "1h", "--until", "0s"),
        ("version", "--format", "json"),
        ("config", "--format", "json"),
        ("config", "--origins", "--format", "json"),
        ("lint", "--format", "json"),
        ("plan", "--json"),
        ("plan", "--out", "plan.json"),
        ("--progress", "json", "up", "-d", "--timeline", "times.json"),
        ("schema",),
    ],
)
def test_a_document_is_written_without_its_model(directory: Path, arguments: tuple[str, ...]) -> None:
    modules = modules_of(directory, *arguments)
    assert not [name for name in modules if name.partition(".")[0] in ANALYSIS]


def test_each_analysis_is_imported_where_it_is_done(directory: Path) -> None:
    """The other way round: the tests above would pass as well if nothing used the packages."""
    modules_of(directory, "plan", "--out", "plan.json")
    modules_of(directory, "up", "-d", "--timeline", "times.json")
    assert set(ANALYSIS) <= modules_of(directory, "graph", "--timeline", "times.json")
    assert {name for name in ANALYSIS if name in modules_of(directory, "apply", "plan.json")} == {"pydantic"}
    assert {name for name in ANALYSIS if name in modules_of(directory, "schema", "ps")} == {"pydantic"}
    assert {name for name in ANALYSIS if name in modules_of(directory, "graph")} == {"networkx"}
    assert {name for name in ANALYSIS if name in modules_of(directory, "graph", "--critical-path")} == {
        "networkx"
    }


def test_help_imports_no_command(directory: Path) -> None:
    assert not [name for name in modules_of(directory, "--help") if name.startswith("composer.cli.commands.")]


def test_up_on_a_project_that_was_seen_before_imports_nothing_heavy(directory: Path) -> None:
    modules_of(directory, "up", "-d")
    modules = modules_of(directory, "up", "-d")
    assert not [
        name for name in modules if name.partition(".")[0] in ("pydantic", "networkx", "docker", "asyncio")
    ]


def test_who_asks_for_no_timeline_pays_for_none(directory: Path) -> None:
    assert "composer.cli.timeline" not in modules_of(directory, "up", "-d")
    assert "composer.cli.timeline" in modules_of(directory, "up", "-d", "--timeline", "times.json")


def test_every_verb_of_the_table_exists_and_has_help() -> None:
    from composer.cli.main import COMMANDS, composer

    for verb, (_, text) in COMMANDS.items():
        command = composer.get_command(None, verb)  # type: ignore[arg-type]
        assert command is not None
        assert command.name == verb
        assert text
        for parameter in command.params:
            if getattr(parameter, "opts", ["-"])[0].startswith("-") and not getattr(
                parameter, "hidden", False
            ):
                assert getattr(parameter, "help", None), f"{verb} {parameter.opts} has no help"


ELSEWHERE = ("composer.session.remote", "composer.session.publishing", "composer.registry")


@pytest.mark.parametrize("arguments", [("ps",), ("config",), ("up", "-d"), ("plan",), ("down",)])
def test_a_project_of_this_machine_pays_nothing_for_those_from_elsewhere(
    directory: Path, arguments: tuple[str, ...]
) -> None:
    assert not [name for name in modules_of(directory, *arguments) if name.startswith(ELSEWHERE)]


def test_a_kept_file_from_elsewhere_needs_no_http(directory: Path) -> None:
    digest = "0" * 64
    kept = directory / f"home/.cache/composer/remote/oci/sha256-{digest}"
    kept.mkdir(parents=True)
    (kept / "compose.yaml").write_text("services: {web: {image: nginx}}")
    modules = modules_of(directory, "-f", f"oci://host.test/app@sha256:{digest}", "config")
    assert "composer.session.remote.oci" in modules
    assert not {"urllib3", "http", "subprocess"} & modules
