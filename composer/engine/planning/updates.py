"""How a service's containers are to be replaced: ``deploy.update_config``, ``rollback_config``; and what cannot be.

Spec: https://github.com/compose-spec/compose-spec/blob/main/deploy.md#update_config
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.engine.resolving.extension import extension
from composer.errors import ConfigError, Unsupported
from composer.units import parse_duration_ns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.schema.model import Project

    Tree = Mapping[str, Any]

_NS_PER_S = 1_000_000_000


class Update(NamedTuple):
    """``update_config`` or ``rollback_config``. ``parallelism`` 0 is all at once; times are in seconds.

    ``tolerated`` is the share of containers that may fail before ``on_failure`` counts: pause, continue, rollback.
    """

    parallelism: int = 0
    delay_s: float = 0.0
    monitor_s: float = 0.0
    start_first: bool = False
    on_failure: str = "pause"
    tolerated: float = 0.0


def update_of(tree: Tree, key: str = "update_config") -> Update:
    """Return how a service wants to be replaced (``key``: update_config or rollback_config)."""
    found = (tree.get("deploy") or {}).get(key)
    if not found:
        return Update()
    return Update(
        parallelism=int(found.get("parallelism", 1)),
        delay_s=_seconds(found.get("delay")),
        monitor_s=_seconds(found.get("monitor")),
        start_first=found.get("order") == "start-first",
        on_failure=found.get("failure_action") or "pause",
        tolerated=float(found.get("max_failure_ratio") or 0),
    )


def _seconds(text: Any) -> float:
    return parse_duration_ns(str(text)) / _NS_PER_S if text else 0.0


def batches(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Cut a sequence into pieces of ``size``; 0 is one piece."""
    size = size or max(1, len(items))
    return [items[start : start + size] for start in range(0, len(items), size)]


def check_start_first(project: Project, service: str, *, moves_ports: bool) -> None:
    """Raise ConfigError or Unsupported where ``order: start-first`` is asked for and cannot be.

    ``moves_ports``: the backend hands published ports over.
    """
    tree: Tree = project.tree["services"][service]
    if not update_of(tree).start_first:
        return
    path: tuple[str | int, ...] = ("services", service, "deploy", "update_config", "order")
    place = project.mark(path)
    where = f"{place}: " if place and str(place) else ""
    fixed = [p["published"] for p in tree.get("ports") or () if str(p.get("published") or "0") != "0"]
    if fixed and not moves_ports:
        raise Unsupported(
            "services.*.deploy.update_config.order",
            f"{where}order: start-first is not supported for service '{service}' on this backend: "
            f"old and new container would both need port {fixed[0]}",
            hint="use order: stop-first, or remove the fixed host port",
        )
    shared = _writes_to(tree)
    if shared and not extension(project, service).share_volumes:
        raise ConfigError(
            f"order: start-first: old and new container of service '{service}' would both write to {shared}",
            at=place,
            path=path,
            hint="mount it read-only, use order: stop-first, or set 'x-composer: {share_volumes: true}'",
        )


def _writes_to(tree: Tree) -> str:
    """Return the first volume or directory that a container of a service writes to, in words."""
    for mount in tree.get("volumes") or ():
        if mount["type"] in ("volume", "bind") and mount.get("source") and not mount.get("read_only"):
            kind = "volume" if mount["type"] == "volume" else "directory"
            return f"{kind} '{mount['source']}'"
    return ""
