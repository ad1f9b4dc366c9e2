"""Saved plans: files that ``plan --out`` writes and ``apply`` executes.

The file says what would be done, by which command with which options, from which compose files. It holds no
specifications and so no secret: of each operation it has the text and a digest of everything in it, under the key
of this machine. `apply` makes the plan again and compares: the file is a promise of what will happen, and where the
world or the compose files have moved since, nothing happens. `composer.documents.plans` describes the format and
reads it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from composer.engine.resolving import compare
from composer.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.engine.plan import Plan

VERSION = 1
_SHOWN = 5


def document(plan: Plan, project: str, command: str) -> dict[str, Any]:
    """Return a plan as JSON for machines (``plan --json``)."""
    return {
        "version": VERSION,
        "command": command,
        "project": project,
        "changes": plan.has_changes,
        "operations": plan.to_json(),
        "unchanged": list(plan.unchanged),
        "warnings": [*map(str, plan.losses), *plan.warnings],
    }


def saved_document(
    plan: Plan,
    project: str,
    command: str,
    *,
    inputs: Mapping[str, Any],
    options: Mapping[str, Any],
    key: bytes,
) -> dict[str, Any]:
    """Return the document with what `apply` needs: inputs, options, and a digest in each operation."""
    whole = document(plan, project, command)
    for written, step in zip(whole["operations"], plan.steps, strict=True):
        written["digest"] = compare.keyed_digest(key, [_canonical(step).encode()])
    return {**whole, "inputs": dict(inputs), "options": dict(options)}


def check(operations: Sequence[Mapping[str, Any]], plan: Plan, key: bytes) -> None:
    """Raise Conflict unless ``plan`` is the one whose operations were saved, to the last byte of what it would do."""
    had = [f"{o['text']}{o['cause'] and ': '}{o['cause']}" for o in operations]
    has = [f"{o['text']}{o['cause'] and ': '}{o['cause']}" for o in plan.to_json()]
    digests = [compare.keyed_digest(key, [_canonical(step).encode()]) for step in plan.steps]
    if digests == [o["digest"] for o in operations]:
        return
    error = Conflict(
        "the saved plan is stale: the compose files or the containers have changed since it was created",
        hint="create a new plan, review it, and apply it",
    )
    only_then = [line for line in had if line not in has]
    only_now = [line for line in has if line not in had]
    for sign, lines in (("-", only_then), ("+", only_now)):
        for line in lines[:_SHOWN]:
            error.add_note(f"{sign} {line}")
        if len(lines) > _SHOWN:
            error.add_note(f"{sign} … and {len(lines) - _SHOWN} more")
    if not only_then and not only_now:
        error.add_note("the operations are the same, but a value that is not shown has changed")
    raise error


def _canonical(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """Return any value of an operation as JSON; types are told apart, so that no two differ only by theirs."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {"": type(value).__name__, **{k: _plain(v) for k, v in value._asdict().items()}}
    if hasattr(value, "items"):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = [_plain(item) for item in value]
        return sorted(items, key=str) if isinstance(value, set | frozenset) else items
    return value.hex() if isinstance(value, bytes) else value
