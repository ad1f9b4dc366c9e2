"""The passes from text to `Project`, in order. See docs/loading.md for the reasons behind the order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.schema.model import Project


class LoadOptions(NamedTuple):
    """What to load, and with which surroundings. Nothing below reads the process's own environment.

    ``files`` are paths as given by ``-f`` (``-`` reads ``stdin``); empty means discovery in ``working_dir`` and
    its parents. ``environment`` is the shell's; ``home`` replaces ``~``. ``cache_dir`` may hold digests of trees
    that were validated before. The flags are those of ``config``.
    """

    files: tuple[str, ...] = ()
    directory: str | None = None
    name: str | None = None
    profiles: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    working_dir: str = "."
    home: str = ""
    stdin: Callable[[], str] | None = None
    cache_dir: str | None = None
    interpolate: bool = True
    normalize: bool = True
    resolve_paths: bool = True
    consistency: bool = True
    resolve_env: bool = True


def load(options: LoadOptions) -> Project:
    """Load a project. Raises ProjectInvalid with every error, or ProjectError when there is nothing to load."""
    raise NotImplementedError


def project_name(options: LoadOptions) -> str:
    """Return the project's name without loading its model: for ``ps``, ``logs``, ``down``."""
    raise NotImplementedError
