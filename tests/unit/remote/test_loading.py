"""Compose files from elsewhere, for the loader: fetched by something else, with paths where Compose has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer.errors import ConfigError, ProjectError, ProjectInvalid
from composer.schema import load, naming
from composer.schema.model import Project
from composer.schema.options import Fetched, LoadOptions
from composer.schema.problems import Problems
from composer.schema.setting import find_setting
from tests.unit.schema.project import errors, project, write

APP = "https://host.test/app.git#main:sub"
FILES = {
    "sub/compose.yaml": """
        services:
          web: {image: nginx, volumes: ["./data:/d"], extends: {file: deep/base.yaml, service: base}}
    """,
    "sub/deep/base.yaml": "services: {base: {volumes: ['./base:/b']}}",
    "sub/.env": "TAG=theirs\n",
    "sub/with_env.yaml": "services: {tagged: {image: 'nginx:${TAG-none}', environment: {A: ''}}}",
    "sub/near.yaml": "services: {near: {image: x, extends: {file: more.yaml, service: more}}}",
    "more.yaml": "services: {more: {volumes: ['./more:/m']}}",
    "named.yaml": "name: remote-name\nservices: {web: {image: nginx}}",
    "wrong.yaml": "services:\n  web: {imag: x}\n",
    "self.yaml": "include: ['https://host.test/app.git#main:self.yaml']\n",
}


class Elsewhere:
    """A repository on this disk; remembers what was asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []
        write(root, FILES)

    def fetch(self, reference: str) -> Fetched:
        self.asked.append(reference)
        subdir = reference.partition("#")[2].partition(":")[2]
        path = self.root / subdir
        path = path / "compose.yaml" if path.is_dir() else path
        if not path.is_file():
            raise ProjectError("it is not there", hint="look again")
        prefix = "https://host.test/app.git#main:"
        return Fetched(str(path), str(self.root), f"{prefix}{path.relative_to(self.root)}", prefix)


@pytest.fixture
def remote(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path / "cache/commit")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def sources(found: Project, service: str) -> list[str]:
    return [volume["source"] for volume in found.tree["services"][service]["volumes"]]


def test_a_file_of_the_command_line_has_its_paths_there_and_its_name_here(
    here: Path, remote: Elsewhere
) -> None:
    found = project(here, files=(APP,), remote=remote)
    sub = remote.root / "sub"
    assert sources(found, "web") == [f"{sub}/deep/base", f"{sub}/data"]
    assert (found.name, found.directory, found.files) == ("here", str(sub), (APP,))
    at = found.mark(("services", "web", "image"))
    assert at is not None
    assert at.file == "https://host.test/app.git#main:sub/compose.yaml"


def test_the_env_file_is_that_of_the_working_directory(here: Path, remote: Elsewhere) -> None:
    tagged = "https://host.test/app.git#main:sub/with_env.yaml"
    (here / ".env").write_text("TAG=ours\n")
    assert project(here, files=(tagged,), remote=remote).tree["services"]["tagged"]["image"] == "nginx:ours"
    (here / ".env").unlink()
    assert project(here, files=(tagged,), remote=remote).tree["services"]["tagged"]["image"] == "nginx:none"


def test_the_first_file_from_elsewhere_is_where_paths_of_all_files_start(
    here: Path, remote: Elsewhere
) -> None:
    write(here, {"own.yaml": "services: {own: {image: x, volumes: ['./own:/o']}}"})
    options = LoadOptions(("own.yaml", APP), directory=str(here), working_dir="/", remote=remote)
    found = load.load(options._replace(files=(f"{here}/own.yaml", APP)))
    assert sources(found, "own") == [f"{remote.root}/sub/own"]
    assert (found.name, found.files) == ("here", (f"{here}/own.yaml", APP))


def test_an_included_file_has_its_paths_and_its_env_file_where_it_is(here: Path, remote: Elsewhere) -> None:
    text = """
        include: [{path: ["https://host.test/app.git#main:sub", "https://host.test/app.git#main:sub/with_env.yaml"]}]
        services: {own: {image: x, volumes: ['./own:/o']}}
    """
    found = project(here, text, remote=remote)
    assert sources(found, "web") == [f"{remote.root}/sub/deep/base", f"{remote.root}/sub/data"]
    assert sources(found, "own") == [f"{here}/own"]
    assert found.tree["services"]["tagged"]["image"] == "nginx:theirs"


def test_an_included_file_with_a_project_directory_has_its_paths_there(here: Path, remote: Elsewhere) -> None:
    path = "https://host.test/app.git#main:more.yaml"
    text = f'include: [{{path: "{path}", project_directory: sub/of/mine}}]\nservices: {{more: {{image: x}}}}'
    assert sources(project(here, text, remote=remote), "more") == [f"{here}/sub/of/mine/more"]


def test_extends_has_its_paths_at_the_top_of_the_repository(here: Path, remote: Elsewhere) -> None:
    text = """
        services:
          one: {extends: {file: "https://host.test/app.git#main:sub/deep/base.yaml", service: base}, image: x}
          two: {extends: {file: "https://host.test/app.git#main:sub/near.yaml", service: near}}
    """
    found = project(here, text, remote=remote)
    assert sources(found, "one") == [f"{remote.root}/base"]
    assert sources(found, "two") == [f"{remote.root}/more"]  # its own extends too


def test_what_is_wrong_is_said_with_the_reference_and_what_led_there(here: Path, remote: Elsewhere) -> None:
    (wrong,) = errors(here, "include: ['https://host.test/app.git#main:wrong.yaml']\n", remote=remote)
    assert str(wrong).startswith("https://host.test/app.git#main:wrong.yaml:2:9: ")
    assert [str(at) for at in wrong.chain] == ["compose.yaml:1:11"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("include:\n  - path: https://host.test/app.git#main:none\n", "compose.yaml:2:5"),
        (
            "services:\n  a:\n    extends: {file: 'https://host.test/app.git#main:none', service: b}\n",
            "compose.yaml:3:5",
        ),
    ],
    ids=["include", "extends"],
)
def test_what_cannot_be_fetched_is_said_at_its_place(
    here: Path, remote: Elsewhere, text: str, place: str
) -> None:
    found = errors(here, text, remote=remote)
    assert str(found[0]).startswith(place.rpartition(":")[0])
    assert found[0].message == "cannot read 'https://host.test/app.git#main:none': it is not there"
    assert found[0].hint == "look again"


def test_a_file_of_the_command_line_that_cannot_be_fetched_shows_no_password(
    here: Path, remote: Elsewhere
) -> None:
    (found,) = errors(here, files=("https://me:hidden@host.test/app.git#main:none",), remote=remote)
    assert str(found) == "cannot read 'https://host.test/app.git#main:none': it is not there"
    shown = project(here, files=("https://me:hidden@host.test/app.git#main:named.yaml",), remote=remote)
    assert shown.files == ("https://host.test/app.git#main:named.yaml",)


def test_a_file_that_includes_itself_is_a_cycle(here: Path, remote: Elsewhere) -> None:
    (found,) = errors(here, files=("https://host.test/app.git#main:self.yaml",), remote=remote)
    assert "circular include" in str(found)
    assert str(remote.root) not in str(found)


def test_each_file_is_fetched_once_and_not_endlessly_many(
    here: Path, remote: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = "".join(
        f"  - https://host.test/app.git#main:{name}\n" for name in ("named.yaml", "named.yaml", "sub")
    )
    project(here, f"include:\n{entries}", remote=remote)
    assert len(remote.asked) == 2
    monkeypatch.setattr(load, "MAX_REMOTES", 1)
    assert [error.message for error in errors(here, f"include:\n{entries}", remote=remote)] == [
        "too many remote files"
    ]


def test_without_something_that_fetches_it_is_refused(here: Path) -> None:
    (found,) = errors(here, files=(APP,))
    assert found.message == f"cannot read '{APP}': remote files are not read here"


def test_the_name_that_is_written_there_counts_and_one_that_was_given_needs_no_network(
    here: Path, remote: Elsewhere
) -> None:
    named = "https://host.test/app.git#main:named.yaml"
    options = LoadOptions(files=(named,), working_dir=str(here), remote=remote)
    assert naming.project_name(options) == "remote-name"
    assert project(here, files=(named,), remote=remote).name == "remote-name"
    remote.asked.clear()
    assert naming.project_name(options._replace(name="given")) == "given"
    assert remote.asked == []
    with pytest.raises(ProjectInvalid, match="it is not there"):
        naming.project_name(options._replace(files=("https://host.test/app.git#main:none",)))


@pytest.mark.parametrize(
    ("value", "separator", "files"),
    [
        ("https://h/a.git#v1:sub", "", ["https://h/a.git#v1:sub"]),
        ("oci://h:5000/a:1@sha256:aa", "", ["oci://h:5000/a:1@sha256:aa"]),
        ("one.yaml:two.yaml", "", ["HERE/one.yaml", "HERE/two.yaml"]),
        ("one.yaml:git@h:a.git#v1:sub", "", ["HERE/one.yaml", "git@h:a.git#v1:sub"]),
        ("::one.yaml::https://h/a.git", "", ["HERE/one.yaml", "https://h/a.git"]),
        ("https://h/a.git#v1:sub,one.yaml", ",", ["https://h/a.git#v1:sub", "HERE/one.yaml"]),
    ],
)
def test_compose_file_may_name_files_from_elsewhere(
    here: Path, value: str, separator: str, files: list[str]
) -> None:
    environment = {"COMPOSE_FILE": value, **({"COMPOSE_PATH_SEPARATOR": separator} if separator else {})}
    options = LoadOptions(working_dir=str(here), environment=environment)
    assert list(find_setting(options, Problems()).files) == [one.replace("HERE", str(here)) for one in files]


def test_no_path_of_a_file_from_elsewhere_is_taken_for_one_of_this_machine(
    here: Path, remote: Elsewhere
) -> None:
    (here / "https:").mkdir()
    with pytest.raises((ConfigError, ProjectInvalid)):
        project(here, files=("https://host.test/compose.yaml",), remote=remote)
    assert remote.asked == ["https://host.test/compose.yaml"]
