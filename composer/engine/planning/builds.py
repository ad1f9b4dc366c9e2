"""Builds in their order: an image after those that it is built from, each once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from composer.engine.operations.images import BuildImage
    from composer.engine.plan import PlanBuilder

    BasesOf = Callable[[str], Sequence[str]]
    """Returns the services whose images a service's image is built from."""


def after_bases(services: Iterable[str], bases: BasesOf) -> list[str]:
    """Return services and all their bases, each after its own. A circle is cut somewhere: the build says so."""
    ordered: list[str] = []
    seen: set[str] = set()
    for root in services:
        pending = [(root, False)]
        while pending:
            name, is_left = pending.pop()
            if is_left:
                ordered.append(name)
            elif name not in seen:
                seen.add(name)
                pending.append((name, True))
                pending += [(base, False) for base in reversed(bases(name)) if base not in seen]
    return ordered


def add_builds(
    builder: PlanBuilder,
    services: Iterable[str],
    bases: BasesOf,
    make: Callable[[str], BuildImage | None],
) -> None:
    """Add the builds of services, and before each those of its bases.

    ``make`` returns a service's build, None where it has none or needs none now; then its bases do not matter.
    """
    made: dict[str, BuildImage | None] = {}

    def needed(name: str) -> Sequence[str]:
        if name not in made:
            made[name] = make(name)
        return bases(name) if made[name] is not None else ()

    steps: dict[str, int] = {}
    same: dict[str, int] = {}
    for name in after_bases(services, needed):
        operation = made[name]
        if operation is None:
            continue
        needs = [steps[base] for base in bases(name) if base in steps]
        what = json.dumps([operation.spec.reference, operation.spec.attributes], sort_keys=True, default=str)
        if what not in same:
            same[what] = builder.add(operation, needs)
        steps[name] = same[what]
