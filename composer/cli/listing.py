"""Lists as ``--format`` wants them: a table, JSON, a template per row, or a table made by a template.

One row is a `Record`; what a column is called in a table is in ``headers``, by field. What Docker's commands have in
common: https://docs.docker.com/engine/cli/formatting/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.cli.record import Record, to_json
from composer.cli.table import align

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeVar

    from composer.cli.context import Context

    T = TypeVar("T")

_NONE: Mapping[str, str] = {}


def show(
    context: Context,
    style: str,
    rows: Sequence[Record],
    headers: Mapping[str, str],
    *,
    others: Mapping[str, str] = _NONE,
    array: bool = False,
) -> None:
    """Write rows. ``headers`` are the columns of the plain table, in order; ``others`` a template may ask for.

    JSON is an object per line, or with ``array`` one array, as Docker Compose has it for some lists.
    """
    text = render(style, rows, headers, others=others, array=array)
    if text:
        context.write(text)


def render(
    style: str,
    rows: Sequence[Record],
    headers: Mapping[str, str],
    *,
    others: Mapping[str, str] = _NONE,
    array: bool = False,
) -> str:
    """Return what `show` writes."""
    style = style or "table"
    if style == "json":
        return to_json(rows) if array else "\n".join(to_json(row) for row in rows)
    if style == "table":
        return align([tuple(headers.values()), *(tuple(str(row[key]) for key in headers) for row in rows)])
    from composer.cli.template import Template

    is_table = style.startswith("table ")
    template = Template(style.removeprefix("table ").replace("\\t", "\t").replace("\\n", "\n"))
    lines = [template.render(row) for row in rows]
    if not is_table:
        return "\n".join(lines)
    known = {**others, **headers}
    names = Record(
        {key: known.get(key, _upper(key)) for key in {*known, *(key for row in rows for key in row)}}
    )
    names["Label"] = _label_header
    return align([line.split("\t") for line in [template.render(names), *lines]])


def _upper(field: str) -> str:
    """Return a field's name as a heading: ``RunningFor`` is ``RUNNING FOR``."""
    return "".join(
        f" {c}" if c.isupper() and i and not field[i - 1].isupper() else c for i, c in enumerate(field)
    ).upper()


def _label_header(name: str) -> str:
    return name.rpartition(".")[2].replace("-", " ").replace("_", " ").upper()


def inspect(
    context: Context,
    style: str | None,
    kind: str,
    names: Sequence[str],
    find: Callable[[str], T | None],
    picture: Callable[[T], dict[str, Any]],
) -> None:
    """Write whole objects: as an array of JSON, or through a template one by one. Raises NotFound."""
    import json

    from composer.errors import NotFound

    found = []
    for name in names:
        each = find(name)
        if each is None:
            raise NotFound(f"no such {kind}: {name}", hint=f"list them with composer {kind} ls")
        found.append(picture(each))
    if style in (None, "", "json"):
        indent = None if style == "json" else 4
        context.write(json.dumps(found, indent=indent, ensure_ascii=False))
        return
    from composer.cli.template import Template

    template = Template((style or "").replace("\\t", "\t").replace("\\n", "\n"))
    for shown in found:
        context.write(template.render(Record(shown)))
