"""What each command writes is what its model, and so the published schema, says."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from composer import backends, documents
from composer.backends.memory import Behaviour
from composer.cli.booting.scripts import OPENRC
from composer.cli.commands import boot
from composer.cli.configuration import Configuration
from composer.documents import plans, timeline
from composer.documents.configuration import ConfigFile
from composer.engine import saved
from composer.engine.backend import Finding
from composer.engine.inspected import DiskUse, ImageUse
from composer.engine.operations import registry
from composer.engine.options import Options
from composer.engine.planning.lifecycle import Teardown
from composer.errors import ProjectError
from composer.runtime.objects.booting import Returning
from tests.documents import check
from tests.unit.cli.console import Console

WRITERS: dict[str, Callable[[Console], str]] = {
    "events": lambda c: c("events", "--json", "--since", "1h", "--until", "0s").out,
    "graph": lambda c: c("graph", "--format", "json").out,
    "image-history": lambda c: c("image", "history", "--format", "json", "nginx").out,
    "image-inspect": lambda c: c("image", "inspect", "nginx").out,
    "image-ls": lambda c: c("image", "ls", "--format", "json").out,
    "images": lambda c: c("images", "--format", "json").out,
    "lint": lambda c: c("lint", "--format", "json").out,
    "logs": lambda stack: (stack.backend.write("app-web-1", "a line\n"), stack("logs", "--json").out)[1],
    "ls": lambda c: c("ls", "--format", "json").out,
    "network-inspect": lambda c: c("network", "inspect", "app_default").out,
    "network-ls": lambda c: c("network", "ls", "--format", "json").out,
    "origins": lambda c: c("config", "--origins", "--format", "json").out,
    "plan": lambda c: c("plan", "--json", DEBUG="1").out,
    "progress": lambda c: c("--progress", "json", "up", "-d", DEBUG="2").err,
    "project": lambda c: c("config", "--format", "json").out,
    "ps": lambda c: c("ps", "-a", "--format", "json").out,
    "saved-plan": lambda c: _file(c, "p.json", "plan", "--out", "p.json", DEBUG="1"),
    "stats": lambda c: c("stats", "--no-stream", "--format", "json").out,
    "timeline": lambda c: _file(c, "t.json", "up", "-d", "--timeline", "t.json", DEBUG="3"),
    "variables": lambda c: c("config", "--variables", "--format", "json").out,
    "version": lambda c: c("version", "--format", "json").out,
    "volume-inspect": lambda c: c("volume", "inspect", "app_data").out,
    "volume-ls": lambda c: c("volumes", "--format", "json").out + c("volume", "ls", "--format", "json").out,
}
ELSEWHERE = {"boot", "config-file", "doctor", "doctor-clean", "system-df"}
"""Tested below; the configuration file, which is read only, in tests/unit/cli/test_configuration.py."""


def _file(console: Console, name: str, *arguments: str, **environment: str) -> str:
    assert console(*arguments, terminal=False, **environment).code == 0
    return (console.directory / name).read_text()


def test_every_document_is_written_by_a_test() -> None:
    assert WRITERS.keys() | ELSEWHERE == documents.DOCUMENTS.keys()


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_what_is_written_is_what_the_model_says(stack: Console, name: str) -> None:
    check(name, WRITERS[name](stack))


def test_the_models_are_not_looser_than_what_is_written(stack: Console) -> None:
    """A key more or less is an error, so that neither side changes alone."""
    (row, *_) = check("ps", WRITERS["ps"](stack))
    for broken in ({**row, "New": 1}, {key: value for key, value in row.items() if key != "State"}):
        with pytest.raises(ValidationError):
            documents.adapter("ps").validate_python(broken)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, documents.schema("ps"))


def test_documents_of_other_states(console: Console) -> None:
    console.write("services: {web: {image: i, ports: ['80']}, job: {image: i, x-unknown: 1}}")
    console.backend.behave("job", Behaviour(exits=(3,)))
    console("up", "-d")
    states = {row["State"] for row in check("ps", console("ps", "-a", "--format", "json").out)}
    assert states == {"running", "exited"}
    down = console("plan", "--destroy", "--rmi", "local", "--json").out
    assert check("plan", down)[0]["command"] == "down"
    assert check("saved-plan", _file(console, "d.json", "plan", "--destroy", "--out", "d.json"))
    assert check("progress", console("--progress", "json", "ps", "nothing").err)[0]["error"] is True


def test_the_disk_use(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    use = DiskUse(images=(), containers=(), volumes=(), cache=(), layers_bytes=10)
    monkeypatch.setattr(console.backend, "disk_use", lambda: use, raising=False)
    assert ImageUse is not None
    assert len(check("system-df", console("system", "df", "--format", "json").out)) == 4


def test_doctor(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("made")
    module.diagnose = lambda environment: [Finding("warning", "DNS", "none", "add one")]  # type: ignore[attr-defined]
    module.clean = lambda environment: (["a link"], ["a mount: busy"])  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "made", module)
    for name in ("namespace", "docker"):
        monkeypatch.setitem(backends.MODULES, name, "made")
    assert check("doctor", console("doctor", "--json").out)[0]["backend"] == "namespace"
    assert check("doctor-clean", console("doctor", "--clean", "--json").out)[0]["kept"] == ["a mount: busy"]


def test_boot(console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check("boot", console("boot", "status", "--root", str(tmp_path), "--format", "json").out)[0] == {
        "Enabled": False,
        "Init": None,
        "Containers": [],
    }
    one = Returning(
        "a" * 64, name="app-web-1", project="app", policy="always", labels={}, owners=(), runs=True
    )
    (found,) = check("boot", json.dumps(boot.document(OPENRC, [one])))
    assert found["Init"] == "OpenRC" and found["Containers"][0]["Policy"] == "always"


def test_origins_are_the_same_in_both_forms(stack: Console) -> None:
    (found,) = check(
        "origins", stack("config", "--origins", "services.web", "--format", "json", DEBUG="7").out
    )
    assert {
        "path": ["services", "web", "environment", "DEBUG"],
        "value": "7",
        "file": "compose.yaml",
        "line": 11,
        "column": 26,
        "why": "environment variable DEBUG",
    } in found
    assert len(found) == len(stack("config", "--origins", "services.web").out.splitlines())


# ------------------------------------------------------------------ the command


def test_the_schemas_are_printed(console: Console) -> None:
    names = [line.split()[0] for line in console("schema").out.splitlines()]
    assert names == sorted(documents.DOCUMENTS)
    for name in names:
        found = json.loads(console("schema", name).out)
        jsonschema.Draft202012Validator.check_schema(found)
        assert found["title"] == name
    result = console("schema", "timelin")
    assert (result.code, result.err) == (
        1,
        "error: unknown document 'timelin'\n  hint: did you mean 'timeline'?\n",
    )


def test_every_model_and_field_is_one_of_a_document() -> None:
    """A model that no document has would be documentation of nothing."""
    used = {name for one in documents.DOCUMENTS for name in documents.schema(one).get("$defs", {})}
    roots = {entry.model.partition(":")[2] for entry in documents.DOCUMENTS.values()}
    from importlib import import_module

    for module in (
        "configuration",
        "graph",
        "lists",
        "machine",
        "objects",
        "plans",
        "project",
        "streams",
        "timeline",
    ):
        found = import_module(f"composer.documents.{module}")
        for name, kind in vars(found).items():
            if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__module__ == found.__name__:
                assert name in used | roots or name[0] == "_" or "[" in name, f"{module}.{name}"


# ------------------------------------------------------------------ what is read


def test_the_models_of_options_have_the_engines_options() -> None:
    assert set(plans.UpOptions.model_fields) == set(Options._fields) - {"known"}
    assert set(plans.DownOptions.model_fields) == set(Teardown._fields) - {"external", "found_images"}
    assert saved.VERSION == plans.VERSION
    actions = [each.partition(" ") for each in every_action()]
    assert {action for action, _, _ in actions} == set(typing.get_args(plans.Action))
    assert {kind.removeprefix("for ") for _, _, kind in actions} == set(typing.get_args(plans.Kind))
    assert set(Configuration._fields) == set(ConfigFile.model_fields) - {"registry", "address_pools"}


def every_action() -> list[str]:
    return [row.action for row in registry.ROWS.values()]


def broken(console: Console, change: Callable[[Any], None]) -> str:
    path = Path(console.directory / "plan.json")
    console("plan", "--out", "plan.json", DEBUG="1")
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    calls = list(console.backend.calls)
    result = console("apply", "plan.json", DEBUG="1")
    assert (result.code, console.backend.calls) == (1, calls)
    return result.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda p: p["operations"][1].update(needs=["x"]),
            "operations[1].needs[0]: must be a valid integer",
        ),
        (lambda p: p["operations"][0].pop("digest"), "operations[0].digest: required, but missing"),
        (lambda p: p["inputs"].update(files="a"), "inputs.files: must be a list, not 'a'"),
        (
            lambda p: p["options"].update(recreate="often"),
            "options.recreate: must be 'diverged', 'force' or 'never'",
        ),
        (lambda p: p["options"].update(unheard=1), "options.unheard: unknown key"),
        (lambda p: p["options"].pop("wait"), "options.wait: required, but missing"),
        (lambda p: p.update(command="sideways"), "must be 'up', 'down', not 'sideways'"),
        (lambda p: p.update(operations=None), "operations: must be a list, not null"),
    ],
)
def test_a_saved_plan_that_is_wrong_names_the_place(
    stack: Console, change: Callable[[Any], None], words: str
) -> None:
    err = broken(stack, change)
    assert err.startswith("error: 'plan.json' cannot be applied: ")
    assert words in err
    assert "create one with composer plan --out FILE" in err


def test_everything_that_is_wrong_with_a_plan_is_said(stack: Console) -> None:
    def change(plan: Any) -> None:
        for operation in plan["operations"]:
            del operation["digest"]

    assert broken(stack, change).count("required, but missing") > 1


def test_a_plan_that_is_no_json_names_the_place(stack: Console) -> None:
    (stack.directory / "x.json").write_text('{"version": 1,\n  oops')
    assert "is not a composer plan file: line 2, column 3" in stack("apply", "x.json").err


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3)
)


@given(st.data())
def test_whatever_stands_in_a_document_is_read_or_refused(data: st.DataObject) -> None:
    """Any value at any place: a reading, or one error of ours."""
    found = json.loads(json.dumps(EXAMPLE))
    node, key = found, data.draw(st.sampled_from(sorted(found)))
    while isinstance(node[key], dict) and node[key] and data.draw(st.booleans()):
        node = node[key]
        key = data.draw(st.sampled_from(sorted(node)))
    node[key] = data.draw(values)
    text = json.dumps(found)
    for read in (plans.read, timeline.read):
        try:
            read(text, "p.json")
        except ProjectError as error:
            assert "p.json" in str(error)


EXAMPLE = {
    "version": 1,
    "command": "down",
    "project": "app",
    "changes": False,
    "operations": [],
    "unchanged": [],
    "warnings": [],
    "inputs": {
        "files": [],
        "working_dir": "/",
        "directory": None,
        "name": "app",
        "profiles": [],
        "env_files": [],
        "backend": None,
    },
    "options": {
        "services": [],
        "volumes": False,
        "images": "",
        "timeout_s": None,
        "spare": [],
        "kept_volumes": [],
    },
}


def test_the_example_is_read() -> None:
    assert plans.read(json.dumps(EXAMPLE), "p.json").options.services == ()
