"""A plan for people: what happens to each resource, in the order in which it begins, and why; on request with steps.

    + network app_default            does not exist
    ~ container app-web-1            environment.DEBUG: "0" → "1" (compose.override.yaml:7:14)
        create as 0123456789ab_app-web-1
        stop
        rename to app-web-1
        start after db is healthy
        remove the old one
    2 changes: 1 to create, 1 to replace; 3 unchanged

``+`` is made, ``~`` replaced, changed or mended, ``-`` removed, ``>`` started, ``.`` waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.cli import safe
from composer.engine.operations import row
from composer.engine.operations.registry import brief_of, effect_of, resource_of
from composer.engine.operations.waiting import WaitService, met

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.engine.operations.row import Resource
    from composer.engine.plan import Plan, Step

CREATE, REPLACE, REMOVE, START, STOP, WAIT, PULL, BUILD, MEND = (
    "create", "replace", "remove", "start", "stop", "wait", "pull", "build", "repair",
)  # fmt: skip
_MARKS = {
    CREATE: "+",
    REPLACE: "~",
    REMOVE: "-",
    START: ">",
    STOP: "!",
    WAIT: ".",
    PULL: "+",
    BUILD: "+",
    MEND: "~",
}
_COLORS = {
    CREATE: "32",
    REPLACE: "33",
    REMOVE: "31",
    START: "36",
    STOP: "31",
    WAIT: "2",
    PULL: "32",
    BUILD: "32",
    MEND: "33",
}
_ORDER = (PULL, BUILD, CREATE, REPLACE, MEND, START, STOP, REMOVE)


class _Entry(NamedTuple):
    resource: Resource
    kind: str
    cause: str
    steps: tuple[Step, ...]


def outline(plan: Plan, *, color: bool = False, steps: bool = False) -> str:
    """Return a line for each resource, with its ``steps`` below where asked, and the summary."""
    entries = _entries(plan)
    gates = {step.id: step.operation for step in plan.steps if isinstance(step.operation, WaitService)}
    width = max((len(str(entry.resource)) for entry in entries), default=0)
    lines = []
    for entry in entries:
        head = f"{_MARKS[entry.kind]} {entry.resource.kind or 'service'} {entry.resource.name}".ljust(
            width + 2
        )
        line = safe.line(f"{head}   {entry.cause}".rstrip())
        lines.append(safe.paint(_COLORS[entry.kind], line) if color else line)
        if steps and (len(entry.steps) > 1 or entry.kind == START):
            lines += [f"    {safe.line(_words(step, gates))}" for step in entry.steps]
    lines.append(summary(plan))
    return "\n".join(lines)


def summary(plan: Plan) -> str:
    """Return one line that counts what would change."""
    kinds = [entry.kind for entry in _entries(plan) if entry.kind != WAIT]
    unchanged = f"{len(plan.unchanged)} unchanged" if plan.unchanged else ""
    if not kinds:
        return f"nothing to do{': ' if unchanged else ''}{unchanged}"
    counts = ", ".join(f"{kinds.count(kind)} to {kind}" for kind in _ORDER if kind in kinds)
    noun = "change" if len(kinds) == 1 else "changes"
    return f"{len(kinds)} {noun}: {counts}{'; ' if unchanged else ''}{unchanged}"


def _entries(plan: Plan) -> list[_Entry]:
    """Group the steps by what they are about, in the order of each thing's first step."""
    groups: dict[Resource, list[Step]] = {}
    for step in plan.steps:
        groups.setdefault(resource_of(step.operation), []).append(step)
    return [_entry(resource, tuple(steps)) for resource, steps in groups.items()]


def _entry(resource: Resource, steps: tuple[Step, ...]) -> _Entry:
    effects = {effect_of(step.operation) for step in steps}
    kind = next(kind for kind, fits in _KINDS if fits(effects))
    cause = next((s.operation.cause for s in steps if s.operation.cause), "")
    return _Entry(resource, kind, cause, steps)


_KINDS: tuple[tuple[str, Callable[[set[str]], Any]], ...] = (
    (REPLACE, lambda e: row.MAKES in e and e & {row.RENAMES, row.REMOVES}),
    (CREATE, lambda e: row.MAKES in e),
    (REMOVE, lambda e: row.REMOVES in e),
    (BUILD, lambda e: row.BUILDS in e),
    (PULL, lambda e: row.BRINGS in e),
    (REPLACE, lambda e: e & {row.RENAMES, row.CHANGES}),
    (MEND, lambda e: row.MENDS in e),
    (START, lambda e: row.STARTS in e),
    (STOP, lambda e: row.STOPS in e),
    (WAIT, lambda e: True),
)
"""What the operations on one thing come to, by what each does; the first that fits."""


def _words(step: Step, gates: Mapping[int, WaitService]) -> str:
    text = brief_of(step.operation)
    behind = [
        f"{gates[id].service} is {met(gates[id].condition)}"
        for id in step.needs
        if id in gates and gates[id].waiting
    ]
    return f"{text} after {', '.join(behind)}" if behind else text
