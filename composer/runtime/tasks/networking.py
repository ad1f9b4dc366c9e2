"""A supervised container in its networks: addresses, links, names, and its published ports.

Ports are published while it has a way out. A container that is in internal networks alone has none, and nobody outside
a way in: nothing is reserved, led or relayed for it. Docker's rule; it changes when the container joins another
network. Taking away is safe to repeat, and what goes wrong with one thing keeps none of the others from going.
"""

from __future__ import annotations

import os
import socket

from composer.runtime.base import wire
from composer.runtime.container import sandbox, sharing
from composer.runtime.network import answering, endpoints, relay
from composer.runtime.tasks import name_sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from composer.runtime.base.record_types import PortRequest
    from composer.runtime.network import firewall
    from composer.runtime.network.endpoints import Attachment
    from composer.runtime.tasks.record import Record
    from composer.runtime.tasks.services import Services


class Networking:
    """``attachments`` are its interfaces, in their order; ``ports`` what is published of it."""

    def __init__(self, services: Services, record: Record) -> None:
        self._services, self._record = services, record
        self._id = record.id
        self.attachments: list[Attachment] = []
        self.ports = endpoints.Ports()
        self._relay = relay.Relay(services.loop)

    def adopt(self, held: dict[str, int]) -> None:
        """Take over what the state names, and the sockets that the keeper held."""
        state = self._record.state
        self.attachments = [endpoints.Attachment(record) for record in state.get("endpoints", ())]
        self.ports.published = list(state.get("ports", ()))
        keys = sorted(key for key in held if key.startswith("port-"))
        self.ports.sockets = [socket.socket(fileno=held.pop(key)) for key in keys]
        # The same numbers for both families: one that was not handed over leaves a gap, and no shift.
        companions = [key.replace("port-", "port6-", 1) for key in keys]
        self.ports.companions = [
            socket.socket(fileno=held.pop(key)) if key in held else None for key in companions
        ]

    # -------------------------------------------------------------- addresses

    def lease(self) -> None:
        """Have addresses, those of the run before where there was one. Raises NetworkFailed, or Conflict."""
        if not self.attachments:
            network = self._record.network
            self.attachments = self._services.networks.plan(
                self._id, network.get("endpoints", ()), former=network.get("replaces", "")
            )
        self.write_down()
        self._record.update(pid=0)

    def write_down(self) -> None:
        """Put the interfaces into the state; not written yet."""
        self._record.update(endpoints=[attachment.record() for attachment in self.attachments])

    def replace(self, attachments: list[Attachment]) -> None:
        """Have other interfaces, and save that."""
        self.attachments = attachments
        self.write_down()
        self._record.save()

    def leave(self, attachment: Attachment) -> None:
        """Leave a network while the container runs."""
        self.attachments.remove(attachment)
        self._services.networks.detach(self._id, attachment, with_link=True)

    def write_files(self) -> None:
        """Write the files of /etc that tell of the networks."""
        sandbox.write_files(self._record.bundle, self._record.config, self.attachments)

    def attach(self, pid: int) -> dict[str, Any]:
        """Give the container its interfaces; return what its first process has to know of them."""
        for attachment in self.attachments:
            self._services.networks.attach(attachment, pid)
        interfaces = [attachment.interface_of_container() for attachment in self.attachments]
        return {"interfaces": interfaces, "dns": self.has_names() and bool(interfaces)}

    def announce(self) -> None:
        """Make its names known to the others in its networks."""
        for attachment in self.attachments:
            self._services.networks.announce(self._id, attachment, self._record.extras["names"])

    def withdraw(self) -> None:
        """Take its names from the others."""
        for attachment in self.attachments:
            self._services.safely(self._services.networks.withdraw, self._id, attachment)

    # -------------------------------------------------------------- look-ups

    def has_names(self) -> bool:
        return answering.has_names(self._record.network)

    def take_name_sockets(self, descriptors: Sequence[int]) -> None:
        """Answer on the sockets that the container's first process has made; the keeper holds them too."""
        keys = (f"{self._id}/dns-udp", f"{self._id}/dns-tcp")
        self._services.keeper.hold(dict(zip(keys, descriptors, strict=True)))
        self.serve_names(descriptors)

    def serve_names(self, descriptors: Sequence[int]) -> None:
        """Answer the container's look-ups on these sockets: UDP, TCP."""
        udp, tcp = (socket.socket(fileno=fd) for fd in descriptors)
        client = answering.client(self._record.network, self.attachments, udp, tcp)
        self._services.names.add(self._id, client)

    def reopen_names(self, pidfd: int) -> None:
        """Make the name server's sockets in a running container anew, after every holder of the old was killed."""
        descriptors = name_sockets.open_in(self._services.reaper, pidfd)
        if descriptors:
            self.take_name_sockets(descriptors)

    def refresh_names(self, pidfd: int) -> None:
        """Answer from the networks that it is in now, after they changed."""
        networks = answering.in_order(self.attachments)
        outside = answering.reaches_outside(self.attachments)
        is_served = self._services.names.change(self._id, networks, forward=outside)
        if not is_served and networks and self.has_names():
            self.reopen_names(pidfd)

    def forget_names(self) -> None:
        """Answer no look-ups any more."""
        self._services.names.remove(self._id)
        for kind in ("udp", "tcp"):
            self._services.keeper.drop(f"{self._id}/dns-{kind}")

    # -------------------------------------------------------------- published ports

    def publications(self) -> list[firewall.Publication]:
        return self.ports.publications(self.attachments)

    def reserve(self, *, waits: Callable[[], bool]) -> None:
        """Bind the ports that are to be published, where they are not; give them back where there is no way out.

        With ``waits`` they come later, from a container that still has them. Raises NetworkFailed where somebody else
        has one. Not saved yet.
        """
        if not endpoints.has_way_out(self.attachments):
            self.give_back()
        elif not self.ports.sockets and not waits():
            self._bind(self._record.network.get("ports", ()))
        self.note_ports()

    def _bind(self, wanted: Sequence[PortRequest]) -> None:
        self.ports.reserve(wanted, os.path.dirname(self._record.bundle))
        self.hold_ports()

    def hold_ports(self) -> None:
        """Let the keeper have the sockets too."""
        held = {f"{self._id}/port-{index:04}": one.fileno() for index, one in enumerate(self.ports.sockets)}
        companions = enumerate(self.ports.companions)
        held |= {f"{self._id}/port6-{index:04}": one.fileno() for index, one in companions if one is not None}
        keys = list(held)
        for first in range(0, len(keys), wire.MAX_DESCRIPTORS):
            self._services.keeper.hold({key: held[key] for key in keys[first : first + wire.MAX_DESCRIPTORS]})

    def note_ports(self) -> None:
        """Put the ports into the state; not written yet."""
        self._record.update(ports=self.ports.published)

    def drop_ports(self) -> None:
        """Let the keeper forget the sockets."""
        indices = range(len(self.ports.sockets))
        self._services.keeper.drop(
            *(f"{self._id}/{kind}-{index:04}" for kind in ("port", "port6") for index in indices)
        )

    def publish(self) -> None:
        """Lead the ports to the container, in the kernel and, where that cannot, by passing on."""
        publications = self.publications()
        if publications:
            self._services.networks.firewall.publish(publications)
        self.serve_ports()

    def serve_ports(self) -> None:
        """Pass on what comes to the ports and cannot be led there by the kernel."""
        self._relay.serve(self.ports.relayed(self.attachments))

    def take_ports(self, source: Networking) -> None:
        """Take over the ports that ``source`` has and this one is to have, and bind what it has not."""
        missing = []
        for port in self._record.network.get("ports", ()):
            index = source.ports.index_of(port)
            if index is None:
                missing.append(port)
            else:
                self.ports.take(source.ports, index, int(port["container_port"]))
        rest = endpoints.Ports()
        rest.reserve(missing, os.path.dirname(self._record.bundle))
        while rest.sockets:
            self.ports.take(rest, 0, rest.published[0]["container_port"])

    def publish_again(self) -> None:
        """Lead the ports to a running container, with the keeper's sockets or, if these were lost, with new ones."""
        if len(self.ports.sockets) != len(self.ports.published):
            wanted = self.ports.published[:]
            self.unpublish()
            try:
                self.ports.reserve(wanted, os.path.dirname(self._record.bundle))
            finally:
                self.note_ports()
                self._record.save()
            self.hold_ports()
        publications = self.publications()
        if publications:
            self._services.networks.firewall.publish(publications)

    def give_back(self) -> None:
        self.drop_ports()
        self.ports.release()

    def unpublish(self) -> None:
        """Take the published ports back, whether their sockets are there or went with those who held them."""
        publications = self.publications()
        if publications:
            self._services.safely(self._services.networks.firewall.unpublish, publications)
        self._relay.close()
        self.give_back()
        self._record.update(ports=[])

    # -------------------------------------------------------------- the end

    def undo(self, *, thorough: bool) -> None:
        """Leave all networks, and take the ports back.

        ``thorough`` also looks for what the record does not name, after a kill between an effect and its record.
        """
        networks, record = self._services.networks, self._record
        self.unpublish()
        shared = sharing.is_marked(record.bundle)
        for attachment in self.attachments:
            self._services.safely(networks.detach, self._id, attachment, with_link=shared)
        if thorough:
            self._services.safely(networks.release_all, self._id, record.network.get("endpoints", ()))
        self.attachments = []
        record.update(endpoints=[])
