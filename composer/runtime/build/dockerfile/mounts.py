"""Options of ``RUN --mount=`` and ``RUN --device=``: read as CSV, checked as far as they have no variables.

A builder expands a mount with `expanded`, which checks the rest.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from composer.patterns import pattern
from composer.runtime.build.dockerfile import forms, words
from composer.runtime.build.dockerfile.directives import parse_bool
from composer.runtime.build.dockerfile.faults import did_you_mean, quoted
from composer.runtime.build.dockerfile.instructions import Mount
from composer.units import parse_size_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")
_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}
_KEYS = (
    "type from source target readonly readwrite id sharing required size mode uid gid env "
    "src dst destination ro rw"
).split()
_FLAGS = ("readonly", "readwrite", "required")
_ONLY = {
    "required": ("secret", "ssh"),
    "size": ("tmpfs",),
    "sharing": ("cache",),
    "mode": ("cache", "secret", "ssh"),
    "uid": ("cache", "secret", "ssh"),
    "gid": ("cache", "secret", "ssh"),
}
"""Options that only some types have."""

_ID = pattern(r"[0-9]+", re.ASCII)
_OCTAL = pattern(r"[0-7]+", re.ASCII)
_MAX_32 = 0xFFFFFFFF


class MountFault(NamedTuple):
    """What is wrong with a mount. ``part`` is the text in it that is meant, for a caret."""

    message: str
    part: str = ""
    hint: str | None = None


def parse_mount(text: str) -> tuple[Mount, list[MountFault]]:
    """Return a mount and what is wrong with it; values with variables are not checked."""
    options: dict[str, str] = {}
    faults: list[MountFault] = []
    try:
        fields = forms.comma_separated(text)
    except ValueError as error:
        return Mount("bind", {}), [MountFault(f"mount {quoted(text)}: {error}")]
    for field in fields:
        key, equals, value = field.partition("=")
        key = key.lower()
        name = _ALIASES.get(key, key)
        if name not in _KEYS:
            faults.append(
                MountFault(f"unknown mount option {quoted(key or field)}", field, did_you_mean(key, _KEYS))
            )
            continue
        if not equals and name not in _FLAGS:
            faults.append(MountFault(f"mount option '{key}' has no value", field, f"write {key}=VALUE"))
            continue
        options.pop(name, None)  # the last one counts, also in order
        options[name] = value if equals else "true"
    mount = _typed(options)
    if "$" in options.get("from", "")[:-1]:
        faults.append(
            MountFault(
                "mount option 'from' has a variable",
                "from",
                "name a stage there that has the variable in its FROM",
            )
        )
    faults += mount_faults(mount)
    return mount, faults


def expanded(mount: Mount, values: Mapping[str, str], escape: str = "\\") -> Mount:
    """Return a mount with its variables replaced, and checked. Raises ValueError with the reason."""
    options = {key: words.expand(value, values, escape).text for key, value in mount.options.items()}
    options["type"] = words.expand(mount.type, values, escape).text
    result = _typed(options)
    for fault in mount_faults(result, is_expanded=True):
        raise ValueError(fault.message + (f" ({fault.hint})" if fault.hint else ""))
    return result


def is_readonly(mount: Mount) -> bool:
    """Tell whether an expanded mount is read-only. Caches and tmpfs are only where it is said; the last word counts."""
    result = mount.type not in ("cache", "tmpfs")
    for key, value in mount.options.items():
        if key in ("readonly", "readwrite"):
            result = parse_bool(value) == (key == "readonly")
    return result


def mount_faults(mount: Mount, *, is_expanded: bool = False) -> Iterator[MountFault]:
    """Yield what is wrong with a mount; values with variables are left out, unless they were expanded."""

    def is_known(value: str) -> bool:
        return is_expanded or not re.search(r"[$\\`'\"]", value)

    if is_known(mount.type) and mount.type not in TYPES:
        yield MountFault(
            f"unknown mount type {quoted(mount.type)}", mount.type, did_you_mean(mount.type, TYPES)
        )
        return
    for key, value in mount.options.items():
        if is_known(value) and (reason := _value_fault(key, value)):
            yield MountFault(f"mount option '{key}': {reason}", f"{value}")
    if not is_known(mount.type):
        return
    for key, types in _ONLY.items():
        if key in mount.options and mount.type not in types:
            allowed = " and ".join(types) if len(types) < 3 else f"{', '.join(types[:-1])} and {types[-1]}"
            yield MountFault(
                f"mount option '{key}' is not for type {mount.type}", key, f"it is for type {allowed}"
            )
    if mount.type == "secret":
        yield from _secret_faults(mount.options)


def _secret_faults(options: Mapping[str, str]) -> Iterator[MountFault]:
    if options.get("from"):
        yield MountFault("mount option 'from' is not for type secret", "from", "name the secret by its id")
    if not any(options.get(key) for key in ("id", "source", "target")):
        yield MountFault("mount of type secret names no secret", "type", "add id=NAME or target=PATH")
    if options.get("id") and options.get("source"):
        yield MountFault("mount of type secret has both id and source", "source", "remove one of them")


def _value_fault(key: str, value: str) -> str | None:
    """Return what is wrong with a value that has no variables."""
    try:
        if key in _FLAGS:
            parse_bool(value)
        elif key == "size":
            parse_size_bytes(value)
    except ValueError as error:
        return str(error)
    if key == "sharing" and value.lower() not in SHARING:
        return f"unknown value {quoted(value)}: use shared, private or locked"
    if key in ("uid", "gid") and not (_ID.fullmatch(value) and len(value) < 12 and int(value) <= _MAX_32):
        return f"invalid number {quoted(value)}: use one from 0 to {_MAX_32}"
    if key == "mode" and not (_OCTAL.fullmatch(value) and len(value) < 13 and int(value, 8) <= _MAX_32):
        return f"invalid mode {quoted(value)}: use octal digits, such as 0755"
    return None


def _typed(options: dict[str, str]) -> Mount:
    type = options.pop("type", "bind")
    if "sharing" in options:
        options["sharing"] = options["sharing"] if "$" in options["sharing"] else options["sharing"].lower()
    return Mount(type if "$" in type else type.lower(), options)


def device_faults(text: str) -> Iterator[MountFault]:
    """Yield what is wrong with the value of ``--device``."""
    try:
        fields = forms.comma_separated(text)
    except ValueError as error:
        yield MountFault(f"device {quoted(text)}: {error}")
        return
    name = ""
    for field in fields:
        key, equals, value = field.partition("=")
        if key.lower() == "required":
            if reason := _value_fault("required", value) if equals else None:
                yield MountFault(f"device option 'required': {reason}", value)
        elif name:
            message = (
                "device has two names" if key.lower() == "name" else f"unknown device option {quoted(key)}"
            )
            yield MountFault(message, field, "use name=NAME and required")
        else:
            name = value if key.lower() == "name" else field
    if not name:
        yield MountFault("device has no name", "", "use a CDI name, such as vendor.com/class=device")
