"""What the parts of a supervised container use of the process that they live in."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from composer.runtime.base.loop import Loop
    from composer.runtime.container import cgroups
    from composer.runtime.container.seccomp import FilterCache
    from composer.runtime.network.endpoints import Networks
    from composer.runtime.network.names import NameServer
    from composer.runtime.tasks.cgroup_removal import CgroupRemoval
    from composer.runtime.tasks.keeping import KeeperLink
    from composer.runtime.tasks.reaping import Reaper


class Services:
    """``root`` is the state directory. ``emit`` writes an event: kind, action, id, attributes."""

    __slots__ = (
        "boot",
        "cgroup_removal",
        "emit",
        "filters",
        "hierarchies",
        "keeper",
        "loop",
        "names",
        "networks",
        "on_error",
        "reaper",
        "root",
    )

    def __init__(
        self,
        *,
        root: str,
        boot: str,
        loop: Loop,
        keeper: KeeperLink,
        reaper: Reaper,
        networks: Networks,
        names: NameServer,
        hierarchies: cgroups.Hierarchies,
        cgroup_removal: CgroupRemoval,
        filters: FilterCache,
        emit: Callable[[str, str, str, Mapping[str, str]], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self.root, self.boot = root, boot
        self.loop, self.keeper, self.reaper = loop, keeper, reaper
        self.networks, self.names = networks, names
        self.hierarchies, self.cgroup_removal, self.filters = hierarchies, cgroup_removal, filters
        self.emit, self.on_error = emit, on_error

    def filter(self, config: Mapping[str, Any]) -> bytes | None:
        """Return the compiled seccomp filter of a container; None when it is to have none."""
        profile = config["linux"].get("seccomp")
        if profile is None:
            return None
        bounding = config["process"].get("capabilities", {}).get("bounding", ())
        return self.filters.get(None if profile == "default" else profile, bounding)

    def safely(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        """Call a function and write its failure to the log: nobody would come back for what is left to do."""
        try:
            call(*arguments, **named)
        except Exception as error:
            self.on_error(error)
