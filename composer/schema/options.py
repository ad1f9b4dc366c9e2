"""What a load is asked for. A module of its own: who wants no more than a project's name imports no loader."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class LoadOptions(NamedTuple):
    """What to load, and with which surroundings. Nothing below reads the process's own environment.

    ``files`` are paths as given by ``-f`` (``-`` reads ``stdin``); empty means discovery in ``working_dir`` and
    its parents. ``environment`` is the shell's; ``home`` replaces ``~``. The flags are those of ``config``;
    ``all_resources`` keeps resources that no enabled service uses. ``services`` are those that a command is about: of
    the others, which these do not depend on, no env file is read, and no container name taken.
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
    all_resources: bool = False
    services: tuple[str, ...] = ()
