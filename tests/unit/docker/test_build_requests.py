"""What a build is asked of: buildx by its command line, the engine's own builder by its parameters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from composer.backends.docker.building.builds import (
    _CLASSIC,
    ATTRIBUTES,
    REFUSED,
    _secrets,
    classic_query,
    command,
)
from composer.engine.wanted import BuildSpec, FileSpec
from composer.errors import Unsupported
from tests.unit.docker.test_attributes import SCHEMA


def spec(**attributes: Any) -> BuildSpec:
    return BuildSpec("app-web", "web", {"context": "/src", **attributes}, {"l": "1"})


def test_no_attribute_of_the_schema_is_forgotten() -> None:
    build = json.loads(SCHEMA.read_text())["$defs"]["build"]
    assert set(build["properties"]) == ATTRIBUTES.keys() | REFUSED.keys()
    assert ATTRIBUTES.keys() > _CLASSIC


TABLE: list[tuple[str, Any, list[str]]] = [
    ("additional_contexts", {"a": "/b"}, ["--build-context", "a=/b"]),
    ("args", {"A": "1", "B": None}, ["--build-arg", "A=1", "--build-arg", "B"]),
    ("cache_from", ["type=local,src=x"], ["--cache-from", "type=local,src=x"]),
    ("cache_to", ["type=inline"], ["--cache-to", "type=inline"]),
    ("entitlements", ["network.host"], ["--allow", "network.host"]),
    ("extra_hosts", ["a=1.2.3.4"], ["--add-host", "a=1.2.3.4"]),
    ("labels", {"a": "b"}, ["--label", "a=b"]),
    ("network", "host", ["--network=host"]),
    ("no_cache", True, ["--no-cache"]),
    ("no_cache_filter", ["stage"], ["--no-cache-filter", "stage"]),
    ("platforms", ["linux/amd64", "linux/arm64"], ["--platform=linux/amd64,linux/arm64"]),
    ("privileged", True, ["--allow", "security.insecure"]),
    ("provenance", False, ["--provenance=false"]),
    ("pull", True, ["--pull"]),
    ("sbom", "true", ["--sbom=true"]),
    ("shm_size", "1m", ["--shm-size=1048576"]),
    ("ssh", ["default", "id=/key"], ["--ssh", "default", "--ssh", "id=/key"]),
    ("tags", ["other:1"], ["--tag", "other:1"]),
    ("target", "stage", ["--target=stage"]),
    ("ulimits", {"nproc": 5, "nofile": {"soft": 1, "hard": 2}}, ["--ulimit=nproc=5", "--ulimit=nofile=1:2"]),
]
_ELSEWHERE = {"context", "dockerfile", "dockerfile_inline", "secrets"}


def test_every_row_of_the_table_is_tested() -> None:
    assert {name for name, _, _ in TABLE} | _ELSEWHERE == ATTRIBUTES.keys()


@pytest.mark.parametrize(("name", "value", "wanted"), TABLE, ids=[row[0] for row in TABLE])
def test_an_attribute_becomes_arguments(name: str, value: Any, wanted: list[str]) -> None:
    bare, found = command(spec(), {}), command(spec(**{name: value}), {})
    start = next(index for index, word in enumerate(found) if word not in bare or word in wanted)
    assert found[start : start + len(wanted)] == wanted
    assert found[:start] + found[start + len(wanted) :] == bare


def test_the_whole_command() -> None:
    found = command(spec()._replace(platform="linux/arm64", no_cache=True, pull=True), {"key": "src=/k"})
    assert found == [
        *("docker", "buildx", "build", "--progress=plain", "--load", "--tag=app-web"),
        *("--platform=linux/arm64", "--label", "l=1", "--secret", "id=key,src=/k"),
        *("--no-cache", "--pull", "--file=/src/Dockerfile", "/src"),
    ]


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ({"dockerfile": "sub/Other"}, ["--file=/src/sub/Other", "/src"]),
        ({"dockerfile": "/elsewhere/Dockerfile"}, ["--file=/elsewhere/Dockerfile", "/src"]),
        ({"dockerfile_inline": "FROM scratch"}, ["--file=-", "/src"]),
        ({"context": "https://h/r.git#main"}, ["--file=Dockerfile", "https://h/r.git#main"]),
    ],
)
def test_the_dockerfile_is_found(attributes: dict[str, str], wanted: list[str]) -> None:
    assert command(spec(**attributes), {})[-2:] == wanted


def test_the_content_of_a_secret_is_never_on_a_command_line() -> None:
    files = (
        FileSpec("secret", "a", "id-a", source="/a"),
        FileSpec("secret", "b", "id-b", content=b"hidden"),
    )
    sources, variables = _secrets(spec()._replace(secrets=files))
    found = command(spec(), sources)
    assert "id=id-a,src=/a" in found
    (name,) = variables
    assert f"id=id-b,env={name}" in found
    assert variables[name] == "hidden"
    assert not [word for word in found if "hidden" in word]


def test_the_engines_own_builder_takes_what_it_can() -> None:
    query = classic_query(
        spec(args={"A": "1"}, tags=["x"], target="t", extra_hosts=["a=1.2.3.4"], labels={"m": "2"})
    )
    assert query["t"] == ("app-web", "x")
    assert query["buildargs"] == {"A": "1"}
    assert query["labels"] == {"m": "2", "l": "1"}
    assert (query["target"], query["extrahosts"]) == ("t", "a:1.2.3.4")


@pytest.mark.parametrize(
    "attributes",
    [
        {"ssh": ["default"]},
        {"cache_to": ["x"]},
        {"additional_contexts": {"a": "b"}},
        {"platforms": ["a", "b"]},
    ],
)
def test_what_only_buildkit_can_do_is_refused_with_the_remedy(attributes: dict[str, Any]) -> None:
    with pytest.raises(
        Unsupported, match=f"build.{next(iter(attributes))}.*not supported by the classic builder"
    ) as caught:
        classic_query(spec(**attributes))
    assert "install docker buildx" in str(caught.value.hint)


def test_the_engines_own_builder_never_builds_where_a_check_was_asked_for() -> None:
    with pytest.raises(Unsupported) as caught:
        classic_query(spec()._replace(only_checks=True))
    assert "--check is not supported" in str(caught.value)
    assert "buildx" in str(caught.value.hint)


def test_what_no_engine_here_can_do_is_refused() -> None:
    with pytest.raises(Unsupported, match="only supported by Windows containers"):
        command(spec(isolation="hyperv"), {})
