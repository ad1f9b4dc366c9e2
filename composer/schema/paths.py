"""Relative paths → absolute ones, seen from the directory of the file that wrote them.

Compose makes paths absolute against the project directory, and against their own directory for files that come
in by ``extends`` or ``include``. ``~`` is the home directory of whoever runs composer.
"""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.patterns import pattern
from composer.schema.files import is_remote as is_remote_file
from composer.schema.tree import NOWHERE, WORKLOADS, Map, Rules, Seq, walk

if TYPE_CHECKING:
    from composer.errors import Mark
    from composer.schema.tree import Path, Rule

_WINDOWS = pattern(r"[a-zA-Z]:[\\/]|\\\\")
_REMOTE = ("https://", "http://", "git://", "ssh://", "github.com/", "git@", "oci://", "docker-image://")


class Base(NamedTuple):
    """Where relative paths start, and what ``~`` is."""

    directory: str
    home: str


def expand(path: str, base: Base) -> str:
    """Return an absolute path; one that was absolute stays as it was written. ``~user`` is no user's home."""
    if path.startswith("~"):
        return clean(f"{base.home}/{path[1:]}")
    if path.startswith("/"):
        return path
    return clean(os.path.join(base.directory, path))


def expand_foreign(path: str, base: Base) -> str:
    """Return an absolute path of the machine that runs containers: Windows paths are absolute too."""
    return path if _WINDOWS.match(path) else expand(path, base)


def clean(path: str) -> str:
    """Return a path without ``.``, ``..`` and doubled slashes."""
    cleaned = os.path.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def is_remote(context: str) -> bool:
    """Tell whether a build context is a URL or a repository rather than a directory."""
    return context.startswith(_REMOTE) or "://" in context


def resolve_paths(tree: Map, base: Base) -> Map:
    """Return the tree with every path absolute."""
    new: Map = walk(tree, Rules(_Paths(base).table()), (), NOWHERE)
    return new


def resolve_service_paths(service: Map, base: Base) -> Map:
    """Return one service with every path absolute: what ``extends`` does to a service of another file."""
    rules = Rules(
        {pattern[2:]: rule for pattern, rule in _Paths(base).table().items() if pattern[0] == "services"}
    )
    new: Map = walk(service, rules, (), NOWHERE)
    return new


class _Paths:
    """The rules of one base directory."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def local(self, value: Any, path: Path, mark: Mark) -> Any:
        return expand(value, self._base) if isinstance(value, str) and value else value

    def extended(self, value: Any, path: Path, mark: Mark) -> Any:
        return value if isinstance(value, str) and is_remote_file(value) else self.local(value, path, mark)

    def file(self, value: Any, path: Path, mark: Mark) -> Any:
        return expand_foreign(value, self._base) if isinstance(value, str) else value

    def context(self, value: Any, path: Path, mark: Mark) -> Any:
        if not isinstance(value, str) or is_remote(value) or value.startswith("service:"):
            return value
        return self.local(value, path, mark)

    def additional_contexts(self, value: Any, path: Path, mark: Mark) -> Any:
        """Maps have gone by the rule below; a list is still ``NAME=path`` when ``extends`` comes by."""
        if not isinstance(value, Seq):
            return value
        new = Seq()
        for index, item in enumerate(value):
            name, equals, where = item.partition("=") if isinstance(item, str) else (item, "", "")
            new.add(f"{name}={self.context(where, path, mark)}" if equals else item, value.mark(index))
        return new

    def volume(self, value: Any, path: Path, mark: Mark) -> Any:
        if not isinstance(value, Map) or value.get("type") != "bind":
            return value
        source = value.get("source")
        if not isinstance(source, str):
            return value  # an empty one, such as ${NOT_SET}, is the project's directory
        new = value.copy()
        new["source"] = expand_foreign(source, self._base)
        return new

    def watch(self, value: Any, path: Path, mark: Mark) -> Any:
        # a symbolic link would report its target's events under another name
        if not isinstance(value, str) or "\0" in value:
            return value
        where = expand(value, self._base)
        return os.path.realpath(where) if os.path.isabs(self._base.directory) else where

    def driver(self, value: Any, path: Path, mark: Mark) -> Any:
        return _local_driver(value, self._base)

    def table(self) -> dict[tuple[str, ...], Rule]:
        service: dict[str, Rule] = {
            "build.context": self.context,
            "build.additional_contexts": self.additional_contexts,
            "build.additional_contexts.*": self.context,
            "build.ssh.*": self.file,
            "env_file.*.path": self.local,
            "label_file.*": self.local,
            "extends.file": self.extended,
            "develop.watch.*.path": self.watch,
            "volumes.*": self.volume,
        }
        return {
            **{
                (section, "*", *pattern.split(".")): rule
                for section in WORKLOADS
                for pattern, rule in service.items()
            },
            ("configs", "*", "file"): self.file,
            ("secrets", "*", "file"): self.file,
            ("include", "*", "project_directory"): self.local,
            ("include", "*", "path", "*"): self.local,
            ("include", "*", "env_file", "*"): self.local,
            ("volumes", "*"): self.driver,
        }


def _local_driver(value: Any, base: Base) -> Any:
    """A volume of the local driver that binds a directory (``o: bind``) names it in ``device``."""
    if not isinstance(value, Map) or value.get("driver") != "local":
        return value
    options = value.get("driver_opts")
    if not isinstance(options, Map) or options.get("o") != "bind":
        return value
    device = options.get("device")
    if not isinstance(device, str):
        return value
    new, new_options = value.copy(), options.copy()
    new_options["device"] = expand_foreign(device, base)
    new["driver_opts"] = new_options
    return new
