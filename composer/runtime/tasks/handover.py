"""A published port passes from a running container to the one that replaces it, with no connection refused.

One batch of the firewall leads every new connection to the new container; those that exist stay with the old one,
by connection tracking. The old one's names are withdrawn. Then it is given time to finish what it has begun: until
nobody is connected to a port that it listens on, or the patience is over.
"""

from __future__ import annotations

import time

from composer.runtime.base import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from composer.runtime.base.loop import Loop
    from composer.runtime.network import endpoints
    from composer.runtime.tasks.networking import Networking
    from composer.runtime.tasks.record import Record
    from composer.runtime.tasks.services import Services
    from composer.runtime.tasks.task import Task

    Reply = Callable[[dict[str, Any]], None]

PATIENCE_S = 5.0
_PAUSE_S = 0.05
_LEAST_S = 0.25
"""Long enough for who looked the name up a moment ago to have connected."""

_ESTABLISHED, _LISTENING = "01", "0A"


def move(services: Services, source: Task, target: Task, reply: Reply) -> None:
    """Lead the ports of ``source`` to ``target``; ``reply`` comes when ``source`` is no longer used."""
    _pass_ports(services.networks, source.networking, target.networking)
    _write_down(source.record, target.record)
    source.networking.withdraw()
    _Drain(services.loop, lambda: source.process.pid, reply).look()


def _pass_ports(networks: endpoints.Networks, source: Networking, target: Networking) -> None:
    before = source.publications()
    source.drop_ports()
    target.take_ports(source)
    after = source.publications()
    staying = set(map(str, after))
    given = [one for one in before if str(one) not in staying]
    networks.firewall.republish(given, target.publications())
    for one in (source, target):
        one.serve_ports()
    for one in (target, source):
        one.hold_ports()
        one.note_ports()


def _write_down(source: Record, target: Record) -> None:
    """Write down who has which port; the new one has nothing to wait for any more, whoever starts it."""
    target.network["takes_over"] = ""
    records.write_config(target.bundle, target.config)
    for record in (target, source):
        record.save()


class _Drain:
    """Waits until nobody is connected to a container."""

    def __init__(self, loop: Loop, pid: Callable[[], int], reply: Reply) -> None:
        self._loop, self._pid, self._reply = loop, pid, reply
        self._since_s = time.monotonic()

    def look(self) -> None:
        passed_s = time.monotonic() - self._since_s
        if passed_s < _LEAST_S or (passed_s < PATIENCE_S and self._is_busy()):
            self._loop.after(_PAUSE_S, self.look)
        else:
            self._reply({"ok": True})

    def _is_busy(self) -> bool:
        pid = self._pid()
        if not pid:
            return False
        listening, connected = set(), set()
        for name in ("tcp", "tcp6"):
            for port, state in _sockets(f"/proc/{pid}/net/{name}"):
                if state == _LISTENING:
                    listening.add(port)
                elif state == _ESTABLISHED:
                    connected.add(port)
        return bool(listening & connected)


def _sockets(path: str) -> list[tuple[str, str]]:
    """Return the local port and the state of each TCP socket, as hexadecimal text. Format: proc_net_tcp.rst"""
    try:
        with open(path, encoding="utf-8") as file:
            rows = [line.split() for line in file.readlines()[1:]]
    except OSError:
        return []  # it has ended
    return [(row[1].rpartition(":")[2], row[3]) for row in rows]
