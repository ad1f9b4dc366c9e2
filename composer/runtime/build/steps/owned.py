"""Whose the containers of builds are, and what becomes of those whose builder was killed."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from composer import errors
from composer.runtime.base import files, records, state
from composer.runtime.objects import naming

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.runtime.base.state import Paths
    from composer.runtime.objects.client import Client

OWNER = "@builds"
"""The owner of the containers of builds, which has a supervisor of its own."""
BUILDER = "composer.builder"
"""The label with the process that builds."""
KEPT = "kept"
"""The file in the directory of a container that its user wants to look into."""


def sweep(paths: Paths, client: Callable[[], Client]) -> None:
    """Remove the containers of builds that were killed; those that were kept for their user stay."""
    for id in state.list_directory(paths.containers()):
        directory = paths.container(id)
        meta = records.meta(directory)
        if meta is None or meta["project"] != OWNER or os.path.exists(f"{directory}/{KEPT}"):
            continue
        if files.start_time(int(meta["labels"].get(BUILDER) or 0)) is None:
            with contextlib.suppress(errors.NotFound):
                client().ask({"op": "remove", "id": id})
            naming.remove_container(paths, id)
