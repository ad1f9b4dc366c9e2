"""A plan: operations with what each must come after, as a DAG; and what came of one.

Nodes are in an order in which they could run one by one: a node comes after all its dependencies. `str(plan)`
is one line per operation, the same bytes for the same input: test oracle, ``composer plan`` and debug log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.engine.operations.waiting import WaitService
from composer.engine.progress import DONE, WORKING, Progress, is_under_way
from composer.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from composer.engine.losses import Loss
    from composer.engine.operations.registry import Operation
    from composer.engine.operations.row import Resource
    from composer.engine.providers.protocol import Variables
    from composer.errors import ComposerError

PARALLEL = 16
"""Workers unless told otherwise: more do not help a kernel, fewer would serialise slow stops."""


class Step(NamedTuple):
    """One node. It runs when all of ``needs`` succeeded and all of ``after`` ended, in whatever way."""

    id: int
    operation: Operation
    needs: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    def __str__(self) -> str:
        from composer.engine.operations.registry import text_of

        order = [f"#{id}" for id in self.needs] + [f"#{id}?" for id in self.after]
        behind = f" (after {', '.join(order)})" if order else ""
        return f"#{self.id} {text_of(self.operation)}{_because(self.operation.cause)}{behind}"


def _because(cause: str) -> str:
    return f": {cause}" if cause else ""


class Plan(NamedTuple):
    """What would be done.

    ``warnings`` are sentences for the user; ``unchanged`` names what is as it should be, and ``told`` has the phases
    that need no step, for who watches. ``diverged_volumes`` stay as they are, because replacing
    them loses data: to be asked. ``losses`` are data that is lost from sight, and that nobody has agreed to yet.
    """

    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    diverged_volumes: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()
    told: tuple[Progress, ...] = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps))

    @property
    def has_changes(self) -> bool:
        """Return True if the plan has operations other than waiting."""
        return any(not isinstance(step.operation, WaitService) for step in self.steps)

    def after(self, first: Plan, unchanged: Iterable[str] = ()) -> Plan:
        """Return a plan that begins with the steps of another, which this one's do not wait for by name."""
        if not first.steps and not unchanged:
            return self
        count = len(first.steps)
        moved = tuple(
            step._replace(
                id=step.id + count,
                needs=tuple(id + count for id in step.needs),
                after=tuple(id + count for id in step.after),
            )
            for step in self.steps
        )
        return self._replace(steps=(*first.steps, *moved), unchanged=(*self.unchanged, *unchanged))

    def to_json(self) -> list[dict[str, Any]]:
        """Return the steps for machines: plain values, ids as in the text."""
        return [_step_json(step) for step in self.steps]


def _step_json(step: Step) -> dict[str, Any]:
    from composer.engine.operations.registry import action_of, facts_of, resource_of, text_of

    operation = step.operation
    action, _, kind = action_of(operation).partition(" ")
    return {
        "id": step.id,
        "action": action,
        "kind": kind.removeprefix("for "),
        "name": resource_of(operation).name,
        "text": text_of(operation),
        "cause": operation.cause,
        "needs": list(step.needs),
        "after": list(step.after),
        **facts_of(operation),
    }


class PlanBuilder:
    """Collects steps. A step can only come after steps that were added before it, so no cycle can be built."""

    __slots__ = ("_steps", "_warnings", "diverged_volumes", "losses", "told", "unchanged")

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._warnings: list[str] = []
        self.unchanged: list[str] = []
        self.diverged_volumes: list[str] = []
        self.losses: list[Loss] = []
        self.told: list[Progress] = []

    def add(self, operation: Operation, needs: Iterable[int] = (), after: Iterable[int] = ()) -> int:
        """Append a step and return its id."""
        id = len(self._steps) + 1
        firm = tuple(sorted(set(needs)))
        loose = tuple(sorted(set(after) - set(firm)))
        for other in (*firm, *loose):
            if not 0 < other < id:
                raise ValueError(f"step #{id} cannot come after #{other}, which does not exist yet")
        self._steps.append(Step(id, operation, firm, loose))
        return id

    def tell(self, resource: Resource, *phases: str, detail: str = "", more: bool = False) -> None:
        """Have it said of a resource that it entered phases, without a step; ``more``: steps of it follow."""
        self.told += [
            Progress(WORKING if more or is_under_way(phase) else DONE, resource, phase, detail)
            for phase in phases
        ]

    def warn(self, sentence: str) -> None:
        if sentence not in self._warnings:
            self._warnings.append(sentence)

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps)

    def build(self) -> Plan:
        return Plan(
            tuple(self._steps),
            tuple(self._warnings),
            tuple(self.unchanged),
            tuple(self.diverged_volumes),
            tuple(self.losses),
            tuple(self.told),
        )


class Outcome(NamedTuple):
    """What came of a plan. ``done``, ``failed``, ``skipped`` and ``cancelled`` are ids of steps.

    ``ids`` are the new containers', ``variables`` what providers gave, by service, ``endpoints`` where models are
    served. ``failures`` has more than ``failed`` where putting things back went wrong as well.
    """

    done: tuple[int, ...] = ()
    failures: tuple[ComposerError, ...] = ()
    failed: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()
    cancelled: tuple[int, ...] = ()
    ids: Mapping[str, str] = {}
    variables: Mapping[str, Variables] = {}
    endpoints: Mapping[str, str] = {}

    def check(self) -> None:
        """Raise what went wrong: one error as itself, several as an ExceptionGroup; Cancelled after a Ctrl-C."""
        if len(self.failures) == 1:
            raise self.failures[0]
        if self.failures:
            raise ExceptionGroup(f"{len(self.failures)} operations failed", list(self.failures))
        if self.cancelled:
            raise Cancelled("cancelled", hint="run the command again to complete the remaining operations")
