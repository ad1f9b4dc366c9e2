"""The current directory as the shell shows it, also behind a symbolic link (``current -> releases/1``)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Mapping


def working_directory(environment: Mapping[str, str]) -> str:
    """Return the current directory as the shell shows it, where ``PWD`` names it. Raises ProjectError for none."""
    try:
        here = os.stat(".")
        path = environment.get("PWD", "")
        if path.startswith("/"):
            try:
                # without .. and its like too, as that is how relative paths are put behind it
                if all(os.path.samestat(here, os.stat(one)) for one in (path, os.path.normpath(path))):
                    return os.path.normpath(path)
            except (OSError, ValueError):
                pass  # it names another directory, or none
        return os.getcwd()
    except FileNotFoundError:
        raise ProjectError(
            "the current directory does not exist anymore", hint="change to another directory"
        ) from None
