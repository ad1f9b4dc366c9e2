"""What containers get: ``environment`` over ``env_file``, ``labels`` over ``label_file``."""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import ConfigError, Mark
from composer.schema import dotenv, files
from composer.schema.defaults import resolve_values
from composer.schema.tree import NOWHERE, Map

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.schema.interpolate import Variables
    from composer.schema.problems import Problems
    from composer.schema.tree import Path


class Directories(NamedTuple):
    """What files are called in messages, and where relative paths start."""

    label: Callable[[str], str]
    project: str


def resolve_service(
    name: str,
    service: Map,
    variables: Variables,
    directories: Directories,
    problems: Problems,
    *,
    env_files: bool = True,
) -> Map:
    """Return a canonical service whose env and label files have gone into ``environment`` and ``labels``.

    Without ``env_files`` (``--no-env-resolution``) ``env_file`` stays; ``label_file`` always does.
    """
    new = service.copy()
    own = service.get("environment") or Map()
    if None in own.values():  # with --no-normalize nothing has looked at them before
        own = new["environment"] = resolve_values(own, variables, keep=True)
    if env_files and service.get("env_file"):

        def lookup(key: str) -> str | None:
            outer = variables.values.get(key)
            if outer is not None:
                return outer
            value = own.get(key)
            return value if isinstance(value, str) else None

        path: Path = ("services", name, "env_file")
        merged = _read(service["env_file"], path, lookup, directories, problems)
        _put(new, "environment", merged, own, service, before="env_file")
    if service.get("label_file"):
        path = ("services", name, "label_file")
        labels = _read(service["label_file"], path, lambda key: None, directories, problems)
        _put(new, "labels", labels, service.get("labels") or Map(), service, before="label_file")
    if env_files:
        new.drop("env_file")
    return new


def _put(new: Map, key: str, merged: Map, own: Map, service: Map, *, before: str) -> None:
    for name in own:
        merged.take(name, own)
    ordered = Map()
    for name in sorted(merged):
        ordered.take(name, merged)
    if not ordered:
        return
    if key in new:
        new[key] = ordered
        return
    # a new key goes where Compose's struct has it: env_file and label_file stand beside theirs
    whole = Map()
    for name in list(new):
        if name == before:
            whole.put(key, ordered, service.mark(before))
        whole.take(name, new)
    new.clear()
    new.update(whole)
    new.marks, new.names = whole.marks, whole.names


def _read(
    entries: Any,
    path: Path,
    lookup: Callable[[str], str | None],
    directories: Directories,
    problems: Problems,
) -> Map:
    merged = Map()
    for index, entry in enumerate(entries):
        at = entries.mark(index)
        if isinstance(entry, str):
            entry = {"path": entry, "required": True}
        _read_one(entry, at, (*path, index), lookup, directories, problems, merged)
    return merged


def _read_one(
    entry: Any,
    at: Mark,
    path: Path,
    lookup: Callable[[str], str | None],
    directories: Directories,
    problems: Problems,
    merged: Map,
) -> None:
    what = f"{str(path[2]).removesuffix('_file')} file"
    file, form = os.path.join(directories.project, entry.get("path", "")), entry.get("format")
    if not entry.get("required") and not files.is_file(file):
        return
    label = directories.label(file)

    def look(key: str) -> str | None:
        value = lookup(key)
        return value if value is not None else merged.get(key)

    try:
        if form not in (None, "", "raw"):
            raise ConfigError(f"unknown env_file format '{form}'", at=at, hint="remove it, or use raw")
        text = files.read_text(file, label, at, what=what)
        problems.read(label, text)
        if form == "raw":
            found = dotenv.parse_raw(text, label, look)
        else:
            found = dotenv.parse_env(
                text, label, lookup, lambda key, mark: _unset(problems, key, mark), merged
            )
    except ConfigError as error:
        error.path = path
        if error.at is not at and not error.chain:
            error.chain = (at,)
        if error.hint is None and "no such file" in error.message:
            optional = ", or set 'required: false'" if what == "env file" else ", or remove it"
            error.hint = f"create it{optional}"
        problems.errors.append(error)
        return
    for key, value in found.items():
        merged.put(key, str(value), Mark(label, getattr(value, "line", 0), 1) if label else NOWHERE)


def _unset(problems: Problems, key: str, mark: Mark) -> None:
    problems.warn(f'The "{key}" variable is not set. Defaulting to a blank string.', mark)
