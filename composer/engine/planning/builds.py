"""Builds in their order: an image after those that it is built from, each once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from composer.engine.operations.images import BuildImage
    from composer.engine.plan import PlanBuilder

    Bases = Callable[[str], Sequence[str]]
    """Returns the services whose images a service's image is built from."""


class Builds:
    """Adds builds to a plan. ``make`` returns a service's build, None where it has none or needs none now."""

    def __init__(self, builder: PlanBuilder, bases: Bases, make: Callable[[str], BuildImage | None]) -> None:
        self._builder, self._bases, self._make = builder, bases, make
        self._steps: dict[str, int | None] = {}
        self._same: dict[str, int] = {}

    def add(self, service: str, above: tuple[str, ...] = ()) -> int | None:
        """Add the build of a service, after those of its bases; return its step. A circle is cut: the build says so."""
        if service in self._steps or service in above:
            return self._steps.get(service)
        operation = self._make(service)
        if operation is None:
            self._steps[service] = None
            return None
        needs = [self.add(base, (*above, service)) for base in self._bases(service)]
        spec = operation.spec
        what = json.dumps([spec.reference, spec.attributes], sort_keys=True, default=str)
        if what not in self._same:
            self._same[what] = self._builder.add(operation, [step for step in needs if step is not None])
        self._steps[service] = self._same[what]
        return self._steps[service]
