"""What a load is asked for. A module of its own: who wants no more than a project's name imports no loader."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Fetched(NamedTuple):
    """A compose file from elsewhere, as it is on this machine.

    ``root`` is the directory of all that came with it. Messages call the file ``shown``, and the files below the root
    by ``prefix`` and their path.
    """

    file: str
    root: str
    shown: str
    prefix: str


class Remote(Protocol):
    """Gets compose files from git repositories and registries. The loader knows neither."""

    def fetch(self, reference: str) -> Fetched:
        """Return a file, fetched now or before. Raises ComposerError."""
        ...


class LoadOptions(NamedTuple):
    """What to load, and with which surroundings. Nothing below reads the process's own environment.

    ``files`` are paths as given by ``-f`` (``-`` reads ``stdin``); empty means discovery in ``working_dir`` and
    its parents. ``environment`` is the shell's; ``home`` replaces ``~``. The flags are those of ``config``;
    ``all_resources`` keeps resources that no enabled service uses. ``services`` are those that a command is about: of
    the others, which these do not depend on, no env file is read, and no container name taken. ``remote`` gets files
    from elsewhere; without it they are refused.
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
    remote: Remote | None = None
    texts: Mapping[str, str] = {}
    """Texts that are merged over the files, in this order, by the name that messages call each."""
