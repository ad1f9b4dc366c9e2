"""The row of an attribute: how it gets into a container's configuration, and what cannot be done of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.attributes import YES, partly, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.attributes import Verdict
    from composer.engine.wanted import Limitation

    Config = dict[str, Any]
    Apply = Callable[[Config, Any], None]
    Probe = Callable[[Any], list[Limitation]]


def nothing(config: Config, value: Any) -> None:
    """Read elsewhere, or only its limitation counts: that the attribute has a row is enough."""


class Row(NamedTuple):
    """``probe`` says what cannot be done of a value, and ``part`` then what can be done, for people.

    ``refusal`` is the reason why nothing can be done of it, and a hint.
    """

    apply: Apply = nothing
    probe: Probe | None = None
    part: str = ""
    refusal: tuple[str, str] | None = None

    @property
    def verdict(self) -> Verdict:
        if self.refusal is not None:
            return refused(self.refusal[0])
        return partly(self.part) if self.part else YES


def refused_row(reason: str, hint: str) -> Row:
    """Return the row of what is refused, whatever its value; what is as good as not written is let pass."""
    return Row(refusal=(reason, hint))
