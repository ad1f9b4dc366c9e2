"""Every document that composer writes for programs or reads: a model of each, and its published JSON Schema.

A command writes its document without these models, for their import costs more than a fast command takes; a test
holds what each command writes to its model. What is read, saved plans and the configuration file, is read through
them. Nothing is imported here before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pydantic import TypeAdapter

OBJECT, ARRAY, LINES, TOML = "object", "array", "lines", "toml"
_FORMS = {
    OBJECT: "one JSON object",
    ARRAY: "one JSON array",
    LINES: "one JSON object per line",
    TOML: "a TOML file",
}


class Entry(NamedTuple):
    """Where a document comes from, and which model describes it.

    ``form`` is `OBJECT`, `ARRAY` of the model, `LINES` of one each, or `TOML`. ``docker``: the keys are Docker's.
    """

    model: str
    form: str
    source: str
    docker: bool = False

    @property
    def shape(self) -> str:
        """The form in words."""
        return _FORMS[self.form]


DOCUMENTS: dict[str, Entry] = {
    "boot": Entry("machine:BootStatus", OBJECT, "composer boot status --format json"),
    "config-file": Entry("configuration:ConfigFile", TOML, "~/.config/composer/config.toml"),
    "doctor": Entry("machine:Doctor", OBJECT, "composer doctor --json"),
    "doctor-clean": Entry("machine:Cleaned", OBJECT, "composer doctor --clean --json"),
    "events": Entry("streams:Event", LINES, "composer events --json", docker=True),
    "graph": Entry("graph:Graph", OBJECT, "composer graph --format json"),
    "image-history": Entry("lists:HistoryRow", LINES, "composer image history --format json", docker=True),
    "image-inspect": Entry("objects:Image", ARRAY, "composer image inspect", docker=True),
    "image-ls": Entry("lists:ImageRow", LINES, "composer image ls --format json", docker=True),
    "images": Entry("lists:ContainerImage", ARRAY, "composer images --format json", docker=True),
    "lint": Entry("project:LintReport", OBJECT, "composer lint --format json"),
    "logs": Entry("streams:LogLine", LINES, "composer logs --json"),
    "ls": Entry("lists:ProjectRow", ARRAY, "composer ls --format json", docker=True),
    "network-inspect": Entry("objects:Network", ARRAY, "composer network inspect", docker=True),
    "network-ls": Entry("lists:NetworkRow", LINES, "composer network ls --format json", docker=True),
    "origins": Entry("project:Origin", ARRAY, "composer config --origins --format json"),
    "plan": Entry("plans:Plan", OBJECT, "composer plan --json"),
    "progress": Entry(
        "streams:ProgressLine", LINES, "composer --progress json VERB, on standard error", docker=True
    ),
    "project": Entry("project:Project", OBJECT, "composer config --format json", docker=True),
    "ps": Entry("lists:ContainerRow", LINES, "composer ps --format json", docker=True),
    "saved-plan": Entry("plans:SavedPlan", OBJECT, "composer plan --out FILE, for composer apply FILE"),
    "stats": Entry("lists:StatsRow", LINES, "composer stats --format json", docker=True),
    "system-df": Entry("lists:DiskRow", LINES, "composer system df --format json", docker=True),
    "timeline": Entry(
        "timeline:Timeline", OBJECT, "composer up --timeline FILE, for composer graph --timeline FILE"
    ),
    "variables": Entry("project:Variables", OBJECT, "composer config --variables --format json", docker=True),
    "version": Entry("machine:Version", OBJECT, "composer version --format json", docker=True),
    "volume-inspect": Entry("objects:Volume", ARRAY, "composer volume inspect", docker=True),
    "volume-ls": Entry(
        "lists:VolumeRow", LINES, "composer volume ls, composer volumes --format json", docker=True
    ),
}


def model(name: str) -> Any:
    """Return what describes a document: a pydantic model, or a union of models."""
    module, _, kind = DOCUMENTS[name].model.partition(":")
    return getattr(import_module(f"composer.documents.{module}"), kind)


def adapter(name: str) -> TypeAdapter[Any]:
    """Return what validates a document; of `LINES`, one line."""
    from pydantic import TypeAdapter

    found = model(name)
    whole: Any = list.__class_getitem__(found) if DOCUMENTS[name].form == ARRAY else found
    return TypeAdapter(whole)


def _untitled(node: Any) -> Any:
    """Return a schema without titles, which say a key's name a second time."""
    if isinstance(node, list):
        return [_untitled(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: _untitled(each) for name, each in value.items()}
        if key in ("properties", "$defs")
        else _untitled(value)
        for key, value in node.items()
        if key != "title"
    }


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a document; of `LINES`, that of one line."""
    entry = DOCUMENTS[name]
    found = _untitled(adapter(name).json_schema(by_alias=True))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **found,
        "title": name,
        "description": f"{entry.source}: {entry.shape}. {found.get('description', '')}".strip(),
    }
