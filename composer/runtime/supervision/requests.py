"""What a request on the control socket has to look like, before anything is done with it.

Only the owner of the state directory may send one, and it is our own command line that does. What is not of this shape
came from another version of it, or by mistake: it is answered, and changes nothing.
"""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_ID_LETTERS = frozenset("0123456789abcdef")
_LONGEST_S = 10 * 365 * 24 * 3600.0


class Malformed(Exception):
    """A request that means nothing."""


def check(message: dict[str, Any]) -> None:
    """Raise Malformed where a field is missing, or has a value that it cannot have."""
    op = message.get("op")
    if not isinstance(op, str):
        raise Malformed("'op' is required")
    required = _REQUIRED.get(op, ("id",))
    for name in required:
        if name not in message:
            raise Malformed(f"'{name}' is required in '{op[:40]}'")
    for name, is_valid in _FIELDS.items():
        if message.get(name) is not None and not is_valid(message[name]):
            raise Malformed(f"invalid '{name}' in '{op[:40]}'")
        if name in required and message[name] is None:
            raise Malformed(f"'{name}' is required in '{op[:40]}'")


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and _ID_LETTERS.issuperset(value)


def _is_signal(value: Any) -> bool:
    return type(value) is int and 0 < value < signal.NSIG


def _is_duration(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= _LONGEST_S


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _is_process(value: Any) -> bool:
    """Tell what can be executed: OCI's `process`, as far as it is read."""
    if not isinstance(value, dict) or not isinstance(value.get("user"), dict):
        return False
    arguments, environment = value.get("args", []), value.get("env", [])
    return (
        _is_texts(arguments)
        and bool(arguments)
        and _is_texts(environment)
        and _is_text(value.get("cwd", "/"))
        and _is_user(value["user"])
        and _is_limits(value.get("rlimits", []))
        and _is_capabilities(value.get("capabilities", {}))
        and (value.get("oomScoreAdj") is None or type(value["oomScoreAdj"]) is int)
    )


def _is_user(user: dict[str, Any]) -> bool:
    numbers = [user.get(key, 0) for key in ("uid", "gid", "umask")]
    return (
        all(type(number) is int and 0 <= number < 1 << 32 for number in numbers)
        and _is_text(user.get("name", ""))
        and isinstance(user.get("groups", []), list)
        and isinstance(user.get("additionalGids", []), list)
    )


def _is_limits(limits: Any) -> bool:
    return isinstance(limits, list) and all(
        isinstance(limit, dict)
        and isinstance(limit.get("type"), str)
        and all(type(limit.get(key)) is int and abs(limit[key]) < 1 << 64 for key in ("soft", "hard"))
        for limit in limits
    )


def _is_capabilities(sets: Any) -> bool:
    return isinstance(sets, dict) and all(_is_texts(names) for names in sets.values())


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(_is_text(text) for text in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "id": _is_id,
    "source": _is_id,
    "signal": _is_signal,
    "timeout_s": _is_duration,
    "seen_ns": _is_number,
    "process": _is_process,
}
_REQUIRED = {
    "hello": (),
    "mend": (),
    "signal": ("signal",),
    "kill": ("id", "signal"),
    "exec": ("id", "process"),
    "move_ports": ("id", "source"),
}
