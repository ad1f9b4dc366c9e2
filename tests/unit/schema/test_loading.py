"""From options to a project: discovery, names, variables, profiles, selection, origins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from composer.errors import DisabledService, ProjectError, ProjectInvalid, UnknownService
from composer.schema.explain import explain
from composer.schema.kinds import Struct
from composer.schema.load import LoadOptions, load, project_name
from composer.schema.tree import plain
from tests.unit.schema.project import errors, project, write

WEB = "services: {web: {image: nginx}}\n"


def test_the_nearest_compose_file_above_is_found(tmp_path: Path) -> None:
    write(tmp_path, {"compose.yaml": WEB, "compose.override.yml": "services: {web: {command: x}}"})
    (tmp_path / "deep/er").mkdir(parents=True)
    found = project(tmp_path / "deep/er")
    assert found.files == (str(tmp_path / "compose.yaml"), str(tmp_path / "compose.override.yml"))
    assert found.directory == str(tmp_path)
    assert found.tree["services"]["web"]["command"] == ["x"]


def test_the_first_of_several_names_wins_and_the_rest_is_mentioned(tmp_path: Path) -> None:
    write(tmp_path, {"compose.yaml": WEB, "docker-compose.yml": "services: {old: {image: x}}"})
    found = project(tmp_path)
    assert list(found.tree["services"]) == ["web"]
    assert "using compose.yaml" in found.warnings[0].message


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no configuration file provided: not found"):
        load(LoadOptions(working_dir=str(tmp_path)))


def test_stdin_and_project_directory(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    options = LoadOptions(
        files=("-",), stdin=lambda: "services: {a: {build: ./x}}", directory="sub", working_dir=str(tmp_path)
    )
    found = load(options)
    assert found.tree["services"]["a"]["build"]["context"] == f"{tmp_path}/sub/x"
    assert found.name == "sub"


def test_compose_file_variable_with_separator(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": WEB, "b.yaml": "services: {b: {image: x}}"})
    environment = {"COMPOSE_FILE": "a.yaml,b.yaml", "COMPOSE_PATH_SEPARATOR": ","}
    assert set(project(tmp_path, environment=environment).tree["services"]) == {"web", "b"}


def test_compose_file_from_dotenv(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": WEB, ".env": "COMPOSE_FILE=a.yaml\n"})
    assert list(project(tmp_path).tree["services"]) == ["web"]


@pytest.mark.parametrize(
    ("options", "text", "name"),
    [
        ({"name": "given"}, "name: written\n", "given"),
        ({"environment": {"COMPOSE_PROJECT_NAME": "env"}}, "name: written\n", "env"),
        ({}, "name: Wri${T:-tten} it!\n", "writtenit"),
        ({}, "", "my-dir"),
    ],
)
def test_project_name(tmp_path: Path, options: dict[str, Any], text: str, name: str) -> None:
    directory = tmp_path / "My-Dir"
    write(directory, {"compose.yaml": text + WEB})
    assert project(directory, **options).name == name
    given = LoadOptions(working_dir=str(directory))._replace(**options)
    assert project_name(given) == name


def test_project_name_needs_no_valid_file(tmp_path: Path) -> None:
    write(tmp_path / "p", {"compose.yaml": "services: {web: {foo: 1}}"})
    assert project_name(LoadOptions(working_dir=str(tmp_path / "p"))) == "p"
    (tmp_path / "empty-Dir").mkdir()
    with pytest.raises(ProjectError, match="no configuration file provided: not found"):
        project_name(LoadOptions(working_dir=str(tmp_path / "empty-Dir")))


def test_a_given_name_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as caught:
        project(tmp_path, WEB, name="Not This")
    assert caught.value.hint == "use 'notthis'"


def test_shell_wins_over_env_files_and_they_over_each_other(tmp_path: Path) -> None:
    text = "services: {a: {image: '$A$B$C'}}"
    beside = {".env": "A=0\n", "x.env": "A=1\nB=1\nC=1\n", "y.env": "B=2$A\nC=2\n"}
    found = project(tmp_path, text, beside, env_files=("x.env", "y.env"), environment={"C": "s"})
    assert found.tree["services"]["a"]["image"] == "121s"
    assert found.env_files == (str(tmp_path / "x.env"), str(tmp_path / "y.env"))


# ------------------------------------------------------------------ profiles and selection

PROFILED = """
services:
  web: {image: i, depends_on: [db], networks: [front]}
  db: {image: i, volumes: ["data:/d"]}
  debug: {image: i, profiles: [dev], depends_on: [tool], env_file: missing.env}
  tool: {image: i, profiles: [dev]}
  other: {image: i, profiles: [ops]}
networks: {front: {}}
volumes: {data: {}}
"""


def test_disabled_services_are_kept_apart(tmp_path: Path) -> None:
    found = project(tmp_path, PROFILED)
    assert list(found.tree["services"]) == ["db", "web"]
    assert sorted(found.disabled) == ["debug", "other", "tool"]


def test_select_takes_dependencies_and_what_they_use(tmp_path: Path) -> None:
    found = project(tmp_path, PROFILED)
    assert list(found.select(["web"]).tree["services"]) == ["db", "web"]
    alone = found.select(["web"], dependencies=False)
    assert list(alone.tree["services"]) == ["web"]
    assert "depends_on" not in alone.tree["services"]["web"]
    assert "volumes" not in alone.tree
    assert list(alone.tree["networks"]) == ["front"]
    assert found.select([]) is found


def test_naming_a_disabled_service_enables_its_profiles(tmp_path: Path) -> None:
    write(tmp_path, {"missing.env": "A=1"})
    chosen = project(tmp_path, PROFILED).select(["debug"])
    assert list(chosen.tree["services"]) == ["debug", "tool"]
    assert chosen.tree["services"]["debug"]["environment"] == {"A": "1"}
    assert sorted(chosen.disabled) == ["other"]


def test_a_disabled_service_is_checked_when_it_is_enabled(tmp_path: Path) -> None:
    found = project(tmp_path, PROFILED)
    with pytest.raises(ProjectInvalid, match=r"missing\.env"):
        found.select(["debug"])


def test_unknown_service(tmp_path: Path) -> None:
    with pytest.raises(UnknownService) as caught:
        project(tmp_path, PROFILED).select(["wbe"])
    assert caught.value.hint == "did you mean 'web'?"
    assert not isinstance(caught.value, DisabledService)


# ------------------------------------------------------------------ origins, warnings, errors


def test_every_value_has_an_origin(tmp_path: Path) -> None:
    text = """\
    services:
      web:
        image: nginx:${TAG}
        environment: [A=1, B]
    """
    beside = {
        ".env": "TAG=7\n",
        "e.yaml": "services: {web: {environment: {A: 2}, env_file: x.env}}",
        "x.env": "C=3\n",
    }
    found = project(tmp_path, text, beside, files=("compose.yaml", "e.yaml"), environment={"B": "b"})
    service = ("services", "web")
    assert {
        key: str(found.mark((*service, *path)))
        for key, path in {
            "image": ("image",),
            "A": ("environment", "A"),
            "B": ("environment", "B"),
            "C": ("environment", "C"),
            "network": ("networks", "default"),
        }.items()
    } == {
        "image": "compose.yaml:3:12 (variable TAG from .env:1)",
        "A": "e.yaml:1:35",
        "B": "compose.yaml:4:24 (environment variable B)",
        "C": "x.env:1:1",
        "network": "compose.yaml:3:5 (default)",
    }


def test_warnings_come_once(tmp_path: Path) -> None:
    text = "version: '3'\nservices: {a: {image: i$X, command: $X | y}, b: {image: 'i$X', tty: yes}}\n"
    messages = [notice.message for notice in project(tmp_path, text).warnings]
    assert len(messages) == len(set(messages)) == 4
    assert any('The "X" variable is not set. Defaulting to a blank string.' in one for one in messages)
    assert any("is cut off at '|'" in one for one in messages)
    assert any("'yes' is read as the boolean true" in one for one in messages)
    assert any("the attribute 'version' is obsolete" in one for one in messages)


def test_all_errors_of_all_files_in_their_order(tmp_path: Path) -> None:
    text = "services:\n  a: {imagee: i, ports: ['x:y']}\n  b: {image: '${X?}'}\n"
    found = errors(
        tmp_path, text, {"o.yaml": "services: {a: {restart: 5}}\nfoo: 1\n"}, files=("compose.yaml", "o.yaml")
    )
    assert [str(error.at) for error in found] == [
        "compose.yaml:2:7",
        "compose.yaml:2:26",
        "compose.yaml:3:14",
        "o.yaml:1:25",
        "o.yaml:2:1",
    ]


def test_an_error_is_explained_without_its_file(tmp_path: Path) -> None:
    with pytest.raises(ProjectInvalid) as caught:
        load(
            LoadOptions(
                files=("-",), stdin=lambda: "services:\n  a: {imagee: x}\n", working_dir=str(tmp_path)
            )
        )
    assert explain(caught.value) == (
        "stdin:2:7: unknown attribute 'imagee' of service 'a'\n"
        "    2 |   a: {imagee: x}\n"
        "      |       ^\n"
        "  hint: did you mean 'image'?"
    )


def test_an_error_below_extends_names_the_file_that_has_it(tmp_path: Path) -> None:
    found = errors(
        tmp_path,
        "services: {a: {extends: {service: b, file: sub/o.yaml}}}",
        {"sub/o.yaml": "services:\n  b: {image: i, foo: 1}\n"},
    )
    assert [str(error.at) for error in found] == ["sub/o.yaml:2:17"]


def test_the_typed_view(tmp_path: Path) -> None:
    text = """
    services:
      web:
        image: nginx
        ports: ["127.0.0.1:8080:80/udp"]
        depends_on: {db: {condition: service_healthy}}
        volumes: ["./x:/x:ro"]
        healthcheck: {test: x, interval: 1m}
        build: {context: ., args: {A: 1}}
      db: {image: postgres, command: []}
    models: {m: {model: x}}
    """
    found = project(tmp_path, text, all_resources=True)
    web = found.services["web"]
    assert (web.ports[0].target, web.ports[0].published, web.ports[0].protocol) == (80, "8080", "udp")
    assert web.depends_on["db"].condition == "service_healthy"
    assert web.volumes[0].source == str(tmp_path / "x")
    assert web.build is not None and web.build.args == {"A": "1"}
    assert (web.command, found.services["db"].command) == (None, ())
    assert found.networks["default"].name.endswith("_default")
    assert found.models["m"].model == "x"
    with pytest.raises(ValueError, match="frozen"):
        web.image = "other"


def test_the_views_know_every_attribute_of_the_shape() -> None:
    from composer.schema import shape, views

    structs: list[tuple[Struct, tuple[type[views.View], ...]]] = [
        (shape.SERVICE, (views.Service,)),
        (shape.JOB, (views.Job,)),
        (shape.NETWORK, (views.Network,)),
        (shape.VOLUME, (views.Volume,)),
        (shape.SECRET, (views.Secret, views.Config)),  # one struct in Go; the schema tells them apart
        (shape.BUILD, (views.Build,)),
        (shape.MODEL, (views.Model,)),
    ]
    for struct, kinds in structs:
        assert set(struct.fields) == {name for kind in kinds for name in kind.model_fields}


def test_paths_of_a_project_without_resolution_stay(tmp_path: Path) -> None:
    text = "services: {a: {build: ./x, volumes: ['~/h:/h', './d:/d']}}"
    found = project(tmp_path, text, resolve_paths=False)
    assert plain(found.tree["services"]["a"]["build"])["context"] == "./x"
    resolved = project(tmp_path, text).tree["services"]["a"]
    assert [volume["source"] for volume in resolved["volumes"]] == ["/home/me/h", os.path.join(tmp_path, "d")]


def test_an_error_says_which_files_led_to_it(tmp_path: Path) -> None:
    files = {
        "compose.yaml": "include:\n  - sub/inc.yaml\nservices:\n  a: {image: x}\n",
        "sub/inc.yaml": "services:\n  b:\n    extends: {file: base.yaml, service: c}\n",
        "sub/base.yaml": 'services:\n  c: {image: "${X:?set it}", env_file: no.env}\n',
    }
    found = errors(tmp_path, beside=files)
    assert [str(error.at) for error in found] == ["sub/base.yaml:2:14", "sub/base.yaml:2:40"], found
    for error in found:
        assert [str(mark) for mark in error.chain] == ["sub/inc.yaml:3:14", "compose.yaml:2:5"]
        assert explain(error).splitlines()[3:5] == ["  from sub/inc.yaml:3:14", "  from compose.yaml:2:5"]


@pytest.mark.parametrize(
    ("attribute", "message", "hint"),
    [
        ("tty: ./x", "'tty': './x' is not a boolean", "use true or false"),
        ("scale: x", "'scale': 'x' is not an integer", "use digits only"),
        ('cpus: "a\\nb"', r"'cpus': 'a\nb' is not a number", "use digits"),
        ("cpu_count: [a]", "must be a string or an integer, not a list", "use a single value"),
        ("label_file: none", "cannot read label file 'none'", "create it, or remove it"),
    ],
)
def test_errors_are_one_line_with_the_attribute_and_a_remedy(
    tmp_path: Path, attribute: str, message: str, hint: str
) -> None:
    (error,) = errors(tmp_path, f"services: {{a: {{image: i, {attribute}}}}}")
    assert message in error.message and "\n" not in error.message
    assert hint in (error.hint or "")
