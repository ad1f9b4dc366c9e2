"""Relative paths → absolute ones, seen from the directory of the file that wrote them.

Compose makes paths absolute against the project directory, and against their own directory for files that come
in by ``extends`` or ``include``. ``~`` is the home directory of whoever runs composer.
"""

from __future__ import annotations

import os.path
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.schema.tree import NOWHERE, Map, Rules, Seq, walk

if TYPE_CHECKING:
    from composer.errors import Mark
    from composer.schema.tree import Path, Rule

_WINDOWS = re.compile(r"[a-zA-Z]:[\\/]|\\\\")
_REMOTE = ("https://", "http://", "git://", "ssh://", "github.com/", "git@", "oci://", "docker-image://")


class Base(NamedTuple):
    """Where relative paths start, and what ``~`` is."""

    directory: str
    home: str


def expand(path: str, base: Base) -> str:
    """Return an absolute path; one that was absolute, or a Windows path, stays as it was written."""
    if path == "~" or path.startswith("~/"):
        path = base.home + path[1:]
    if path.startswith("/") or _WINDOWS.match(path):
        return path
    return clean(os.path.join(base.directory, path))


def clean(path: str) -> str:
    """Return a path without ``.``, ``..`` and doubled slashes."""
    cleaned = os.path.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def is_remote(context: str) -> bool:
    """Tell whether a build context is a URL or a repository rather than a directory."""
    return context.startswith(_REMOTE) or "://" in context


def resolve_paths(tree: Map, base: Base) -> Map:
    """Return the tree with every path absolute."""
    new: Map = walk(tree, Rules(_table(base)), (), NOWHERE)
    return new


def resolve_service_paths(service: Map, base: Base) -> Map:
    """Return one service with every path absolute: what ``extends`` does to a service of another file."""
    rules = Rules({pattern[2:]: rule for pattern, rule in _table(base).items() if pattern[0] == "services"})
    new: Map = walk(service, rules, (), NOWHERE)
    return new


def _table(base: Base) -> dict[tuple[str, ...], Rule]:
    def local(value: Any, path: Path, mark: Mark) -> Any:
        return expand(value, base) if isinstance(value, str) and value else value

    def file(value: Any, path: Path, mark: Mark) -> Any:
        return expand(value, base) if isinstance(value, str) else value

    def context(value: Any, path: Path, mark: Mark) -> Any:
        return value if not isinstance(value, str) or is_remote(value) else expand(value, base)

    def additional(value: Any, path: Path, mark: Mark) -> Any:
        if not isinstance(value, str) or value.startswith("service:"):
            return value
        return context(value, path, mark)

    def additional_contexts(value: Any, path: Path, mark: Mark) -> Any:
        """Maps have gone by the rule below; a list is still ``NAME=path`` when ``extends`` comes by."""
        if not isinstance(value, Seq):
            return value
        new = Seq()
        for index, item in enumerate(value):
            name, equals, where = item.partition("=") if isinstance(item, str) else (item, "", "")
            new.add(f"{name}={additional(where, path, mark)}" if equals else item, value.mark(index))
        return new

    def volume(value: Any, path: Path, mark: Mark) -> Any:
        if not isinstance(value, Map) or value.get("type") != "bind":
            return value
        source = value.get("source")
        if not isinstance(source, str) or not source:
            return value
        new = value.copy()
        new["source"] = expand(source, base)
        return new

    def watch(value: Any, path: Path, mark: Mark) -> Any:
        # a symbolic link would report its target's events under another name
        if not isinstance(value, str) or "\0" in value:
            return value
        return os.path.realpath(expand(value, base))

    def driver(value: Any, path: Path, mark: Mark) -> Any:
        return _local_driver(value, base)

    service: dict[str, Rule] = {
        "build.context": context,
        "build.additional_contexts": additional_contexts,
        "build.additional_contexts.*": additional,
        "build.ssh.*": local,
        "env_file.*.path": local,
        "label_file.*": local,
        "extends.file": local,
        "develop.watch.*.path": watch,
        "volumes.*": volume,
    }
    return {
        **{("services", "*", *pattern.split(".")): rule for pattern, rule in service.items()},
        ("configs", "*", "file"): file,
        ("secrets", "*", "file"): file,
        ("include", "*", "project_directory"): local,
        ("include", "*", "path", "*"): local,
        ("include", "*", "env_file", "*"): local,
        ("volumes", "*"): driver,
    }


def _local_driver(value: Any, base: Base) -> Any:
    """A volume of the local driver that binds a directory (``o: bind``) names it in ``device``."""
    if not isinstance(value, Map) or value.get("driver") != "local":
        return value
    options = value.get("driver_opts")
    if not isinstance(options, Map) or options.get("o") != "bind":
        return value
    device = options.get("device")
    if not isinstance(device, str) or not device:
        return value
    new, new_options = value.copy(), options.copy()
    new_options["device"] = expand(device, base)
    new["driver_opts"] = new_options
    return new
