"""The relay of delayed connections: whoever breaks off is broken off at the other side, too."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

import pytest

from composer.faults import relaying
from composer.faults.wishes import Wish


def wish(kind: str, **values: Any) -> Wish:
    return Wish("x", kind, "p", "s", "c", 1, {"ms": 1, "ports": [], **values})


async def connected(relay: relaying.Relay) -> socket.socket:
    """Return a client of the relay, with buffers that are soon full."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", relay.port))
    return client


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("writes", [True, False])
def test_a_reset_of_the_client_reaches_the_service(monkeypatch: pytest.MonkeyPatch, writes: bool) -> None:
    async def main() -> None:
        ended = asyncio.Event()
        begun = asyncio.Event()

        async def service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            begun.set()
            try:
                while writes:
                    writer.write(bytes(1 << 16))
                    await writer.drain()
                assert await reader.read() == b""
            except ConnectionError:
                pass  # what it is to hear
            finally:
                ended.set()
                writer.close()

        server = await asyncio.start_server(service, "127.0.0.1", 0)
        monkeypatch.setattr(relaying, "_wanted", lambda _: server.sockets[0].getsockname())
        relay = relaying.Relay(wish("delay"))
        serving = asyncio.create_task(relay.serve())
        client = await connected(relay)
        await begun.wait()
        await asyncio.sleep(0.2)  # its buffers, and those of the relay, are full
        reset(client)
        await asyncio.wait_for(ended.wait(), 10)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        server.close()

    asyncio.run(main())
