"""The ``filters`` of listings: a JSON object of lists, or in its old form of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.api.expressions import Expression, Invalid
from composer.api.http.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from composer.api.http.call import Call


class Filters:
    """Filters by name. An object is wanted where each filter has a value that fits; of labels all have to."""

    def __init__(self, found: Mapping[str, tuple[str, ...]]) -> None:
        self._found = found
        self._expressions: dict[str, Expression | None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def texts(self, name: str) -> tuple[str, ...]:
        return self._found.get(name, ())

    def flag(self, name: str) -> bool | None:
        """Return a filter that is true or false; None where it is missing. Raises Problem."""
        if name not in self._found:
            return None
        values = {_FLAGS.get(text.lower()) for text in self._found[name]}
        if len(values) != 1 or None in values:
            raise Problem(400, f"invalid filter '{name}={list(self._found[name])}'")
        return bool(values.pop())

    def fits(self, name: str, matches: Callable[[str], bool]) -> bool:
        """Tell whether one of a filter's values matches, or there is none."""
        return name not in self._found or any(map(matches, self._found[name]))

    def fits_exactly(self, name: str, value: str) -> bool:
        return self.fits(name, lambda text: text == value)

    def fits_name(self, name: str, values: Iterable[str]) -> bool:
        """Tell whether a filter that is a regular expression, or a part of a name, fits one of several values."""
        listed = list(values)
        return self.fits(
            name, lambda text: text in listed or any(self._search(text, value) for value in listed)
        )

    def _search(self, text: str, value: str) -> bool:
        if text not in self._expressions:
            try:
                self._expressions[text] = Expression(text)
            except Invalid:
                self._expressions[text] = None  # Docker looks for nothing then but the text itself
            if sum(len(one) for one in self._expressions.values() if one is not None) > _MOST_STEPS:
                raise Problem(400, "invalid filter: its regular expressions are too large")
        expression = self._expressions[text]
        return expression.is_in(value) if expression is not None else text in value

    def fits_labels(self, labels: Mapping[str, str]) -> bool:
        """``label=KEY``, ``label=KEY=VALUE``, and ``label!=…`` for what must not be there."""

        def has(text: str) -> bool:
            key, equals, value = text.partition("=")
            return key in labels and (not equals or labels[key] == value)

        return all(map(has, self.texts("label"))) and not any(map(has, self.texts("label!")))


_FLAGS = {"1": True, "true": True, "t": True, "0": False, "false": False, "f": False}
_MOST_STEPS = 5000
"""What it costs to look at a character, at most."""


def read(call: Call, known: Iterable[str] | None) -> Filters:
    """Return the filters of a request. Raises Problem for one that is not ``known``; None takes all."""
    found = call.query.document("filters") or {}
    if not isinstance(found, dict):
        raise Problem(400, "invalid filter: an object is expected")
    result: dict[str, tuple[str, ...]] = {}
    for name, values in found.items():
        if isinstance(values, dict):
            values = [key for key, wanted in values.items() if wanted]
        if isinstance(values, (str, bool, int)):
            values = [str(values).lower() if isinstance(values, bool) else str(values)]
        if not isinstance(values, list) or not all(isinstance(value, (str, int)) for value in values):
            raise Problem(400, f"invalid filter '{name}': a list of strings is expected")
        result[name] = tuple(map(str, values))
    unknown = sorted(set(result) - set(known)) if known is not None else []
    if unknown:
        raise Problem(400, f"invalid filter '{unknown[0]}'")
    return Filters(result)
