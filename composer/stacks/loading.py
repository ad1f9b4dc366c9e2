"""Loading a project for a program."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from composer.schema import load as loader
from composer.schema.options import LoadOptions
from composer.stacks import surroundings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from composer.schema.model import Project

    Path = str | os.PathLike[str]

_OVERRIDES = "overrides"


def load(
    files: Path | Iterable[Path] = (),
    *,
    env: Mapping[str, str | None] | None = None,
    profiles: Iterable[str] = (),
    overrides: Mapping[str, Any] | None = None,
    name: str | None = None,
    directory: Path | None = None,
    env_files: Iterable[Path] = (),
) -> Project:
    """Load a project as the command does. Raises ProjectInvalid with every error, each with its place.

    Without ``files`` the compose file is looked for in ``directory`` (default: the working directory) and above.
    ``env`` is added to the process's variables. ``overrides`` is merged over the files as one more file would be:
    ``{"services": {"web": {"environment": {"DEBUG": "1"}}}}``. ``name`` is the project's, as with ``-p``.
    """
    listed = (files,) if isinstance(files, (str, os.PathLike)) else tuple(files)
    environment = surroundings.environment(env)
    options = LoadOptions(
        files=tuple(os.fspath(file) for file in listed),
        directory=os.fspath(directory) if directory is not None and listed else None,
        name=name,
        profiles=tuple(profiles),
        env_files=tuple(os.fspath(file) for file in env_files),
        environment=environment,
        working_dir=os.getcwd() if directory is None or listed else os.path.abspath(directory),
        home=environment.get("HOME", ""),
        texts={_OVERRIDES: json.dumps(overrides)} if overrides else {},
    )
    return loader.load(options)


def renamed(project: Project, name: str) -> Project:
    """Return a project loaded again under another name: names of its objects and labels follow it."""
    options = project.loaded_with
    if options is None or name == project.name:
        return project
    return loader.load(options._replace(name=name))
