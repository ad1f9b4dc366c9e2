"""What a stack takes from the process that it is in: variables and the working directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from composer import state_root

if TYPE_CHECKING:
    from collections.abc import Mapping


def environment(given: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """Return the process's variables with others over them; None takes one away."""
    found = dict(os.environ)
    for key, value in (given or {}).items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = value
    return found


def state_directory() -> str:
    """Return where commands of this process's user keep what they know."""
    return state_root.find(os.environ).own
