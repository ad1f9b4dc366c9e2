"""Where composer keeps what it knows on this machine: one definition for every command, the runtime and its tests.

COMPOSER_ROOT=DIR      DIR, with the runtime's own in DIR/lib and DIR/run
root                   /var/lib/composer and /run/composer
anybody else           $XDG_STATE_HOME/composer (~/.local/state) and $XDG_RUNTIME_DIR/composer
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class StateRoot(NamedTuple):
    """``own`` has keys and locks of commands; ``lib`` objects that last, ``run`` what goes with a reboot."""

    own: str
    lib: str
    run: str


def find(environment: Mapping[str, str], uid: int | None = None) -> StateRoot:
    """Return the directories of a user; ``uid`` is who that is, the process's own where it is None."""
    moved = environment.get("COMPOSER_ROOT")
    if moved:
        moved = os.path.abspath(moved)
        return StateRoot(moved, f"{moved}/lib", f"{moved}/run")
    if uid is None:
        uid = os.geteuid() if hasattr(os, "geteuid") else -1  # Windows has no such thing
    if uid == 0:
        return StateRoot("/var/lib/composer", "/var/lib/composer", "/run/composer")
    home = environment.get("HOME", "")
    state = f"{environment.get('XDG_STATE_HOME') or f'{home}/.local/state'}/composer"
    runtime = environment.get("XDG_RUNTIME_DIR")
    return StateRoot(state, state, f"{runtime}/composer" if runtime else f"{state}/run")
