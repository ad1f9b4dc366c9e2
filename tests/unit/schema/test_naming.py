"""A project's name at a glance: whatever the short way says, the loader says too."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.errors import ComposerError
from composer.schema import load, naming
from composer.schema.glance import UNSURE, glance
from composer.schema.options import LoadOptions
from composer.schema.problems import Problems
from composer.schema.source import parse
from composer.schema.tree import Map

CASES = Path(__file__).parents[2] / "cases"


def by_the_loader(text: str) -> str | None:
    """Return the last ``name`` of a text's documents, as `load.project_name` reads it."""
    documents = [one.tree for one in parse(text, "compose.yaml", Problems()) if isinstance(one.tree, Map)]
    names = [d["name"] for d in documents if isinstance(d.get("name"), str) and d["name"]]
    return names[-1] if names else None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("services: {}\n", None),
        ("name: app\nservices: {}\n", "app"),
        ("# first\n\n---\nversion: '3.8'\nname: 'my-app' # ours\n\n# more\nservices:\n  web: {}\n", "my-app"),
        ("name: app", "app"),
        ("x-all: &all\n  name: other\nservices:\n  name:\n    image: i\n", None),
        ("services: {}\n---\nnetworks: {}\n", None),
    ],
)
def test_what_is_plain_to_see(text: str, name: str | None) -> None:
    assert glance(text) == name == by_the_loader(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "{name: app}\n",
        "  name: app\n  services: {}\n",
        "services: {}\nname: app\n",
        "services: {}\n---\n  name: app\n",
        "services: {}\n---\nname: app\n",
        "'name': app\n",
        "? name\n: app\n",
        "name : app\n",
        "<<: *x\n",
        "name: app\n  more\nservices: {}\n",
        "name: ${X}\n",
        "name: true\n",
        "name: 5\n",
        "name:\n  app\n",
        "name: App\n",
        "services: {}\rname: app\r",
        "\ufeffname: app\n",
        "&a name: app\n",
        "!!str name: app\n",
        "--- \nservices: {}\n--- {name: app}\n",
        "%YAML 1.2\n---\nname: app\n",
        'x-a: "\nname: app\n"\n',
        "x-a: {\nname: app\n}\n",
    ],
)
def test_what_is_not(text: str) -> None:
    assert glance(text) is UNSURE


LINES = st.sampled_from(
    """name: app|name: 'b-c' # d|name:| name: x|services: {}|version: '3'|---|...||#c|  more|x-a: >-|'|"|x-a: "|{|}
    |x-b: [|]|name: a: b|- name: app|? a|: b|<<: {name: x}|name: !!str y
    |name: ${X:?gone}|name: 5|name: ''|name: &a z|\tname: x|name: on""".split("|")
)


def answer(function: Callable[[LoadOptions], str], options: LoadOptions) -> str | None:
    """Return the name, or None where the command would end."""
    try:
        return function(options)
    except ComposerError:
        return None


def name_of_model(options: LoadOptions) -> str:
    return load.load(options).name


@given(st.lists(st.lists(LINES, max_size=7), min_size=1, max_size=3), st.sampled_from(["", "X=b\n", "X\0"]))
def test_it_never_answers_differently_from_the_loader(texts: list[list[str]], env: str) -> None:
    with TemporaryDirectory() as directory:
        files = [f"{directory}/{index}.yaml" for index in range(len(texts))]
        for file, lines in zip(files, texts, strict=True):
            Path(file).write_text("\n".join(lines))
        Path(directory, "env").write_text(env)
        options = LoadOptions(files=tuple(files), env_files=("env",), working_dir=directory)
        quick = answer(naming.project_name, options)
        assert quick == answer(load.project_name, options)
        model = answer(name_of_model, options)
        assert model is None or model == quick


@given(st.text(alphabet="name: ab'\"#-|>&*!{}[],\n\t${:?}1", max_size=40))
def test_nor_for_any_text(text: str) -> None:
    with TemporaryDirectory() as directory:
        Path(directory, "compose.yaml").write_text(f"{text}\nservices: {{a: {{image: i}}}}\n")
        options = LoadOptions(working_dir=directory)
        quick = answer(naming.project_name, options)
        assert quick == answer(load.project_name, options)
        model = answer(name_of_model, options)
        assert model is None or model == quick


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty compose file"),
        ("- a\n", "must be a mapping"),
        ("x: 1\nname: [\n", "cannot read YAML"),
        ("x: {\nname: app\n", "cannot read YAML"),
        ("name: 5\n", "the project name must be a string"),
        ("name:\n", "the project name must be a string"),
        ("name: ${X:?gone}\n", "required variable 'X' is missing a value: gone"),
        ("name: ${X\n", "invalid interpolation"),
        ("x: 1\nname: a\nname: b\n", "duplicate key 'name'"),
    ],
)
def test_a_name_that_cannot_be_read_is_not_the_directory_s(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "compose.yaml").write_text(text)
    options = LoadOptions(working_dir=str(tmp_path))
    with pytest.raises(ComposerError, match=re.escape(words)):
        naming.project_name(options)
    assert naming.project_name(options._replace(name="other")) == "other"


def test_what_is_wrong_below_a_plain_name_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("name: app\nservices: {w: [}\n")
    options = LoadOptions(working_dir=str(tmp_path))
    assert naming.project_name(options) == load.project_name(options) == "app"


def test_it_names_every_case_as_the_loader_does() -> None:
    quick = 0
    for directory in sorted(path for path in CASES.iterdir() if path.is_dir()):
        options = LoadOptions(working_dir=str(directory), environment={"HOME": "/root"}, home="/root")
        try:
            wanted = load.project_name(options)
        except ComposerError:
            with pytest.raises(ComposerError):
                naming.project_name(options)
            continue
        assert naming.project_name(options) == wanted, directory.name
        for file in directory.glob("compose.y*ml"):
            try:
                quick += glance(file.read_text()) is not UNSURE
            except UnicodeDecodeError:
                pass  # one of the cases is about that
    assert quick > 500
