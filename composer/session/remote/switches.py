"""Docker Compose's switches for files from elsewhere. Both kinds are allowed unless a switch says no."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Callable

GIT, OCI = "COMPOSE_EXPERIMENTAL_GIT_REMOTE", "COMPOSE_EXPERIMENTAL_OCI_REMOTE"
PREFIX = "oci://"
"""What references of artifacts begin with, in whatever case."""
_KINDS = {GIT: "git", OCI: "OCI"}
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


def check(name: str, variable: Callable[[str], str | None]) -> None:
    """Raise ProjectError where a switch is off, or is neither on nor off."""
    value = variable(name) or "true"
    if value in _FALSE:
        raise ProjectError(
            f'{_KINDS[name]} remote resource is disabled by "{name}"', hint=f"unset {name}, or set it to true"
        )
    if value not in _TRUE:
        raise ProjectError(
            f"{name} environment variable expects boolean value, not '{value}'",
            hint="set it to true or false",
        )
