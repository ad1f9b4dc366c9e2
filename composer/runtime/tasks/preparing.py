"""Starts prepared ahead: the first process of a container is there, and waits with what others could notice.

Somebody who waits for a dependency has time, which the container behind it then does not need. Prepared are
namespaces, addresses, cgroups and the mounts that are the container's own. Names, ports, the event, and every
mount of what others can change until then (see `container.index_of_outside`) are left to the start.

It is no state of the container: nobody is shown it, and it goes with the connection that asked for it. On the disk
it is ``prepared``, written before the first effect, so that whoever comes next can undo it.
"""

from __future__ import annotations

from composer.runtime.base import records
from composer.runtime.base.status import ACTIVE
from composer.runtime.container import sharing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def can_be(root: str, config: Mapping[str, Any]) -> bool:
    """Tell whether a container's start can be prepared now."""
    network = records.extras(config)["network"]
    if network.get("takes_over") or sharing.owners(config):
        return False
    former = records.state(f"{root}/containers/{network['replaces']}") if network.get("replaces") else None
    if former is not None and former.get("status") in ACTIVE:
        return False  # its addresses go to this one when it has ended
    # What is shared with the host has to be taken as it is at the start.
    return all({"shared", "rshared"}.isdisjoint(mount.get("options", ())) for mount in config["mounts"])
