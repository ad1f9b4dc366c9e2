"""Builds in their order: an image after those that it is built from, each once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from composer.graph import after_needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from composer.engine.operations.images import BuildImage
    from composer.engine.plan import PlanBuilder

    BasesOf = Callable[[str], Sequence[str]]
    """Returns the services whose images a service's image is built from."""


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
    for name in after_needs(services, needed):
        operation = made[name]
        if operation is None:
            continue
        needs = [steps[base] for base in bases(name) if base in steps]
        what = json.dumps([operation.spec.reference, operation.spec.attributes], sort_keys=True, default=str)
        if what not in same:
            same[what] = builder.add(operation, needs)
        steps[name] = same[what]
