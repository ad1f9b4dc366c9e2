"""The name server of a project's containers: sockets and forwarding. What to answer is `dns`'s business.

Each container has a UDP and a TCP socket on 127.0.0.11 in its own network namespace, made by its first process
and served from here. Names are read from the state directory (``networks/<id>/endpoints``), where every
supervisor publishes its containers, so that they resolve across projects that share a network; inotify says when
they change. Containers with only internal networks get no answer about the outside (CVE-2024-29018).
"""

from __future__ import annotations

import errno
import os
import socket

from composer.runtime.base import records, syscalls
from composer.runtime.base.loop import READ, WRITE
from composer.runtime.network import dns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from composer.runtime.base.loop import Loop, Timer

_UPSTREAM_TIMEOUT_S = 4.0
# Each takes a descriptor of the supervisor's: one container must not use up those of all.
_MAX_IN_FLIGHT = 128
_MAX_STREAMS = 32
_MAX_UNREAD_BYTES = 1 << 18
_IN_CHANGED = 0x00000080 | 0x00000200 | 0x00000040 | 0x00000400  # moved to, deleted, moved from, itself gone
_SERVFAIL = 2


class Client:
    """One container's sockets and what it may see. ``networks`` are ids, in order.

    ``links`` are (name of a container, what it is called here as well).
    """

    __slots__ = ("forward", "in_flight", "links", "networks", "streams", "tcp", "udp", "upstreams")

    def __init__(
        self,
        udp: socket.socket,
        tcp: socket.socket,
        networks: Sequence[str],
        upstreams: Sequence[str],
        forward: bool,
        links: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.udp = udp
        self.tcp = tcp
        self.networks = tuple(networks)
        self.links = tuple(links)
        self.upstreams = list(upstreams)
        self.forward = forward
        self.in_flight = 0
        self.streams: list[Stream] = []


class NameServer:
    """Answers the containers of one project."""

    def __init__(self, loop: Loop, networks_directory: str, host_upstreams: Callable[[], list[str]]) -> None:
        self._loop = loop
        self._directory = networks_directory
        self._host_upstreams = host_upstreams
        self._clients: dict[str, Client] = {}
        self._zones: dict[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], dns.Zone] = {}
        self._watches: dict[str, int] = {}
        self._inotify = syscalls.inotify_init()
        loop.watch(self._inotify, self._on_change)

    def add(self, container: str, client: Client) -> None:
        """Serve a container; both sockets are non-blocking and stay ours until `remove`."""
        self.remove(container)
        self._clients[container] = client
        for network in client.networks:
            self._watch(network)
        self._loop.watch(client.udp.fileno(), lambda _: self._on_datagram(client))
        self._loop.watch(client.tcp.fileno(), lambda _: self._on_connection(client))

    def change(self, container: str, networks: Sequence[str], *, forward: bool) -> bool:
        """Let a container see other networks; False when it is not served at all."""
        client = self._clients.get(container)
        if client is None:
            return False
        client.networks, client.forward = tuple(networks), forward
        for network in networks:
            self._watch(network)
        return True

    def remove(self, container: str) -> None:
        client = self._clients.pop(container, None)
        if client is not None:
            for server in (client.udp, client.tcp):
                self._loop.forget(server.fileno())
                server.close()
            for stream in client.streams:
                stream.close()

    def _watch(self, network: str) -> None:
        if network not in self._watches:
            path = f"{self._directory}/{network}/endpoints"
            os.makedirs(path, 0o700, exist_ok=True)
            self._watches[network] = syscalls.inotify_add_watch(self._inotify, path, _IN_CHANGED)

    def _on_change(self, _: int) -> None:
        try:
            os.read(self._inotify, 1 << 16)
        except BlockingIOError:
            return
        self._zones.clear()
        self._watches = {
            n: w for n, w in self._watches.items() if os.path.isdir(f"{self._directory}/{n}/endpoints")
        }

    def _zone(self, client: Client) -> dns.Zone:
        """Return the names that a container can see. Built when first asked for after a change."""
        # A change that was made just before this query may still wait in the inotify queue.
        self._on_change(0)
        key = (client.networks, client.links)
        zone = self._zones.get(key)
        if zone is None:
            zone = self._zones[key] = dns.Zone()
            for network in client.networks:
                self._fill(zone, network, client.links)
        return zone

    def _fill(self, zone: dns.Zone, network: str, links: tuple[tuple[str, str], ...]) -> None:
        self._watch(network)
        directory = f"{self._directory}/{network}/endpoints"
        for entry in sorted(os.listdir(directory)):
            endpoint = None if entry.endswith(".tmp") else records.endpoint(f"{directory}/{entry}")
            if endpoint:
                names = [*endpoint["names"], *(alias for name, alias in links if name in endpoint["names"])]
                zone.set_endpoint(endpoint["network"], entry, names, endpoint["addresses"])

    # -------------------------------------------------------------- UDP

    def _on_datagram(self, client: Client) -> None:
        for _ in range(32):
            try:
                packet, address = client.udp.recvfrom(4096)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in (errno.ECONNREFUSED, errno.EHOSTUNREACH):
                    continue  # an answer of ours found nobody: the asker has gone
                raise
            answer = self._zone(client).answer(packet)
            if answer is not None:
                _send(client.udp, answer, address)
            elif dns.parse_query(packet) is not None:
                self._forward(client, packet, lambda data, to=address: _send(client.udp, data, to))  # type: ignore[misc]

    def _upstreams(self, client: Client) -> list[str]:
        return (client.upstreams or self._host_upstreams()) if client.forward else []

    def _forward(self, client: Client, packet: bytes, reply: Callable[[bytes], None]) -> None:
        upstreams = self._upstreams(client)
        if not upstreams or client.in_flight >= _MAX_IN_FLIGHT:
            refusal = dns.refuse(packet, _SERVFAIL)
            if refusal is not None:
                reply(refusal)
            return
        client.in_flight += 1

        def done() -> None:
            client.in_flight -= 1

        Forwarded(self._loop, packet, upstreams, reply, done).next()

    # -------------------------------------------------------------- TCP

    def _on_connection(self, client: Client) -> None:
        try:
            connection, _ = client.tcp.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        client.streams = [stream for stream in client.streams if stream.is_open()]
        if len(client.streams) >= _MAX_STREAMS:
            client.streams.pop(0).close()  # the oldest: whoever holds so many is not waiting for an answer
        client.streams.append(
            Stream(self._loop, connection, lambda packet: self._answer_stream(client, packet))
        )

    def _answer_stream(self, client: Client, packet: bytes) -> bytes | tuple[list[str], bytes]:
        """Return the answer, or (upstreams, packet) where somebody else has to be asked."""
        answer = self._zone(client).answer(packet, tcp=True)
        if answer is not None:
            return answer
        upstreams = self._upstreams(client)
        if not upstreams:
            return dns.refuse(packet, _SERVFAIL) or b""
        return upstreams, packet

    def close(self) -> None:
        for container in list(self._clients):
            self.remove(container)
        self._loop.forget(self._inotify)
        os.close(self._inotify)


def _send(server: socket.socket, data: bytes, address: tuple[str, int]) -> None:
    try:
        server.sendto(data, address)
    except OSError:
        pass  # the container has gone, or its queue is full: a name server may drop, and the asker asks again


class Forwarded:
    """One query on its way to the upstream servers, one after the other, four seconds each."""

    __slots__ = ("_done", "_loop", "_packet", "_reply", "_socket", "_timer", "_upstreams")

    def __init__(
        self,
        loop: Loop,
        packet: bytes,
        upstreams: Sequence[str],
        reply: Callable[[bytes], None],
        done: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._packet = packet
        self._upstreams = list(upstreams[:3])
        self._reply = reply
        self._done = done
        self._socket: socket.socket | None = None
        self._timer: Timer | None = None

    def next(self) -> None:
        """Ask the next server; when there is none left, say that it failed."""
        self._close()
        while self._upstreams:
            upstream = self._upstreams.pop(0)
            family = socket.AF_INET6 if ":" in upstream else socket.AF_INET
            try:
                asker = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            except OSError:
                break  # no descriptor is left: the asker asks again
            try:
                asker.connect((upstream, 53))
                asker.send(self._packet)
            except OSError:
                asker.close()
                continue
            self._socket = asker
            self._loop.watch(asker.fileno(), self._on_answer)
            self._timer = self._loop.after(_UPSTREAM_TIMEOUT_S, self.next)
            return
        refusal = dns.refuse(self._packet, _SERVFAIL)
        if refusal is not None:
            self._reply(refusal)
        self._done()

    def _on_answer(self, _: int) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(65535)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.next()
            return
        if data[:2] != self._packet[:2]:
            return  # not the answer to this query
        self._close()
        self._reply(data)
        self._done()

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None


class Stream:
    """A TCP connection of a container; queries for others go through one TCP connection to an upstream."""

    __slots__ = ("_answer", "_buffer", "_client", "_loop", "_output", "_timer", "_upstream")

    def __init__(
        self,
        loop: Loop,
        client: socket.socket,
        answer: Callable[[bytes], bytes | tuple[list[str], bytes]],
    ) -> None:
        self._loop = loop
        self._client = client
        self._answer = answer
        self._buffer = bytearray()
        self._output = bytearray()
        self._upstream: socket.socket | None = None
        client.setblocking(False)
        self._timer = loop.after(30.0, self.close)
        loop.watch(client.fileno(), self._on_ready)

    def _on_ready(self, events: int) -> None:
        if events & 4:
            self._flush()
            return
        try:
            data = self._client.recv(65535)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._buffer += data
        for packet in dns.unframe(self._buffer):
            found = self._answer(packet)
            if isinstance(found, tuple):
                self._ask(*found)
            elif found:
                self._output += dns.frame(found)
        self._flush()

    def _ask(self, upstreams: list[str], packet: bytes) -> None:
        family = socket.AF_INET6 if ":" in upstreams[0] else socket.AF_INET
        self._drop_upstream()
        upstream = self._upstream = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        upstream.connect_ex((upstreams[0], 53))
        received = bytearray()

        def on_writable(events: int) -> None:
            try:
                upstream.send(dns.frame(packet))
            except OSError:
                self._output += dns.frame(dns.refuse(packet, _SERVFAIL) or b"")
                self._drop_upstream()
                self._flush()
                return
            self._loop.watch(upstream.fileno(), on_readable, 1)

        def on_readable(events: int) -> None:
            try:
                data = upstream.recv(65535)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            received.extend(data)
            answers = dns.unframe(received)
            if answers or not data:
                self._output += dns.frame(answers[0] if answers else dns.refuse(packet, _SERVFAIL) or b"")
                self._drop_upstream()
                self._flush()

        self._loop.watch(upstream.fileno(), on_writable, 4)

    def _flush(self) -> None:
        if self._output:
            try:
                del self._output[: self._client.send(self._output)]
            except (BlockingIOError, InterruptedError):
                pass  # the rest goes when there is room, below
            except OSError:
                self.close()
                return
        self._loop.watch(self._client.fileno(), self._on_ready, self._events())

    def _events(self) -> int:
        if len(self._output) > _MAX_UNREAD_BYTES:
            return WRITE  # it asks and does not listen: no further questions until it does
        return READ | WRITE if self._output else READ

    def is_open(self) -> bool:
        return self._client.fileno() >= 0

    def _drop_upstream(self) -> None:
        if self._upstream is not None:
            self._loop.forget(self._upstream.fileno())
            self._upstream.close()
            self._upstream = None

    def close(self) -> None:
        self._timer.cancel()
        self._drop_upstream()
        if self._client.fileno() >= 0:
            self._loop.forget(self._client.fileno())
            self._client.close()
