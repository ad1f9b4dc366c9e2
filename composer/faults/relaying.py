"""A relay in a container's network: connections are led to it, and it passes them on late, or ends them badly.

It answers for whatever port the client wanted: the kernel says which (SO_ORIGINAL_DST).
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from composer.faults.wishes import Wish

_ORIGINAL = 80  # SO_ORIGINAL_DST, linux/netfilter_ipv4.h; IP6T_SO_ORIGINAL_DST is the same number
_PIECE_BYTES = 1 << 14
_PIECES = 64
_CONNECTIONS = 512
"""At once, each with 2 MiB on the way at most: this process has no limits of the container's."""
_LINGER_NOT = struct.pack("ii", 1, 0)
_IPPROTO_IP, _IPPROTO_IPV6 = 0, 41


class Relay:
    """Serves one fault. Made in the container's network namespace, where its sockets then are."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self._listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port: int = self._listener.getsockname()[1]
        self._open = 0

    async def serve(self) -> None:
        """Serve until cancelled."""
        server = await asyncio.start_server(self._serve_one, sock=self._listener)
        async with server:
            await server.serve_forever()

    def _pause_s(self) -> float:
        values = self._wish.values
        jitter = float(values.get("jitter_ms") or 0)
        return max(0.0, float(values["ms"]) + random.uniform(-jitter, jitter)) / 1000

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= _CONNECTIONS:
            _reset(writer)
            return
        self._open += 1
        try:
            await self._relay(reader, writer)
        finally:
            self._open -= 1

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind = self._wish.kind
        try:
            there_reader, there_writer = await asyncio.open_connection(*_wanted(writer))
        except OSError:
            _reset(writer)
            return
        answers_late = kind == "delay"
        jobs = [
            asyncio.create_task(self._pass_on(reader, there_writer, late=False, closes_late=False)),
            asyncio.create_task(
                self._pass_on(there_reader, writer, late=answers_late, closes_late=kind == "slow_close")
            ),
        ]
        began_s = time.monotonic()
        limit_s = self._pause_s() if kind == "reset_peer" else None
        done, going = await asyncio.wait(jobs, timeout=limit_s, return_when=asyncio.FIRST_EXCEPTION)
        for job in going:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        if limit_s is not None:
            await asyncio.sleep(max(0.0, began_s + limit_s - time.monotonic()))
            _reset(writer)
            there_writer.close()
        elif going or any(job.exception() is not None for job in done):
            _reset(writer)
            _reset(there_writer)  # one side has broken off: the other one hears of it
        else:
            writer.close()
            there_writer.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, late: bool, closes_late: bool
    ) -> None:
        """Move bytes one way until their end. What is late keeps its order; nothing waits for what was before it."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_PIECES)

        async def receive() -> None:
            while True:
                data = await reader.read(_PIECE_BYTES)
                pause_s = self._pause_s() if late or (closes_late and not data) else 0.0
                await pieces.put((loop.time() + pause_s, data))
                if not data:
                    return

        # a group: where one of the two fails, the other does not wait for ever
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(receive())
                group.create_task(_send_in_time(pieces, writer))
        except* OSError as failed:
            raise failed.exceptions[0] from None


async def _send_in_time(pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due, data = await pieces.get()
        await asyncio.sleep(max(0.0, due - loop.time()))
        if not data:
            if writer.can_write_eof():
                writer.write_eof()
            return
        writer.write(data)
        await writer.drain()


def _wanted(writer: asyncio.StreamWriter) -> tuple[str, int]:
    """Return the address and the port that a client had connected to."""
    connection: socket.socket = writer.get_extra_info("socket")
    address = str(connection.getsockname()[0])
    if address.startswith("::ffff:"):
        raw = connection.getsockopt(_IPPROTO_IP, _ORIGINAL, 16)
        return socket.inet_ntoa(raw[4:8]), struct.unpack("!H", raw[2:4])[0]
    raw = connection.getsockopt(_IPPROTO_IPV6, _ORIGINAL, 28)
    return socket.inet_ntop(socket.AF_INET6, raw[8:24]), struct.unpack("!H", raw[2:4])[0]


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    except OSError:
        pass  # it has gone already
    writer.transport.abort()
