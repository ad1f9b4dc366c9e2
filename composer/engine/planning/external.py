"""Services without containers in the order of a teardown: each ends after what depends on it, before what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.graph import after_needs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from composer.engine.operations.registry import Operation
    from composer.engine.plan import PlanBuilder


class External(NamedTuple):
    """A service that a provider made: what is to be done with it, and the services that it depends on."""

    operation: Operation
    needs: tuple[str, ...] = ()


class Externals:
    """The external services of one plan.

    ``named`` are those that were asked for; empty stands for all. The others only carry dependencies.
    """

    def __init__(self, services: Mapping[str, External], named: Sequence[str] = ()) -> None:
        self.services = services
        self._left = [
            name
            for name in reversed(after_needs(sorted(services), self._needs))
            if name in services and (not named or name in named)
        ]
        self._steps: dict[str, int] = {}

    def _needs(self, name: str) -> Sequence[str]:
        return self.services[name].needs if name in self.services else ()

    def through(self, needs: Iterable[str]) -> tuple[set[str], list[str]]:
        """Return which external services these needs are and lead to, and which others those need."""
        used = after_needs([name for name in needs if name in self.services], self._needs)
        return {name for name in used if name in self.services}, [n for n in used if n not in self.services]

    def end(
        self,
        builder: PlanBuilder,
        uses: Mapping[str, set[str]],
        ended: Mapping[str, Sequence[int]],
        before: str | None = None,
    ) -> list[int]:
        """Add the steps that end external services; return those that have to come before ``before`` ends.

        ``uses`` says which external services a container's service depends on, ``ended`` with which steps that ended.
        Without ``before``, all that are left end.
        """
        for name in [one for one in self._left if before is None or before in self.through([one])[1]]:
            self._left.remove(name)
            after = [id for service, used in uses.items() if name in used for id in ended.get(service, ())]
            after += [id for other, id in self._steps.items() if name in self._needs(other)]
            self._steps[name] = builder.add(self.services[name].operation, after=after)
        return [id for name, id in self._steps.items() if before is None or before in self._needs(name)]
