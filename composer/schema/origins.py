"""Where values came from, and which variables the files use: ``config --origins`` and ``config --variables``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import Mark, ProjectError
from composer.schema.interpolate import variables_in
from composer.schema.render import json_string
from composer.schema.tree import NOWHERE, Map, Seq, mark_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.schema.tree import Path


class Variable(NamedTuple):
    """A variable of the files: what is used when it is not set (``default``) and when it is (``alternate``)."""

    name: str
    required: bool
    default: str
    alternate: str


def origins(tree: Map, wanted: str = "") -> Iterator[tuple[Path, Any, Mark]]:
    """Yield the path, the value and the mark of every leaf below a path. Raises ProjectError when nothing is there."""
    start = parse_path(wanted)
    value: Any = tree
    for part in start:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            raise ProjectError(
                f"no value at '{wanted}' in the project", hint="use a path such as services.web.ports[0]"
            ) from None
    yield from _leaves(value, start, mark_at(tree, start) or NOWHERE)


def parse_path(text: str) -> Path:
    """Return ``services.web.ports[0]`` as a path."""
    path: list[str | int] = []
    for part in text.split(".") if text else ():
        name, *indices = part.replace("]", "").split("[")
        if name:
            path.append(name)
        path.extend(int(index) if index.isdigit() else index for index in indices)
    return tuple(path)


def _leaves(value: Any, path: Path, mark: Mark) -> Iterator[tuple[Path, Any, Mark]]:
    if isinstance(value, Map) and value:
        for key, item in value.items():
            own = value.mark(key)
            yield from _leaves(item, (*path, key), own if own != NOWHERE else _implied(mark))
    elif isinstance(value, Seq) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index), value.mark(index) if value.marks else mark)
    elif value is not None or mark != NOWHERE:
        yield path, value, mark


def _implied(mark: Mark) -> Mark:
    return mark if mark.why else mark._replace(why="default")


def shown(value: Any) -> str:
    """Return a leaf as ``config --origins`` prints it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return json_string(value) if isinstance(value, str) else str(value)


def variables(tree: Any) -> list[Variable]:
    """Return the variables that a tree uses, sorted by name. The tree was loaded without interpolation."""
    found: dict[str, Variable] = {}
    for text in _texts(tree):
        for name, operator, operand in variables_in(text):
            old = found.get(name, Variable(name, False, "", ""))
            found[name] = Variable(
                name,
                old.required or operator.endswith("?"),
                operand if operator.endswith("-") else old.default,
                operand if operator.endswith("+") else old.alternate,
            )
    return [found[name] for name in sorted(found)]


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from _texts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _texts(value)
