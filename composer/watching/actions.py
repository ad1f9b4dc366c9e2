"""What the actions of ``develop.watch`` do: a new action is one row of this table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Action(NamedTuple):
    """What happens to a service after a change, in this order."""

    rebuilds: bool = False
    syncs: bool = False
    restarts: bool = False
    executes: bool = False


ACTIONS: Mapping[str, Action] = {
    "rebuild": Action(rebuilds=True),
    "sync": Action(syncs=True),
    "restart": Action(restarts=True),
    "sync+restart": Action(syncs=True, restarts=True),
    "sync+exec": Action(syncs=True, executes=True),
}
