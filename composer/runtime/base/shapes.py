"""The shapes that values of a record may have, and taking what has none for not written."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Shape = tuple[Callable[[Any], bool], Any]


def is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def is_number(value: Any) -> bool:
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_text, value))


def is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def is_labels(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_text, value.values()))


def is_list(value: Any) -> bool:
    return isinstance(value, list)


def is_address(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and is_text(value[0]) and is_number(value[1])


def list_of(is_entry: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_entry, value))


def like(**fields: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return what tells a mapping that has all of these, in these shapes; it may have more."""
    return lambda value: (
        isinstance(value, dict) and all(key in value and check(value[key]) for key, check in fields.items())
    )


def shaped(record: Mapping[str, Any], shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Return a record in which each of these keys has its shape, or its default."""
    result = dict(record)
    for key, (check, default) in shapes.items():
        if key not in record or not check(record[key]):
            result[key] = list(default) if isinstance(default, tuple) else default
    return result


def entries(record: Mapping[str, Any], key: str, check: Callable[[Any], bool]) -> list[Any]:
    """Return the entries of a list that have their shape: one bad mount hides no other."""
    value = record.get(key)
    return [entry for entry in value if check(entry)] if isinstance(value, list) else []


def texts(value: Any) -> dict[str, str]:
    """Return the entries of a mapping whose values are texts."""
    return {key: text for key, text in value.items() if is_text(text)} if isinstance(value, dict) else {}
