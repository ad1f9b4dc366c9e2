"""Kernel state that others took away is put back while containers run, by their project's supervisor.

It hears over netlink that links, addresses, routes, forwarding or the rule set have changed, whoever did it, and
looks when that has settled. What is missing is made by a child, as it waits for the host lock; a container whose
interface is gone gets another. Containers themselves are not touched.
"""

from __future__ import annotations

import os
import socket
import time

from composer.runtime.base import files, syscalls
from composer.runtime.base.status import PAUSED, RUNNING
from composer.runtime.container import sharing
from composer.runtime.network import bridges, endpoints, integrity
from composer.runtime.tasks import connecting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, NoReturn

    from composer.runtime.base.loop import Timer
    from composer.runtime.base.record_types import NetworkRecord
    from composer.runtime.network import firewall
    from composer.runtime.tasks.services import Services
    from composer.runtime.tasks.task import Task

    Reply = Callable[[dict[str, Any]], None]

_ROUTE, _NETFILTER = 0, 12
# RTNLGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE, IPV4_NETCONF, IPV6_NETCONF; NFNLGRP_NFTABLES
_GROUPS = {_ROUTE: (1, 5, 7, 9, 11, 24, 25), _NETFILTER: (7,)}
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_SETTLED_S = 0.3
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_REST = 20
"""The pause after a look, in times of its own length: each start of a container is news, and a look asks for all."""


class _Found:
    """What a look has found: the networks that running containers are in, and what the kernel lacks of them."""

    def __init__(self) -> None:
        self.records: dict[str, NetworkRecord] = {}
        self.tasks: list[Task] = []
        self.faults: list[str] = []
        self.published: list[tuple[Task, list[firewall.Publication]]] = []
        self.lost: list[tuple[Task, endpoints.Attachment]] = []
        """Interfaces that no longer exist."""


class Guard:
    """Watches over the kernel's state of one project's networks."""

    def __init__(
        self, services: Services, tasks: Callable[[], Iterable[Task]], log: Callable[[str], None]
    ) -> None:
        self._services, self._tasks, self._log = services, tasks, log
        self._sockets: list[socket.socket] = []
        self._timer: Timer | None = None
        self._child = (0, -1)
        self._waiting: list[Reply] = []
        self._pause_s = 0.0
        self._not_before_s = 0.0

    def begin(self) -> None:
        for protocol, groups in _GROUPS.items():
            kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            heard = socket.socket(socket.AF_NETLINK, kind, protocol)
            heard.bind((0, 0))
            for group in groups:
                heard.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
            self._sockets.append(heard)
            self._services.loop.watch(heard.fileno(), lambda _, heard=heard: self._on_news(heard))  # type: ignore[misc]
        self._look_after(0.0)  # nobody watched until now

    def ask(self, reply: Reply) -> None:
        """Check now, restore what is missing, and return what is still missing."""
        self._waiting.append(reply)
        self._not_before_s = self._pause_s = 0.0
        if self._child[1] < 0:
            self._look()

    def _on_news(self, heard: socket.socket) -> None:
        try:
            while heard.recv(1 << 16):
                pass
        except BlockingIOError:
            pass  # all of it has been heard
        except OSError:
            pass  # more than its buffer holds: something has changed, and that is all there is to know
        if self._timer is None and self._child[1] < 0:
            self._look_after(max(_SETTLED_S, self._not_before_s - time.monotonic()))

    def _look_after(self, delay_s: float) -> None:
        self._timer = self._services.loop.after(delay_s, self._look)

    def _look(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        began_s = time.monotonic()
        found = self._find()
        if not found.faults:
            now_s = time.monotonic()
            self._pause_s, self._not_before_s = 0.0, now_s + _REST * (now_s - began_s)
            self._answer([])
            return
        if self._pause_s >= _FIRST_PAUSE_S and self._waiting:
            self._answer(found.faults)
        self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2 or _FIRST_PAUSE_S)
        self._not_before_s = time.monotonic() + self._pause_s
        self._log(f"restoring networks: {'; '.join(dict.fromkeys(found.faults))}")
        self._mend(found)

    def _find(self) -> _Found:
        found = _Found()
        networks = self._services.networks
        for task in self._tasks():
            if task.status not in (RUNNING, PAUSED) or not sharing.has_own(task.record.config, "network"):
                continue
            found.tasks.append(task)
        ids = {one.network_id: None for task in found.tasks for one in task.networking.attachments}
        for id in ids:  # a network is read once, however many containers are in it
            try:
                found.records[id] = networks.read(id)
            except endpoints.NetworkFailed:
                continue  # it is being removed
        if not found.records:
            return found
        kernel = integrity.Kernel()
        for record in found.records.values():
            found.faults += integrity.faults_of_network(record, kernel)
        for task in found.tasks:
            found.faults += integrity.faults_of_container(
                task.name, task.networking.attachments, found.records, kernel
            )
            publications = task.networking.publications()
            found.published.append((task, publications))
            found.faults += integrity.faults_of_ports(publications, kernel)
            found.lost += [
                (task, one) for one in task.networking.attachments if kernel.link(one.link) is None
            ]
        return found

    # -------------------------------------------------------------- putting back

    def _mend(self, found: _Found) -> None:
        pid, pidfd = syscalls.clone(0)
        if pid == 0:
            _put_back(self._services, found)
        self._child = (pid, pidfd)
        self._services.loop.watch(pidfd, lambda _: self._on_mended(found))

    def _on_mended(self, found: _Found) -> None:
        pid, pidfd = self._child
        self._services.loop.forget(pidfd)
        self._services.reaper.reap(pid, pidfd, wait=True)
        os.close(pidfd)
        self._child = (0, -1)
        self._services.networks.forget_bridges()
        for task, publications in found.published:
            if task.status not in (RUNNING, PAUSED):  # it ended while the child published its ports again
                self._services.safely(self._services.networks.firewall.unpublish, publications)
        for task, attachment in found.lost:
            if task.status in (RUNNING, PAUSED) and attachment in task.networking.attachments:
                try:
                    connecting.rejoin(self._services, task, attachment)
                except Exception as error:
                    self._services.on_error(error)
        self._look_after(0.0 if self._pause_s <= _FIRST_PAUSE_S else self._pause_s)

    def _answer(self, faults: Sequence[str]) -> None:
        waiting, self._waiting = self._waiting, []
        for reply in waiting:
            if faults:
                reply({"error": f"cannot restore the network: {'; '.join(faults)}", "kind": "BackendError"})
            else:
                reply({"ok": True})


def _put_back(services: Services, found: _Found) -> NoReturn:
    """Restore what is missing. Runs in a child process, under the lock for changes of the host's networks."""
    status = 0
    try:
        files.lock_host()  # until this process ends
        for record in found.records.values():
            if not _exists(services.networks, record["id"]):
                continue  # it was removed meanwhile: nothing of it may come back
            attached = [one for task in found.tasks for one in task.networking.attachments]
            links = [one.link for one in attached if one.network_id == record["id"]]
            bridges.raise_up(record, f"{services.networks.directory}/{record['id']}", links)
        for _, publications in found.published:
            services.networks.firewall.publish(publications)
    except BaseException as error:
        services.on_error(error)
        status = 1
    finally:
        os._exit(status)


def _exists(networks: endpoints.Networks, network_id: str) -> bool:
    try:
        networks.read(network_id)
    except endpoints.NetworkFailed:
        return False
    return True
