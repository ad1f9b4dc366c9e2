"""Other limits and another restart policy for a container that is there, running or not (`docker update`)."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.runtime.base import records
from composer.runtime.objects import usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.runtime.base.record_types import Config, Meta

_UNLIMITED = {"limit": -1, "swap": -1, "reservation": 0, "quota": -1, "period": 100_000, "shares": 1024}
"""What the kernel has in a group of limits that nobody has set."""


def changed(
    config: Config, meta: Meta, resources: Mapping[str, Any], restart: Mapping[str, Any] | None
) -> Config:
    """Return a configuration with what is new in it. Raises Conflict where the two do not go together."""
    made: Config = copy.deepcopy(config)
    held = made["linux"].setdefault("resources", {})
    for group, values in resources.items():
        held[group] = {**held.get(group, {}), **values}
    _check_memory(meta["name"], held.get("memory", {}))
    if restart is not None:
        if meta["auto_remove"] and restart["policy"] != "no":
            raise errors.Conflict(
                f"cannot set a restart policy of container '{meta['name']}': it is removed when it exits"
            )
        records.extras(made)["restart"] = dict(restart)
    return made


def _check_memory(name: str, memory: Mapping[str, Any]) -> None:
    limit, swap = memory.get("limit"), memory.get("swap")
    if limit is not None and swap is not None and 0 < swap < limit:
        raise errors.Conflict(
            f"cannot change the memory limit of container '{name}' to {limit} bytes: "
            f"its limit of memory and swap together is {swap} bytes",
            hint="change memswap_limit as well",
        )
    if memory.get("reservation") and limit is not None and 0 < limit < memory["reservation"]:
        raise errors.Conflict(
            f"cannot change the memory limit of container '{name}' to {limit} bytes: "
            f"its reservation is {memory['reservation']} bytes",
            hint="change mem_reservation as well",
        )


def apply(before: Config, after: Config, id: str, resources: Mapping[str, Any]) -> list[str]:
    """Write the groups of limits that are new to a running container's cgroup; return the warnings.

    Raises BackendError where the kernel refuses one; those that were written by then are written back.
    """
    held = after["linux"]["resources"]
    try:
        return usage.cgroup_of(after, id).update({group: held[group] for group in resources})
    except OSError as error:
        with contextlib.suppress(
            OSError
        ):  # what the kernel does not even take back stays: its refusal is told
            usage.cgroup_of(after, id).update(_earlier(before, resources))
        raise errors.BackendError(error.strerror or str(error)) from error


def _earlier(before: Config, resources: Mapping[str, Any]) -> dict[str, Any]:
    """Return what groups of limits were: where there was none, what the kernel has without it."""
    held = before["linux"].get("resources", {})
    return {
        group: {**{key: _UNLIMITED[key] for key in values if key in _UNLIMITED}, **held.get(group, {})}
        for group, values in resources.items()
    }
