"""Is the merged tree a Compose file? The schema is compose-spec.json beside this module.

Most trees are valid, so the hot path is a verdict only: a small interpreter of the keywords that our schema uses,
a few milliseconds cheaper to import than jsonschema by two orders. Only a tree that fails is given to jsonschema,
whose errors `complaints` turns into words. A test holds the two to the same verdicts.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[Any], bool]

SCHEMA_FILE = os.path.join(os.path.dirname(__file__), "compose-spec.json")


def schema() -> dict[str, Any]:
    """Return the JSON Schema of compose files."""
    with open(SCHEMA_FILE, encoding="utf-8") as file:
        loaded: dict[str, Any] = json.load(file)
    return loaded


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float


def _is_integer(value: Any) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer())


_TYPES: dict[str, Check] = {
    "string": lambda value: type(value) is str,
    "integer": _is_integer,
    "number": _is_number,
    "boolean": lambda value: type(value) is bool,
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
}


class Validator:
    """The verdict of a schema, compiled as far as a tree needs it."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._named: dict[str, Check] = {}
        self.is_valid = self._compile(root)

    def _compile(self, node: Any) -> Check:
        if node is True:
            return _anything
        reference = node.get("$ref")
        if reference is not None:
            return self._reference(reference.rpartition("/")[2])
        checks = [make(self, node) for keyword, make in _KEYWORDS.items() if keyword in node]
        if "properties" in node or "patternProperties" in node:
            checks.append(self._properties(node))
        if len(checks) == 1:
            return checks[0]

        def check(value: Any) -> bool:
            return all(one(value) for one in checks)

        return check

    def _reference(self, name: str) -> Check:
        found = self._named.get(name)
        if found is not None:
            return found

        def late(value: Any) -> bool:
            check = self._named.get(name)
            if check is None or check is late:
                check = self._named[name] = self._compile(self._root["$defs"][name])
            return check(value)

        self._named[name] = late
        return late

    def _type(self, node: dict[str, Any]) -> Check:
        names = node["type"]
        if isinstance(names, str):
            only = _TYPES[names]
            return lambda value: only(value)
        checks = [_TYPES[name] for name in names]
        return lambda value: any(check(value) for check in checks)

    def _enum(self, node: dict[str, Any]) -> Check:
        allowed = frozenset(node["enum"])
        return lambda value: not isinstance(value, str) or value in allowed

    def _pattern(self, node: dict[str, Any]) -> Check:
        pattern = re.compile(node["pattern"])
        return lambda value: not isinstance(value, str) or pattern.search(value) is not None

    def _bounds(self, node: dict[str, Any]) -> Check:
        low, high = node.get("minimum", float("-inf")), node.get("maximum", float("inf"))
        return lambda value: not _is_number(value) or low <= value <= high

    def _one_of(self, node: dict[str, Any]) -> Check:
        """Our alternatives exclude each other by type, so the first that fits decides."""
        checks = [self._compile(one) for one in node["oneOf"]]
        return lambda value: any(check(value) for check in checks)

    def _items(self, node: dict[str, Any]) -> Check:
        item = self._compile(node["items"])
        return lambda value: not isinstance(value, list) or all(item(one) for one in value)

    def _unique(self, node: dict[str, Any]) -> Check:
        return lambda value: not isinstance(value, list) or len(value) < 2 or first_repeat(value) is None

    def _properties(self, node: dict[str, Any]) -> Check:
        declared: dict[str, Any] = node.get("properties", {})
        compiled: dict[str, Check] = {}
        patterns = [
            (re.compile(text), self._compile(one)) for text, one in node.get("patternProperties", {}).items()
        ]
        closed = node.get("additionalProperties") is False
        required = node.get("required", ())

        def child(name: str) -> Check | None:
            found = compiled.get(name)
            if found is None and name in declared:
                found = compiled[name] = self._compile(declared[name])
            if found is None:
                found = next((check for pattern, check in patterns if pattern.search(name)), None)
            return found

        def check(value: Any) -> bool:
            if not isinstance(value, dict):
                return True
            if any(name not in value for name in required):
                return False
            for name, item in value.items():
                one = child(name)
                if one is None:
                    if closed:
                        return False
                elif not one(item):
                    return False
            return True

        return check


def _anything(value: Any) -> bool:
    return True


_KEYWORDS: dict[str, Callable[[Validator, dict[str, Any]], Check]] = {
    "type": Validator._type,
    "enum": Validator._enum,
    "pattern": Validator._pattern,
    "minimum": Validator._bounds,
    "oneOf": Validator._one_of,
    "items": Validator._items,
    "uniqueItems": Validator._unique,
}


def first_repeat(items: list[Any]) -> tuple[int, int] | None:
    """Return the places of the first two equal items: ``1`` and ``true`` differ, ``1`` and ``1.0`` do not."""
    seen: dict[Any, int] = {}
    for index, item in enumerate(items):
        key = (
            (type(item) is bool, item)
            if isinstance(item, (str, int, float))
            else json.dumps(item, default=str)
        )
        if key in seen:
            return seen[key], index
        seen[key] = index
    return None


_loaded: list[Validator] = []


def validator() -> Validator:
    """Return the validator of compose files, made once."""
    if not _loaded:
        _loaded.append(Validator(schema()))
    return _loaded[0]
