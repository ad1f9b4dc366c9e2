"""The typed view: complete beside the schema, lossless beside the tree.

Whatever a project loads to has one: values that Go's zero left out of the tree are no errors there.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from composer.errors import ComposerError, ProjectInvalid
from composer.schema import views
from composer.schema.load import LoadOptions, load
from composer.schema.tree import plain
from composer.schema.validate import schema
from tests.oracle.compare import arguments, compose_files
from tests.unit.schema.project import project, write

HERE = Path(__file__).parent
CASES = HERE.parents[1] / "cases"

OF_A_JOB_BEFORE = frozenset(
    ("command", "image", "user", "privileged", "working_dir", "environment", "per_replica")
)
PASSED_OVER: dict[type[BaseModel], frozenset[str]] = {
    # what the schema admits and the canonical form, which is docker compose's, has no place for
    views.Project: frozenset(("version", "include")),
    views.PreStart: frozenset(schema()["$defs"]["pre_start_hook"]["properties"]) - OF_A_JOB_BEFORE,
}
LOOSE: dict[type[BaseModel], frozenset[str]] = {
    # the schema does not look at limits whose names have upper case, and the loader has a place for this
    views.Ulimit: frozenset(("single",)),
}
BEFORE_LOADING = {
    # read, and gone, unless a load is told to leave them
    views.Service: frozenset(("env_file", "extends")),
    views.Job: frozenset(("env_file", "extends")),
}


# ------------------------------------------------------------------ beside the schema


def structs(node: Any, root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the objects with attributes of their own that a schema's value can be, below lists and maps too."""
    if not isinstance(node, dict):
        return
    if "$ref" in node:
        yield from structs(root["$defs"][node["$ref"].rpartition("/")[2]], root)
    if "properties" in node:
        yield node
        return
    for key in ("items", "additionalProperties"):
        yield from structs(node.get(key), root)
    for value in (*node.get("oneOf", ()), *node.get("patternProperties", {}).values()):
        yield from structs(value, root)


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a field can hold, below tuples, mappings and unions too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for one in typing.get_args(annotation):
        if not isinstance(one, types.EllipsisType):
            yield from models(one)


def differences(
    model: type[BaseModel], node: dict[str, Any], root: dict[str, Any], where: str
) -> Iterator[str]:
    attributes, fields = node["properties"], model.model_fields
    passed = attributes.keys() - fields.keys()
    if passed != PASSED_OVER.get(model, frozenset()):
        yield f"{where}: without a field: {sorted(passed ^ PASSED_OVER.get(model, frozenset()))}"
    extra = fields.keys() - attributes.keys()
    if extra != LOOSE.get(model, frozenset()):
        yield f"{where}: without an attribute: {sorted(extra ^ LOOSE.get(model, frozenset()))}"
    for name in attributes.keys() & fields.keys():
        below = list(structs(attributes[name], root))
        if name == "external":  # {name: …} of version 2 becomes a name and true
            below = []
        found = list(dict.fromkeys(models(fields[name].annotation)))
        if bool(below) != bool(found) or len(found) > 1:
            yield f"{where}.{name}: {len(below)} in the schema, {[one.__name__ for one in found]}"
        elif found:
            for each in below:
                yield from differences(found[0], each, root, f"{where}.{name}")


def test_every_attribute_has_its_field_and_every_field_its_attribute() -> None:
    assert list(differences(views.Project, schema(), schema(), "project")) == []


def test_a_field_that_went_missing_would_be_seen() -> None:
    root = schema()
    root["$defs"]["healthcheck"]["properties"]["new"] = {"type": "string"}
    del root["$defs"]["deployment"]["properties"]["placement"]["properties"]["constraints"]
    found = sorted(differences(views.Project, root, root, "project"))
    assert "project.services.deploy.placement: without an attribute: ['constraints']" in found
    assert "project.services.healthcheck: without a field: ['new']" in found


# ------------------------------------------------------------------ beside the tree


def again(found: views.Project) -> str:
    return json.dumps(found.model_dump(by_alias=True, exclude_unset=True, mode="json"), sort_keys=True)


def text(tree: Any) -> str:
    return json.dumps(plain(tree), sort_keys=True)


def loaded(case: Path) -> Any:
    extra = arguments(case)
    options = LoadOptions(
        files=compose_files(case),
        environment={"HOME": "/root", **extra.get("environment", {})},
        working_dir=str(case),
        home="/root",
        profiles=tuple(extra.get("profiles", ())),
        env_files=tuple(str(case / one) for one in extra.get("env_files", ())),
    )
    try:
        return load(options)
    except ComposerError:
        return None


def test_every_case_that_loads_has_a_view_that_gives_the_tree_back() -> None:
    found = [loaded(case) for case in sorted(CASES.iterdir()) if compose_files(case)]
    accepted = [one for one in found if one is not None]
    assert len(accepted) > 400
    assert [one.directory for one in accepted if again(one.typed) != text(one.tree)] == []


@pytest.fixture
def everything(tmp_path: Path) -> Any:
    for name in ("conf", "token", "Dockerfile.web"):
        (tmp_path / name).write_text("x")
    return project(
        tmp_path,
        (HERE / "everything.yaml").read_text(),
        profiles=("p",),
        all_resources=True,
        consistency=False,
        environment={"HOME": "/home/me"},
    )


def instances(value: Any) -> Iterator[BaseModel]:
    if isinstance(value, BaseModel):
        yield value
        for name in type(value).model_fields:
            yield from instances(getattr(value, name))
    elif isinstance(value, dict):
        for one in value.values():
            yield from instances(one)
    elif isinstance(value, tuple):
        for one in value:
            yield from instances(one)


def all_views() -> Iterator[type[views.View]]:
    for name in views.__all__:
        kind = getattr(views, name)
        if isinstance(kind, type) and issubclass(kind, views.View):
            yield kind


def test_a_project_with_everything_sets_every_field(everything: Any) -> None:
    assert again(everything.typed) == text(everything.tree)
    used: dict[type[BaseModel], set[str]] = {}
    for one in instances(everything.typed):
        used.setdefault(type(one), set()).update(one.model_fields_set)
    of_jobs = set(views.Workload.model_fields)  # a job's other attributes are a service's
    missing = {
        kind.__name__: sorted(rest)
        for kind in all_views()
        if kind not in (views.View, views.Workload)
        if (
            rest := set(kind.model_fields)
            - used.get(kind, set())
            - BEFORE_LOADING.get(kind, frozenset())
            - LOOSE.get(kind, frozenset())
            - (of_jobs if kind is views.Job else set())
        )
    }
    assert missing == {
        "EnvFile": ["format", "path", "required"],
        "Extension": ["file", "service"],
        "Service": ["label_file"],
    }


def test_env_files_that_were_left_unread_have_a_view(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        "services: {a: {image: i, env_file: [{path: e, format: raw}], label_file: l}}",
        {"e": "A=1", "l": "b=1"},
        resolve_env=False,
    )
    assert again(found.typed) == text(found.tree)
    (file,) = found.services["a"].env_file
    assert (file.path, file.required, file.format) == (str(tmp_path / "e"), True, "raw")


def test_views_are_frozen(everything: Any) -> None:
    web = everything.typed.services["web"]
    with pytest.raises(ValidationError, match="frozen"):
        web.image = "other"
    with pytest.raises(ValidationError, match="frozen"):
        web.deploy.resources.limits.memory = "1"


def test_values_are_the_canonical_ones(everything: Any) -> None:
    web = everything.services["web"]
    assert (web.stop_grace_period, web.mem_limit) == ("1m30s", "268435456")
    assert web.deploy.update_config.monitor == "1m0s"
    assert web.blkio_config.device_read_bps[0].rate == "1048576"
    assert web.configs[0].mode == "0440"
    assert web.ulimits["nofile"].hard == 20 and web.ulimits["nproc"] == 5
    assert web.provider is None
    assert everything.services["outside"].provider.options == {"size": ("1",), "zone": ("a", "b")}


def test_what_has_no_field_is_not_lost_in_silence() -> None:
    with pytest.raises(ValidationError, match="unheard_of"):
        views.build_project({"services": {"a": {"healthcheck": {"unheard_of": 1}}}})


def test_a_port_zero_has_a_view(tmp_path: Path) -> None:
    write(tmp_path, {"compose.yaml": "services: {a: {image: i, ports: [{target: 0}]}}\n"})
    project = load(LoadOptions(working_dir=str(tmp_path)))
    assert "target" not in project.tree["services"]["a"]["ports"][0], "as docker compose prints it"
    assert project.services["a"].ports[0].target == 0


@pytest.mark.parametrize("value", ["", "[1]"])
def test_an_ulimit_that_the_schema_does_not_look_at_is_an_error(tmp_path: Path, value: str) -> None:
    write(tmp_path, {"compose.yaml": f"services: {{a: {{image: i, ulimits: {{NOT_LOWER: {value}}}}}}}\n"})
    with pytest.raises(ProjectInvalid, match=r"compose.yaml:1:.*'NOT_LOWER': must be an integer"):
        load(LoadOptions(working_dir=str(tmp_path)))


def test_an_ulimit_that_the_schema_does_not_look_at_has_a_view(tmp_path: Path) -> None:
    found = project(tmp_path, "services: {a: {image: i, ulimits: {NOT_LOWER: {single: 3}}}}")
    assert again(found.typed) == text(found.tree)
