"""A project's name at a glance: whatever the short way says, the loader says too."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.errors import ComposerError
from composer.schema import load, naming
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
    assert naming.glance(text) == name == by_the_loader(text)


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
    assert naming.glance(text) is naming.UNSURE


LINES = st.sampled_from(
    """name: app|name: 'b-c' # d|name:| name: x|services: {}|version: '3'|---|...||#c|  more|x-a: >-|'|"|x-a: "|{|}
    |x-b: [|]|name: a: b|- name: app|? a|: b|<<: {name: x}|name: !!str y|name: &a z|\tname: x|name: on""".split(
        "|"
    )
)


@given(st.lists(LINES, max_size=7))
def test_it_never_says_another_name_than_the_loader(lines: list[str]) -> None:
    text = "\n".join(lines)
    seen = naming.glance(text)
    if seen is not naming.UNSURE:
        problems = Problems()
        parse(text, "compose.yaml", problems)
        assert problems.errors or seen == by_the_loader(text)


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
                quick += naming.glance(file.read_text()) is not naming.UNSURE
            except UnicodeDecodeError:
                pass  # one of the cases is about that
    assert quick > 500
