"""Rows and objects as ``--format`` shows them: Go's structs. Apart from templates, which few commands need."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


class Record(dict[str, Any]):
    """A struct: its fields are known. A value that can be called is a method."""


class _NoValue:
    """What a map says of a key that it does not have."""

    def __bool__(self) -> bool:
        return False


NO_VALUE = _NoValue()


def _plain(value: Any) -> Any:
    """Return a value without methods, for JSON."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if not callable(item)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return None if value is NO_VALUE else value


def to_json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
