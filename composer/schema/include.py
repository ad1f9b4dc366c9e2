"""``include``: whole projects as parts of this one.

An included project is loaded with its own directory and ``.env`` (whose values are only defaults beside the
including project's), its paths are resolved, and its resources join ours. A resource of the same name in both is
merged, ours on top.
"""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING, Any, Protocol

from composer.errors import ConfigError, CycleError, Mark
from composer.schema import files
from composer.schema.merge import merge
from composer.schema.paths import Base, expand
from composer.schema.setting import read_env_files
from composer.schema.source import remove_paths
from composer.schema.tree import NOWHERE, LookedUp, Map, Seq

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.schema.files import Labels
    from composer.schema.interpolate import Variables
    from composer.schema.options import Fetched
    from composer.schema.problems import Problems
    from composer.schema.tree import Path

    Load = Callable[[tuple[str, ...], str, Variables, tuple[tuple[str, Mark], ...], Mark, str], Map | None]

MAX_DEPTH = 50
SECTIONS = ("services", "volumes", "networks", "secrets", "configs", "models", "jobs")


class Sources(Protocol):
    """Where files are, and what they are called."""

    label: Labels

    def fetched(self, reference: str, at: Mark | None, path: Path = ()) -> Fetched | None:
        """Return a file from elsewhere; None, and an error, where it cannot be had."""
        ...


class Include:
    """Applies the ``include`` list of one document. ``load`` loads a project down to resolved paths."""

    def __init__(
        self,
        problems: Problems,
        variables: Variables,
        base: Base,
        sources: Sources,
        load: Load,
    ) -> None:
        self._problems = problems
        self._variables = variables
        self._base = base
        self._sources = sources
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
        located = [self._located(one, at, path) for one in paths]
        found = tuple(one for one in located if one is not None)
        if len(found) < len(located):
            return None
        directory = self._directory(directory, paths[0]) if directory else os.path.dirname(found[0])
        if len(including) > MAX_DEPTH:
            self._problems.error(f"too many levels of include (limit: {MAX_DEPTH})", at, path)
            return None
        if any(found[0] == seen for seen, _ in including):
            ring = [self._sources.label(seen) for seen in (*(seen for seen, _ in including), found[0])]
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

    def _located(self, written: str, at: Mark, path: Path) -> str | None:
        """Return where a file is; None, and an error, for one from elsewhere that cannot be had."""
        if not files.is_remote(written):
            return expand(written, self._base)
        fetched = self._sources.fetched(written, at, path)
        return fetched and fetched.file

    def _directory(self, written: str, first: str) -> str:
        """Return a project directory; a relative one that is not there, or a file, stands for the one that it is in.

        That is not so where the first file is from elsewhere.
        """
        directory = expand(written, self._base)
        if os.path.isabs(written) or os.path.isdir(directory) or files.is_remote(first):
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
                    label = self._sources.label(one)
                    kind = "it is a directory" if os.path.isdir(one) else "no such file or directory"
                    self._problems.errors.append(
                        ConfigError(
                            f"cannot read env file '{label}': {kind}", at=at, path=(*path, "env_file")
                        )
                    )
        return read_env_files(found, self._variables, self._sources.label, self._problems)

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


# ------------------------------------------------------------------ its own variables


def settled(tree: Map, variables: Variables) -> Map:
    """Apply an included project's own variables, before those of the including project.

    Items of ``environment`` lists without a value get it. Secrets with ``environment`` keep their value, which is never
    shown. Configs with ``environment`` get their content; the including project rejects them for having two sources, as
    docker compose 2.40 and compose-go 2.16 do.
    """
    tree = tree.copy()
    for section, function in (
        ("services", _with_values),
        ("configs", _with_content),
        ("secrets", _with_value),
    ):
        members = tree.get(section)
        if isinstance(members, Map):
            members = tree[section] = members.copy()
            for name, member in members.items():
                if isinstance(member, Map):
                    members[name] = function(member, variables)
    return tree


def _with_values(service: Map, variables: Variables) -> Map:
    items = service.get("environment")
    if not isinstance(items, Seq):
        return service
    new = Seq()
    for index, item in enumerate(items):
        at = items.mark(index)
        if isinstance(item, str) and item in variables.values:
            item, at = f"{item}={variables.values[item]}", at._replace(why=variables.why(item))
        new.add(item, at)
    service = service.copy()
    service["environment"] = new
    return service


def _with_content(config: Map, variables: Variables) -> Map:
    variable = config.get("environment")
    if not isinstance(variable, str) or variable not in variables.values:
        return config
    config = config.copy()
    at = config.mark("environment")._replace(why=f"included, with {variables.why(variable)}")
    config.put("content", variables.values[variable], at, config.name("environment"))
    return config


def _with_value(secret: Map, variables: Variables) -> Map:
    variable = secret.get("environment")
    if not isinstance(variable, str) or variable not in variables.values:
        return secret
    secret = secret.copy()
    secret["environment"] = LookedUp(variable, variables.values[variable])
    return secret
