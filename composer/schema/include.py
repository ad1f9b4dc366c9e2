"""``include``: whole projects as parts of this one.

An included project is loaded with its own directory and ``.env`` (whose values are only defaults beside the
including project's), its paths are resolved, and its resources join ours. A resource of the same name in both is
merged, ours on top.
"""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING, Any

from composer.errors import ConfigError, CycleError, Mark
from composer.schema import files
from composer.schema.merge import merge
from composer.schema.paths import Base, expand
from composer.schema.setting import read_env_files
from composer.schema.source import remove_paths
from composer.schema.tree import NOWHERE, Map, Seq

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.schema.interpolate import Variables
    from composer.schema.problems import Problems
    from composer.schema.tree import Path

    Load = Callable[[tuple[str, ...], str, Variables, tuple[tuple[str, Mark], ...], Mark, str], Map | None]

MAX_DEPTH = 50
SECTIONS = ("services", "volumes", "networks", "secrets", "configs", "models", "jobs")


class Include:
    """Applies the ``include`` list of one document. ``load`` loads a project down to resolved paths."""

    def __init__(
        self, problems: Problems, variables: Variables, base: Base, working_dir: str, load: Load
    ) -> None:
        self._problems = problems
        self._variables = variables
        self._base = base
        self._working_dir = working_dir
        self._load = load

    def apply(self, tree: Map, resets: tuple[Path, ...], including: tuple[tuple[str, Mark], ...]) -> Map:
        """Return the document with what it includes, and without its ``include`` list."""
        entries = tree.get("include")
        if "include" not in tree:
            return tree
        new = tree.copy()
        new.drop("include")
        if entries is None:
            return new
        if not isinstance(entries, Seq):
            self._problems.error(
                "'include' must be a list",
                tree.mark("include"),
                ("include",),
                hint="list each file as '- path'",
            )
            return new
        for index, entry in enumerate(entries):
            imported = self._one(entry, entries.mark(index), ("include", index), including)
            if imported is not None:
                new = self._import(new, imported, resets)
        return new

    def _one(self, entry: Any, at: Mark, path: Path, including: tuple[tuple[str, Mark], ...]) -> Map | None:
        paths, directory, env_files = self._entry(entry, at, path)
        if not paths:
            if env_files:  # Compose looks for them all the same
                self._environment(env_files, self._base.directory, at, path)
            return None
        found = tuple(expand(one, self._base) for one in paths)
        directory = self._directory(directory) if directory else os.path.dirname(found[0])
        if len(including) > MAX_DEPTH:
            self._problems.error(f"too many levels of include (limit: {MAX_DEPTH})", at, path)
            return None
        if any(found[0] == seen for seen, _ in including):
            ring = [
                files.label(seen, self._working_dir) for seen in (*(seen for seen, _ in including), found[0])
            ]
            self._problems.error(
                f"circular include: {' → '.join(ring)}",
                at,
                path,
                kind=CycleError,
                chain=tuple(mark for _, mark in including if mark.file),
            )
            return None
        variables = self._environment(env_files, directory, at, path)
        return self._load(found, directory, variables, including, at, self._base.directory)

    def _directory(self, written: str) -> str:
        """Return a project directory; a relative one that is not there, or a file, stands for the one that it is in."""
        directory = expand(written, self._base)
        if os.path.isabs(written) or os.path.isdir(directory):
            return directory
        return os.path.dirname(directory)

    def _entry(self, entry: Any, at: Mark, path: Path) -> tuple[list[str], str | None, list[str] | None]:
        """Return the paths, the project directory and the env files (None: the default) of an entry."""
        if isinstance(entry, str):
            return [entry], None, None
        entry = Map() if entry is None else entry
        if not isinstance(entry, Map):
            self._problems.error("each entry of 'include' must be a path, or a mapping with 'path'", at, path)
            return [], None, None
        for key in entry:
            if key not in ("path", "env_file", "project_directory"):
                self._problems.warn(
                    f"unknown attribute '{key}' of include is ignored",
                    entry.name(key),
                    hint="allowed attributes: path, env_file, project_directory",
                )
        paths, env = self._strings(entry, "path", at, path), self._strings(entry, "env_file", at, path)
        directory = entry.get("project_directory")
        if directory is not None and not isinstance(directory, str):
            self._problems.error(
                "'project_directory' must be a string",
                entry.mark("project_directory"),
                (*path, "project_directory"),
            )
            return [], None, None
        if not paths and paths is not None:
            self._problems.warn(
                "include without 'path' is ignored", at, hint="set 'path: FILE', or remove it"
            )
        return paths or [], directory, env or None

    def _strings(self, entry: Map, key: str, at: Mark, path: Path) -> list[str] | None:
        """Return an attribute that is a text or a list of texts; None when it is neither, which is reported."""
        value = entry.get(key)
        if value is None or isinstance(value, str):
            return [] if value is None else [value]
        if isinstance(value, Seq) and all(isinstance(one, str) for one in value):
            return list(value)
        self._problems.error(
            f"'{key}' of include must be a string or a list of strings", entry.mark(key), (*path, key)
        )
        return None

    def _environment(self, env_files: list[str] | None, directory: str, at: Mark, path: Path) -> Variables:
        if env_files is None:
            default = os.path.join(directory, ".env")
            found = [default] if files.is_file(default) else []
        else:
            found = [expand(one, self._base) for one in env_files if one != "/dev/null"]
            for one in list(found):
                if not files.is_file(one):
                    found.remove(one)
                    label = files.label(one, self._working_dir)
                    kind = "it is a directory" if os.path.isdir(one) else "no such file or directory"
                    self._problems.errors.append(
                        ConfigError(
                            f"cannot read env file '{label}': {kind}", at=at, path=(*path, "env_file")
                        )
                    )
        return read_env_files(found, self._variables, self._working_dir, self._problems)

    def _import(self, tree: Map, imported: Map, resets: tuple[Path, ...]) -> Map:
        new = tree.copy()
        for section in SECTIONS:
            theirs = imported.get(section)
            if not isinstance(theirs, Map):
                continue
            ours = new.get(section)
            if ours is not None and not isinstance(ours, Map):
                continue  # the schema refuses it
            both = ours.copy() if isinstance(ours, Map) else Map()
            for name in theirs:
                if name not in both:
                    both.take(name, theirs)
                    continue
                both[name] = self._join(section, name, theirs, both, resets)
            new.put(section, both, new.marks.get(section) or imported.mark(section), new.names.get(section))
        return new

    def _join(self, section: str, name: str, theirs: Map, ours: Map, resets: tuple[Path, ...]) -> Any:
        if not isinstance(theirs[name], Map) or not isinstance(ours[name], Map):
            return theirs[name] if ours[name] is None else ours[name]
        if theirs[name] == ours[name]:
            return ours[name]  # the same file came in twice: appending its lists would double them
        base, over = _wrap(section, name, theirs), _wrap(section, name, ours)
        base = remove_paths(base, resets)
        return merge(base, over, self._problems)[section][name]


def _wrap(section: str, name: str, resources: Map) -> Map:
    whole, inner = Map(), Map()
    inner.take(name, resources)
    whole.put(section, inner, NOWHERE)
    return whole
