"""Docker's config.json: where it is, and what is in it. Everybody who wants something of it reads it here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Mapping


def directory(environment: Mapping[str, str]) -> str:
    """Return where Docker keeps its configuration."""
    return environment.get("DOCKER_CONFIG") or f"{environment.get('HOME', '')}/.docker"


def path(environment: Mapping[str, str]) -> str:
    return f"{directory(environment)}/config.json"


def read(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what config.json holds; nothing where there is none. Raises ProjectError when it is no JSON."""
    name = path(environment)
    try:
        with open(name, "rb") as file:
            found = json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (ValueError, RecursionError) as error:
        raise ProjectError(
            f"cannot read '{name}': {error}",
            hint="correct it, or remove it and run docker login again",
        ) from None
    return found if isinstance(found, dict) else {}
