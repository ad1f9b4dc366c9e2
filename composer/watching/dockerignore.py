"""The ``.dockerignore`` that counts for a service's build: the one named after its Dockerfile, else the context's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from composer.errors import ProjectError
from composer.runtime.build.context.ignore_rules import NAME, read_patterns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAX_BYTES = 1 << 20


def read(build: Mapping[str, Any]) -> Sequence[str]:
    """Return its patterns; none where the context is not here. Raises BuildFailed, ProjectError."""
    context = str(build.get("context") or "")
    if not os.path.isabs(context):
        return ()  # of git, or of another image
    dockerfile = build.get("dockerfile")
    names = [f"{dockerfile}{NAME}"] if dockerfile and not build.get("dockerfile_inline") else []
    for path in (os.path.join(context, name) for name in (*names, NAME)):
        if not os.path.isfile(path):
            continue
        try:
            with open(path, "rb") as file:
                data = file.read(_MAX_BYTES)
        except OSError as error:
            raise ProjectError(f"cannot read '{path}': {(error.strerror or str(error)).lower()}") from error
        return read_patterns(os.fsdecode(data).replace("\r\n", "\n"), path)
    return ()
