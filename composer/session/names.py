"""A project in a directory that is reached by a symbolic link (``current -> releases/1``).

Its directory is the one that the shell shows, as with Docker Compose, and so is its name. Earlier versions took the
physical directory: a stack that one of them made has another name, and is named before a second one is made.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from composer.engine.backend import Backend
    from composer.schema.setting import Named


def other_name(named: Named) -> tuple[str, str] | None:
    """Return the physical directory and the name that it gives, where the directory's link gave another."""
    from composer.schema.model import DIRECTORY
    from composer.schema.setting import normal_name

    if named.origin != DIRECTORY:
        return None
    real = os.path.realpath(named.directory)
    name = normal_name(os.path.basename(real))
    return (name, real) if real != named.directory and name not in ("", named.name) else None


def name_of_earlier(named: Named, backend: Backend, backends: Iterable[Backend]) -> str | None:
    """Return the name of the stack that an earlier version made of this directory, when there is none but that.

    ``backend`` is the one in use; the stack may be on any of ``backends``.
    """
    other = other_name(named)
    if other is None or backend.holds(named.name):
        return None
    return other[0] if any(_has(one, *other) for one in backends) else None


def _has(backend: Backend, name: str, directory: str) -> bool:
    from composer.engine import labels

    directories = {
        c.labels.get(labels.WORKING_DIR) for c in backend.projects() if labels.project_of(c) == name
    }
    # after down only volumes are left, which say nothing of a directory
    return directory in directories if directories else backend.holds(name)


def sentence(named: Named, earlier: str) -> str:
    """Return the message that names the stack of the directory."""
    return (
        f"this directory already has the project '{earlier}', named after the physical path by an earlier version; "
        f"the name is now '{named.name}'"
    )


def hint(earlier: str) -> str:
    """Return the hint for `sentence`."""
    return (
        f"continue with -p {earlier}, or with COMPOSE_PROJECT_NAME={earlier} in .env; "
        "or create a new project with -p NAME"
    )
