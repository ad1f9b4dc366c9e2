"""Protocol buffers, as far as these messages need them: a table of fields for each message, and dictionaries as values.

https://protobuf.dev/programming-guides/encoding/. Fields that a table does not name are skipped. What is missing has
its kind's default when it is read; what has it is not written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    Value = dict[str, Any]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DEEPEST = 32
_U64 = (1 << 64) - 1


class Invalid(ValueError):
    """The bytes are not what the table says."""


class Kind(NamedTuple):
    """What a field holds: ``number`` (signed), ``flag``, ``text``, ``data`` or ``message``."""

    name: str
    message: Message | None = None
    is_repeated: bool = False
    is_map: bool = False


class Message:
    """A kind of message: its fields by number."""

    def __init__(self, **fields: tuple[int, Kind]) -> None:
        self.fields: Mapping[int, tuple[str, Kind]] = {
            number: (name, kind) for name, (number, kind) in fields.items()
        }
        self._defaults: dict[str, Any] = {name: _default(kind) for name, kind in self.fields.values()}

    # -------------------------------------------------------------- writing

    def encode(self, values: Mapping[str, Any]) -> bytes:
        """Return a message's bytes. Raises KeyError for a field that the table does not name."""
        unknown = values.keys() - self._defaults.keys()
        if unknown:
            raise KeyError(f"no field {min(unknown)}")
        made = bytearray()
        for number, (name, kind) in self.fields.items():
            value = values.get(name)
            if value is None:
                continue
            if kind.is_map:
                for key in sorted(value):
                    entry = _put(1, TEXT, key) + _put(2, kind._replace(is_map=False), value[key])
                    made += _tag(number, _BYTES) + _varint(len(entry)) + entry
            elif kind.is_repeated:
                for one in value:
                    made += _put(number, kind, one)
            elif kind.message is not None or value:
                made += _put(number, kind, value)
        return bytes(made)

    # -------------------------------------------------------------- reading

    def decode(self, data: bytes, depth: int = 0) -> Value:
        """Return a message. Raises Invalid."""
        if depth > _DEEPEST:
            raise Invalid("nested too deeply")
        found: Value = {
            name: list(default)
            if isinstance(default, list)
            else dict(default)
            if isinstance(default, dict)
            else default
            for name, default in self._defaults.items()
        }
        at = 0
        while at < len(data):
            tag, at = _read_varint(data, at)
            value, at = _read_value(data, at, tag & 7)
            field = self.fields.get(tag >> 3)
            if field is None:
                continue
            name, kind = field
            if kind.is_map:
                key, entry = _map_entry(value, kind, depth)
                found[name][key] = entry
            elif kind.is_repeated:
                found[name].extend(_unpacked(value, kind, depth))
            else:
                found[name] = _converted(value, kind, depth)
        return found


NUMBER, FLAG, TEXT, DATA = Kind("number"), Kind("flag"), Kind("text"), Kind("data")


def inner(message: Message) -> Kind:
    return Kind("message", message)


def many(kind: Kind) -> Kind:
    return kind._replace(is_repeated=True)


def by_name(kind: Kind) -> Kind:
    """Return the kind of a map from texts."""
    return kind._replace(is_map=True)


def _default(kind: Kind) -> Any:
    if kind.is_map:
        return {}
    if kind.is_repeated:
        return []
    return {"number": 0, "flag": False, "text": "", "data": b"", "message": None}[kind.name]


def _varint(value: int) -> bytes:
    made = bytearray()
    value &= _U64
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _tag(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _put(number: int, kind: Kind, value: Any) -> bytes:
    if kind.name in ("number", "flag"):
        return _tag(number, _VARINT) + _varint(int(value))
    if kind.message is not None:
        data = kind.message.encode(value)
    else:
        data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
    return _tag(number, _BYTES) + _varint(len(data)) + data


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Invalid("a number breaks off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _U64, at
        shift += 7


def _read_value(data: bytes, at: int, wire: int) -> tuple[int | bytes, int]:
    if wire == _VARINT:
        return _read_varint(data, at)
    if wire == _BYTES:
        size, at = _read_varint(data, at)
    elif wire in (_FIXED64, _FIXED32):
        size = 8 if wire == _FIXED64 else 4
    else:
        raise Invalid(f"wire type {wire} is unknown")
    if at + size > len(data):
        raise Invalid("a field breaks off")
    return data[at : at + size], at + size


def _converted(value: int | bytes, kind: Kind, depth: int) -> Any:
    if kind.name in ("number", "flag"):
        number = value if isinstance(value, int) else int.from_bytes(value, "little")
        return bool(number) if kind.name == "flag" else number - (1 << 64) if number >> 63 else number
    if not isinstance(value, bytes):
        raise Invalid(f"a {kind.name} is expected, not a number")
    if kind.message is not None:
        return kind.message.decode(value, depth + 1)
    return value.decode("utf-8", "surrogateescape") if kind.name == "text" else value


def _unpacked(value: int | bytes, kind: Kind, depth: int) -> list[Any]:
    """Return the values of one occurrence of a repeated field: numbers may come packed."""
    if kind.name not in ("number", "flag") or isinstance(value, int):
        return [_converted(value, kind, depth)]
    found, at = [], 0
    while at < len(value):
        number, at = _read_varint(value, at)
        found.append(_converted(number, kind, depth))
    return found


def _map_entry(value: int | bytes, kind: Kind, depth: int) -> tuple[str, Any]:
    if not isinstance(value, bytes):
        raise Invalid("an entry of a map is expected")
    plain = kind._replace(is_map=False)
    entry = Message(key=(1, TEXT), value=(2, plain)).decode(value, depth)
    found = entry["value"]
    return entry["key"], {} if found is None else found
