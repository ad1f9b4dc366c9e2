"""The user's configuration file as a table: ``$XDG_CONFIG_HOME/composer/config.toml``, else below ``~/.config``.

The command line checks the file as a whole (`composer.cli.configuration`); who is used without it reads its own part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Mapping


def path_of(environment: Mapping[str, str]) -> str:
    """Return where the file is, whether it is there or not."""
    home = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '')}/.config"
    return f"{home}/composer/config.toml"


def table_of(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Return what the file says; nothing where there is none. Raises ProjectError for what is not TOML."""
    path = path_of(environment)
    try:
        with open(path, "rb") as file:
            import tomllib

            return tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except ValueError as error:
        raise ProjectError(f"cannot read '{path}': {error}") from None
