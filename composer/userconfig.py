"""The user's configuration files: composer's own, and Docker's config.json, whose logins and contexts count here too.

Ours is ``$XDG_CONFIG_HOME/composer/config.toml``, else below ``~/.config``. The command line checks it as a whole
(`composer.cli.configuration`); who is used without it reads its own part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GIVEN = "DOCKER_AUTH_CONFIG"
"""The variable with logins, and where they are in what `read_docker` returns."""
_PLUGINS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)


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


def docker_directory(environment: Mapping[str, str]) -> str:
    """Return the directory of Docker's configuration."""
    return environment.get("DOCKER_CONFIG") or f"{environment.get('HOME', '')}/.docker"


def docker_path(environment: Mapping[str, str]) -> str:
    return f"{docker_directory(environment)}/config.json"


def read_docker(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what config.json holds; nothing where there is none. Raises ProjectError when it is no JSON.

    Logins in the variable DOCKER_AUTH_CONFIG come before those of the file and of helpers, as for the docker command.
    """
    found = _file_of_docker(environment)
    text = environment.get(GIVEN)
    return _with_logins(found, text) if text else found


def _with_logins(found: dict[str, Any], text: str) -> dict[str, Any]:
    import json

    try:
        auths = json.loads(text)["auths"]
        added = {str(server): dict(entry) for server, entry in auths.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ProjectError(
            "cannot read the variable DOCKER_AUTH_CONFIG: it has no JSON object with auths",
            hint='correct it, such as {"auths": {"HOST": {"auth": "…"}}}, or unset it',
        ) from None
    return {**found, GIVEN: added}


def _file_of_docker(environment: Mapping[str, str]) -> dict[str, Any]:
    name = docker_path(environment)
    try:
        with open(name, "rb") as file:
            import json

            found = json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (ValueError, RecursionError) as error:
        raise ProjectError(
            f"cannot read '{name}': {error}",
            hint="correct it, or remove it and run composer login again",
        ) from None
    return found if isinstance(found, dict) else {}


def plugin_paths(environment: Mapping[str, str], name: str) -> Iterator[str]:
    """Yield where a plugin of Docker's command line may be, in the order in which ``docker`` looks."""
    try:
        more = read_docker(environment).get("cliPluginsExtraDirs")
    except ProjectError:
        more = None
    directories = [str(directory) for directory in more] if isinstance(more, list) else []
    for directory in (*directories, f"{docker_directory(environment)}/cli-plugins", *_PLUGINS):
        yield f"{directory}/{name}"
