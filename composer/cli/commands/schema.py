"""``composer schema``: the JSON Schema of each document that composer writes for programs, or reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from composer.cli.context import Context


@click.command(
    name="schema",
    help="Print the JSON Schema of a document that composer writes or reads. Without a name, list the documents.",
)
@click.argument("name", required=False, metavar="[NAME]")
@click.pass_obj
def command(context: Context, /, name: str | None) -> None:
    from composer import documents

    if name is None:
        width = max(map(len, documents.DOCUMENTS)) + 2
        for each, entry in documents.DOCUMENTS.items():
            context.write(f"{each.ljust(width)}{entry.source}")
        return
    if name not in documents.DOCUMENTS:
        from composer.errors import ProjectError
        from composer.schema.problems import did_you_mean

        raise ProjectError(
            f"unknown document '{name}'",
            hint=did_you_mean(
                name.replace("-", "_"), [each.replace("-", "_") for each in documents.DOCUMENTS]
            )
            or "list the documents with composer schema",
        )
    context.write(json.dumps(documents.schema(name), indent=2, ensure_ascii=False))
