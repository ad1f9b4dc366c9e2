"""A published port passes from a running container to the one that replaces it, with no connection refused.

One batch of the firewall leads every new connection to the new container; those that exist stay with the old one,
by connection tracking. The old one's names are withdrawn. Then it is given time to finish what it has begun: until
nobody is connected to a port that it listens on, or the patience is over.
"""

from __future__ import annotations

import os
import time

from composer.runtime.base import files
from composer.runtime.network import endpoints, relay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from composer.runtime.supervision.task import Task

    Reply = Callable[[dict[str, Any]], None]

PATIENCE_S = 5.0
_PAUSE_S = 0.05
_LEAST_S = 0.25
"""Long enough for who looked the name up a moment ago to have connected."""

_ESTABLISHED, _LISTENING = "01", "0A"


def waits_for_ports(task: Task) -> bool:
    """Tell a container that gets its ports from one that still has them."""
    source = task.own["network"].get("takes_over")
    if not source:
        return False
    try:
        return task.supervisor.task(source).is_active()
    except KeyError:
        return False


def move(source: Task, target: Task, reply: Reply) -> None:
    """Lead the ports of ``source`` to ``target``; ``reply`` comes when ``source`` is no longer used."""
    _pass_ports(source, target)
    for attachment in source.attachments:
        source.supervisor.networks.withdraw(source.id, attachment)
    _Drain(source, reply).look()


def _pass_ports(source: Task, target: Task) -> None:
    supervisor = target.supervisor
    before = source.ports.publications(source.attachments)
    supervisor.drop_ports(source.id, source.ports)
    kept = endpoints.Ports()
    missing = []
    for port in target.own["network"].get("ports", ()):
        index = _matching(source.ports, port)
        if index is None:
            missing.append(port)
        else:
            target.ports.sockets.append(source.ports.sockets.pop(index))
            target.ports.companions.append(source.ports.companions.pop(index))
            found = source.ports.published.pop(index)
            target.ports.published.append({**found, "container_port": port["container_port"]})
    kept.reserve(missing, os.path.dirname(target.bundle))
    target.ports.sockets += kept.sockets
    target.ports.companions += kept.companions
    target.ports.published += kept.published
    after = source.ports.publications(source.attachments)
    staying = set(map(str, after))
    given = [one for one in before if str(one) not in staying]
    supervisor.networks.firewall.republish(given, target.ports.publications(target.attachments))
    for task in (source, target):
        relay.serve_ports(task)
    supervisor.hold_ports(target.id, target.ports)
    supervisor.hold_ports(source.id, source.ports)
    _record(source, target)


def _matching(ports: endpoints.Ports, wanted: Mapping[str, Any]) -> int | None:
    """Return which of the published ports is one that is wanted: of fixed numbers only."""
    first = wanted.get("host_port") or 0
    last = wanted.get("host_port_end") or first
    for index, port in enumerate(ports.published):
        same = (port["protocol"], port["host_ip"]) == (wanted["protocol"], wanted.get("host_ip") or "")
        if first and same and first <= port["host_port"] <= last:
            return index
    return None


def _record(source: Task, target: Task) -> None:
    """Write down who has which port; the new one has nothing to wait for any more, whoever starts it."""
    target.own["network"]["takes_over"] = ""
    files.write_json(f"{target.bundle}/config.json", target.config)
    for task in (target, source):
        task.state["ports"] = task.ports.published
        task.save()


class _Drain:
    """Waits until nobody is connected to a container."""

    def __init__(self, task: Task, reply: Reply) -> None:
        self._task, self._reply = task, reply
        self._since_s = time.monotonic()

    def look(self) -> None:
        passed_s = time.monotonic() - self._since_s
        if passed_s < _LEAST_S or (passed_s < PATIENCE_S and self._is_busy()):
            self._task.supervisor.loop.after(_PAUSE_S, self.look)
        else:
            self._reply({"ok": True})

    def _is_busy(self) -> bool:
        if not self._task.pid:
            return False
        listening, connected = set(), set()
        for name in ("tcp", "tcp6"):
            for port, state in _sockets(f"/proc/{self._task.pid}/net/{name}"):
                if state == _LISTENING:
                    listening.add(port)
                elif state == _ESTABLISHED:
                    connected.add(port)
        return bool(listening & connected)


def _sockets(path: str) -> list[tuple[str, str]]:
    """Return the local port and the state of each TCP socket, as hexadecimal text. Format: proc_net_tcp.rst"""
    try:
        with open(path, encoding="ascii") as file:
            rows = [line.split() for line in file.readlines()[1:]]
    except OSError:
        return []  # it has ended
    return [(row[1].rpartition(":")[2], row[3]) for row in rows]
