"""Docker-compatible name resolution without a socket: packets in, packets or a verdict out.

`Zone` holds the names that one container can see; `Zone.answer` returns a reply, or None where the question has to go
to an upstream server. Never raises on what came from a network. Spec: RFC 1035, 6891, 2782; the rules are Docker's
(moby libnetwork resolver).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

A, PTR, MX, TXT, AAAA, SRV, OPT, ANY = 1, 12, 15, 16, 28, 33, 41, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
TTL_S = 600


class Query:
    """A parsed question. ``name`` is lower case without the final dot; ``size`` is what a UDP answer may have, in bytes."""

    __slots__ = ("edns", "flags", "id", "name", "qclass", "qtype", "question", "size")

    def __init__(
        self, id: int, flags: int, name: str, qtype: int, qclass: int, question: bytes, size: int, edns: bool
    ) -> None:
        self.id = id
        self.flags = flags
        self.name = name
        self.qtype = qtype
        self.qclass = qclass
        self.question = question
        self.size = size
        self.edns = edns


def parse_query(packet: bytes) -> Query | None:
    """Return the question of a packet; None when it is not a query or cannot be answered at all."""
    raise NotImplementedError


def refuse(packet: bytes, code: int) -> bytes | None:
    """Return a reply with that response code to a query (SERVFAIL when no upstream answered); None if it is not a query."""
    raise NotImplementedError


def truncate(packet: bytes, size: int) -> bytes:
    """Return an answer that fits into ``size`` bytes: itself, or its header and question with TC set."""
    raise NotImplementedError


class Zone:
    """The names that a container can see.

    ``shuffle`` changes a list of addresses in place (round robin); injected so that tests are repeatable.
    """

    def __init__(self, shuffle: Callable[[list[str]], None] | None = None) -> None:
        raise NotImplementedError

    def set_endpoint(self, network: str, key: str, names: Iterable[str], addresses: Iterable[str]) -> None:
        """Let ``names`` on ``network`` lead to ``addresses``; ``key`` (the container's id) replaces its earlier entry.

        The first name is the one that PTR answers give, as ``name.network``.
        """
        raise NotImplementedError

    def remove_endpoint(self, network: str, key: str) -> None:
        raise NotImplementedError

    def answer(self, packet: bytes, *, tcp: bool = False) -> bytes | None:
        """Return the reply to a query for a name of ours, or FORMERR to what cannot be parsed; None means: ask an upstream."""
        raise NotImplementedError


class ResolvConf:
    """A resolv.conf(5): ``nameservers``, ``search`` and ``options`` as written."""

    __slots__ = ("nameservers", "options", "search")

    def __init__(
        self, nameservers: Sequence[str] = (), search: Sequence[str] = (), options: Sequence[str] = ()
    ) -> None:
        self.nameservers = tuple(nameservers)
        self.search = tuple(search)
        self.options = tuple(options)


def parse_resolv_conf(text: str) -> ResolvConf:
    raise NotImplementedError


def host_resolv_conf(files: Mapping[str, str]) -> ResolvConf:
    """Choose the host's configuration from ``{path: text}`` of /etc/resolv.conf and /run/systemd/resolve/resolv.conf.

    Docker's rule: where the first names only 127.0.0.53, systemd's own file is meant.
    """
    raise NotImplementedError


def container_resolv_conf(
    host: ResolvConf, *, dns: Sequence[str] = (), search: Sequence[str] = (), options: Sequence[str] = ()
) -> tuple[str, list[str]]:
    """Return the text of a container's /etc/resolv.conf (127.0.0.11) and the upstream servers that we forward to."""
    raise NotImplementedError


def frame(packet: bytes) -> bytes:
    """Return a packet as DNS over TCP carries it."""
    raise NotImplementedError


def unframe(buffer: bytearray) -> list[bytes]:
    """Take the complete packets of a TCP stream out of ``buffer``."""
    raise NotImplementedError
