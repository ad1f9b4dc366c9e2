"""The YAML of a compose file with the place of every part, so that one can be replaced and the rest stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import yaml

from composer.errors import ProjectError
from composer.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PROPERTIES = pattern(r"(?:[&!]\S*\s+)*")
_MERGED = "tag:yaml.org,2002:merge"


class Edit(NamedTuple):
    """A part of a text, and what takes its place."""

    start: int
    end: int
    text: str


def documents(text: str, shown: str) -> list[yaml.Node]:
    """Return the documents of a file that was loaded before. Raises ProjectError."""
    try:
        return [node for node in yaml.compose_all(text, Loader=_LOADER) if node is not None]
    except yaml.YAMLError as error:
        raise ProjectError(
            f"cannot publish '{shown}': {' '.join(str(error).split())}",
            hint="write it in a simpler way: it is valid, but cannot be edited",
        ) from error


def fields(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """Return the values of a mapping, those that ``<<`` brings in too; nothing for what is none."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    own: dict[str, yaml.Node] = {}
    merged: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if key.tag == _MERGED:
            for one in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                merged = {**fields(one), **merged}
        elif isinstance(key, yaml.ScalarNode):
            own[key.value] = value
    return {**merged, **own}


def items(node: yaml.Node | None) -> list[yaml.Node]:
    """Return the items of a list; one that is no list is the only item."""
    if node is None:
        return []
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def text_of(node: yaml.Node | None) -> str | None:
    """Return the text of a scalar; None where there is none."""
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:null":
        return None
    return str(node.value)


def line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def pairs(
    node: yaml.Node, key: str = "", seen: frozenset[int] = frozenset()
) -> Iterator[tuple[str, str, int]]:
    """Yield every scalar with its key and line; ``KEY=VALUE`` in a list is a pair too, and a key is a scalar."""
    if id(node) in seen:
        return
    seen |= {id(node)}
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from pairs(name, "", seen)
            yield from pairs(value, str(name.value) if isinstance(name, yaml.ScalarNode) else "", seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from pairs(item, key, seen)
    else:
        text = text_of(node)
        if text is not None:
            name, equals, value = text.partition("=")
            is_pair = bool(equals) and name.replace("_", "a").isalnum()
            yield (name, value, line_of(node)) if is_pair else (key, text, line_of(node))


def replaced(node: yaml.Node, new: str, text: str) -> Edit:
    """Return the edit that puts ``new`` in the place of a scalar of ``text``; its anchor stays."""
    start, end = node.start_mark.index, node.end_mark.index
    properties = _PROPERTIES.match(text, start, end)
    assert properties is not None  # it matches nothing, at least
    is_block = getattr(node, "style", None) in ("|", ">")
    return Edit(properties.end(), end, f"{new}\n" if is_block else new)


def edited(text: str, edits: list[Edit]) -> str:
    """Return a text with all edits made; two nodes may be one, by an alias."""
    for edit in sorted(set(edits), reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text
