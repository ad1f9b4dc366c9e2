"""Networks of a running container, changed: what its configuration names is joined, what it names no more is left.

The configuration is written by the command line before it asks. What is to be undone is in the state before each
effect, as at a start. Interfaces are addressed by a child that enters the container's network namespace; guests of
that namespace get and lose them too. Interface names of networks that stay do not change, whatever the order.
"""

from __future__ import annotations

import json
import os
import socket

from composer.errors import Conflict
from composer.runtime.base import syscalls, wire
from composer.runtime.base.status import PAUSED, RESTARTING, RUNNING
from composer.runtime.container import container, process, sharing
from composer.runtime.network import endpoints, netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    from composer.runtime.tasks.first_process import FirstProcess
    from composer.runtime.tasks.networking import Networking
    from composer.runtime.tasks.services import Services
    from composer.runtime.tasks.task import Task

    Reply = Callable[[dict[str, Any]], None]


def update(services: Services, task: Task, reply: Reply) -> None:
    """Bring a container's networks to what its configuration says; ``reply`` says why where that cannot be."""
    task.reload()  # what was prepared has what the configuration said then, and goes with this
    if task.status not in (RUNNING, PAUSED, RESTARTING):
        reply(
            {"ok": True}
            if not task.is_active()
            else _failure("the container is being started: try again", "Conflict")
        )
        return
    if not sharing.has_own(task.record.config, "network"):
        reply(_failure(f"container {task.name} does not have a network namespace of its own", "Conflict"))
        return
    try:
        _change(services, task)
    except endpoints.NetworkFailed as error:
        reply({"error": str(error), "kind": error.kind, "hint": error.hint})
    except Conflict as error:
        reply({**_failure(error.message, "Conflict"), "hint": error.hint})
    except (OSError, process.ProcessFailed) as error:
        reply(_failure(f"cannot change the networks of container {task.name}: {error}", "BackendError"))
    else:
        reply({"ok": True})


def _failure(text: str, kind: str) -> dict[str, Any]:
    return {"error": text, "kind": kind}


def _change(services: Services, task: Task) -> None:
    networks, networking = services.networks, task.networking
    wanted = task.record.network.get("endpoints", ())
    ids = [endpoint["network_id"] for endpoint in wanted]
    before = networking.publications()
    for attachment in [one for one in networking.attachments if one.network_id not in ids]:
        networking.leave(attachment)
    present = {one.network_id: one for one in networking.attachments}
    had = {id: list(one.gateways) for id, one in present.items()}
    try:
        planned = networks.plan(task.id, wanted, tuple(present.values()))
    except BaseException:
        _restore_gateways(present, had)
        raise
    fresh = [one for one in planned if one.network_id not in present]
    networking.replace(planned)
    try:
        if task.status != RESTARTING:
            _configure(services, networking, task.process, fresh, had)
    except BaseException:
        for attachment in fresh:
            networks.detach(task.id, attachment, with_link=True)
        _restore_gateways(present, had)
        networking.replace([one for one in planned if one not in fresh])
        raise
    _publish(services, task, before)


def rejoin(services: Services, task: Task, attachment: endpoints.Attachment) -> None:
    """Recreate a deleted network interface of a running container. Raises as `_configure`."""
    networking = task.networking
    had = {one.network_id: list(one.gateways) for one in networking.attachments if one is not attachment}
    _configure(services, networking, task.process, [attachment], had)


def _restore_gateways(present: dict[str, endpoints.Attachment], had: dict[str, list[str]]) -> None:
    """Let the way out be the one that it was: ports and look-ups to outside go by it."""
    for id, attachment in present.items():
        attachment.lead_out_by(had[id])


def _publish(services: Services, task: Task, before: Sequence[Any]) -> None:
    """Let names, files of /etc and published ports follow."""
    networking = task.networking
    networking.write_files()
    if task.status == RESTARTING:
        return
    networking.announce()
    networking.refresh_names(task.process.pidfd)
    networking.reserve(waits=task.waits_for_ports)
    task.record.save()
    after = networking.publications()
    if list(map(str, before)) != list(map(str, after)):
        services.networks.firewall.republish(before, after)
    networking.serve_ports()


def _configure(
    services: Services,
    networking: Networking,
    first: FirstProcess,
    fresh: Sequence[endpoints.Attachment],
    had: dict[str, list[str]],
) -> None:
    """Make the new interfaces, and let the default routes be those of the network that is the way out."""
    for attachment in fresh:
        services.networks.attach(attachment, first.pid)
    routes = [
        {"name": one.interface, "gateways": one.gateways, "had": had.get(one.network_id, [])}
        for one in networking.attachments
        if one.gateways != had.get(one.network_id, [])
    ]
    interfaces = [attachment.interface_of_container() for attachment in fresh]
    if not interfaces and not routes:
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid, pidfd = syscalls.clone(0)
    if pid == 0:
        _run(first.pidfd, theirs, interfaces, routes)
    theirs.close()
    message, _ = wire.receive(ours)
    ours.close()
    services.reaper.reap(pid, pidfd, wait=True)
    os.close(pidfd)
    if message is None or "error" in message:
        raise process.ProcessFailed((message or {}).get("error", "the helper process exited unexpectedly"))


def _run(
    pidfd: int, sync: socket.socket, interfaces: Sequence[dict[str, Any]], routes: Sequence[dict[str, Any]]
) -> NoReturn:
    """In a child: enter the container's network namespace and do it."""
    answer: dict[str, Any] = {"ok": True}
    try:
        syscalls.setns(pidfd, syscalls.CLONE_NEWNET)
        with netlink.Netlink() as link:
            for interface in interfaces:
                container.configure_interface(link, interface)
            _move_routes(link, routes)
    except BaseException as error:
        answer = {"error": str(error) or type(error).__name__}
    finally:
        sync.send(json.dumps(answer).encode())
        os._exit(0)


def _move_routes(link: netlink.Netlink, routes: Sequence[dict[str, Any]]) -> None:
    """Take the old default routes away first: there is one of each family."""
    for route in routes:
        index = link.link_index(route["name"])
        for gateway in route["had"] if index is not None else ():
            link.delete_route(None, via=gateway, oif=index or 0)
    for route in routes:
        index = link.link_index(route["name"])
        for gateway in route["gateways"]:
            link.add_route(None, via=gateway, oif=index or 0)
