"""Changes and rules → what is to be done, each thing once. Pure but for one look: whether a path is a directory.

Every rule that a change matches counts, in the order of the file. A rebuild comes first, and what it replaces is not
restarted; files that are copied too go into the new containers.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from composer.watching.rules import Rule

    Changes = Mapping[str, Mapping[str, bool]]
    """By the path that is watched: what changed there, and whether something of another kind was in its place."""


class Entry(NamedTuple):
    """One path for a container. ``root`` is the watched path that ``source`` is in.

    Whether it is copied or removed is seen when it is done: it goes by what is at ``source`` then. ``replaces``: what
    is there in the container is of another kind, and is removed first.
    """

    source: str
    root: str
    replaces: bool = False

    @property
    def is_target(self) -> bool:
        """Tell whether it goes to the target of the rule itself."""
        return self.source == self.root


class Work(NamedTuple):
    """What is to be done, by service. ``syncs`` has the entries by their path in the container."""

    rebuilds: tuple[str, ...] = ()
    syncs: Mapping[str, Mapping[str, Entry]] = {}
    restarts: tuple[str, ...] = ()
    hooks: tuple[Rule, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rebuilds or self.syncs or self.restarts or self.hooks)


def work_of(
    changes: Changes, rules: Iterable[Rule], is_directory: Callable[[str], bool] = os.path.isdir
) -> Work:
    """Return what changes mean by the rules."""
    syncs: dict[str, dict[str, Entry]] = {}
    done: dict[str, list[str]] = {"rebuilds": [], "restarts": []}
    hooks = []
    for rule in rules:
        found = {path: replaces for path, replaces in changes.get(rule.path, {}).items() if rule.counts(path)}
        if not found:
            continue
        if rule.does.rebuilds:
            done["rebuilds"].append(rule.service)
        if rule.does.syncs:
            syncs.setdefault(rule.service, {}).update(entries_of(rule, found, is_directory))
        if rule.does.restarts:
            done["restarts"].append(rule.service)
        if rule.does.executes:
            hooks.append(rule)
    return Work(
        tuple(dict.fromkeys(done["rebuilds"])), syncs, tuple(dict.fromkeys(done["restarts"])), tuple(hooks)
    )


def entries_of(
    rule: Rule, found: Mapping[str, bool], is_directory: Callable[[str], bool]
) -> dict[str, Entry]:
    """Return paths that a rule copies, by where they go.

    The target of a rule is never replaced: in the container there may be anything else in it.
    """
    return {
        rule.target_of(path, is_directory=path == rule.path and is_directory(path)): Entry(
            path, rule.path, replaces and path != rule.path
        )
        for path, replaces in found.items()
    }
