"""``x-composer`` of a service: what composer does beyond the Compose Specification, and only where asked.

services:
  web:
    x-composer:
      recreate_on: [./nginx.conf, ./conf.d]   # bind-mounted files whose content counts
      rerun: on-change                        # a job that succeeded is not run again by every up
      share_volumes: true                     # start-first may let two containers write to one volume
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.errors import Mark
    from composer.schema.model import Project

KEY = "x-composer"
_RERUN = ("always", "on-change")


class Extension(NamedTuple):
    """``recreate_on``: paths as written, relative to the project's directory. ``rerun``: always or on-change."""

    recreate_on: tuple[str, ...] = ()
    rerun: str = "always"
    share_volumes: bool = False


_NONE = Extension()


def extension(project: Project, service: str) -> Extension:
    """Return a service's extension. Raises ConfigError, with its place, for what it cannot be."""
    extensions = project.extensions.get(("services", service))
    found = extensions.get(KEY) if extensions else None
    if not found:
        return _NONE
    path: tuple[str, ...] = ("services", service, KEY)
    if not isinstance(found, dict):
        raise _wrong(project, path, f"{KEY} must be a mapping, not {_kind(found)}", _KEYS)
    values: dict[str, Any] = {}
    for key, value in found.items():
        read = _READERS.get(key)
        if read is None:
            from difflib import get_close_matches

            near = get_close_matches(str(key), _READERS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else _KEYS
            raise _wrong(project, (*path, key), f"unknown attribute '{key}' of {KEY}", hint)
        try:
            values[key] = read(value)
        except ValueError as error:
            raise _wrong(project, (*path, key), f"{KEY}.{key} must be {error}, not {_kind(value)}") from None
    return Extension(**values)


def _wrong(project: Project, path: tuple[str, ...], message: str, hint: str | None = None) -> ConfigError:
    return ConfigError(message, at=place_of(project, path), path=path, hint=hint)


def place_of(project: Project, path: tuple[str, ...]) -> Mark | None:
    """Return where something in the extension of a service was written."""
    node: Any = project.extensions.get(path[:2])
    place = project.mark(path[:2])
    for part in path[2:]:
        if not hasattr(node, "mark") or part not in node:
            break
        place, node = node.mark(part), node[part]
    return place


def _kind(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str | int | float | bool) else "a list or a mapping"


def _paths(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
        return tuple(value)
    raise ValueError("a list of paths")


def _rerun(value: Any) -> str:
    if value in _RERUN:
        return str(value)
    raise ValueError(" or ".join(_RERUN))


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("a boolean")


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "recreate_on": _paths,
    "rerun": _rerun,
    "share_volumes": _flag,
}
_KEYS = f"allowed attributes: {', '.join(_READERS)}"
