"""docs/documents.md and docs/schemas are what the models say.

``python -m tests.unit.documents.test_documents_page`` writes them.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from composer import documents

DOCS = pathlib.Path(documents.__file__).parents[2] / "docs"
PAGE = DOCS / "documents.md"
SCHEMAS = DOCS / "schemas"

HEAD = """# Documents

    composer schema              the names of the documents
    composer schema ps           the JSON Schema of one, 2020-12

All documents that composer writes for programs, and all that it reads. The schemas are also in
[schemas/](schemas). A missing or additional key is a bug of composer: a test compares the output of each command
with its schema. Documents with Docker's keys have Docker's values: mostly strings for people. The others have
a `version` if they are stored; it is incremented on incompatible changes.

`composer apply` checks a saved plan against its schema and rejects unknown keys with their place
(`operations[3].needs[0]`). Every command checks the configuration file, and reports errors with file and line.

The typed project of the Python API is the `project` document: `composer.schema.load.load(…).typed`. With
`config --no-interpolate` values that hold `${…}` have no type yet, and `project` does not describe them.

## The configuration file

`$XDG_CONFIG_HOME/composer/config.toml`, else `~/.config/composer/config.toml`:

    backend = "docker"
    progress = "plain"
    parallel = 8

    [registry."docker.io"]
    mirrors = ["https://mirror.example.com"]

Options of the command line override the environment, and the environment overrides the file. The values are kept in the
cache (`$XDG_CACHE_HOME/composer`, else `~/.cache/composer`) until the file's text changes.
"""


def page() -> str:
    rows = ["\n## All of them\n\n| document | written by | form | keys |\n| --- | --- | --- | --- |\n"]
    for name, entry in documents.DOCUMENTS.items():
        keys = "Docker's" if entry.docker else "composer's"
        rows.append(f"| [{name}](schemas/{name}.json) | `{entry.source}` | {entry.shape} | {keys} |\n")
    tables = [part for name in documents.DOCUMENTS if name != "project" for part in _document(name)]
    return "".join((HEAD, *rows, *tables))


def _document(name: str) -> Iterator[str]:
    found = documents.schema(name)
    yield f"\n## {name}\n\n{found['description']}\n"
    inner = found["items"] if found.get("type") == "array" else found
    definitions = found.get("$defs", {})
    if "properties" in inner:
        yield f"\n{_table(inner)}"
    for title, each in definitions.items():
        yield f"\n**{title}**: {each['description']}\n\n{_table(each)}"


def _table(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        f"| `{key}`{'' if key in required else ' (optional)'} | {_type(value)} | {value.get('description', '')} |\n"
        for key, value in schema["properties"].items()
    ]
    return "".join(("| key | | |\n| --- | --- | --- |\n", *rows))


def _type(value: dict[str, Any]) -> str:
    if "$ref" in value:
        return str(value["$ref"].rpartition("/")[2])
    if "const" in value:
        return json.dumps(value["const"])
    if "enum" in value:
        return ", ".join(json.dumps(one) for one in value["enum"])
    if "anyOf" in value:
        return " or ".join(_type(one) for one in value["anyOf"])
    if value.get("type") == "array":
        return f"array of {_type(value['items'])}"
    if value.get("type") == "object":
        below = value.get("additionalProperties")
        return f"object of {_type(below)}" if isinstance(below, dict) else "object"
    return str(value.get("type", "anything"))


def schema_text(name: str) -> str:
    return json.dumps(documents.schema(name), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", sorted(documents.DOCUMENTS))
def test_the_published_schema_is_that_of_the_model(name: str) -> None:
    """A schema that changes is a change for those who read the document: it is seen in review."""
    assert (SCHEMAS / f"{name}.json").read_text() == schema_text(name), (
        "python -m tests.unit.documents.test_documents_page writes it anew"
    )


def test_the_page_is_what_the_models_say() -> None:
    assert PAGE.read_text() == page(), "python -m tests.unit.documents.test_documents_page writes it anew"


def test_no_schema_is_left_of_a_document_that_is_gone() -> None:
    assert {path.stem for path in SCHEMAS.iterdir()} == documents.DOCUMENTS.keys()


if __name__ == "__main__":
    SCHEMAS.mkdir(exist_ok=True)
    for each in documents.DOCUMENTS:
        (SCHEMAS / f"{each}.json").write_text(schema_text(each))
    PAGE.write_text(page())
