"""The process that makes a fault, holds it, and undoes it: ``python -m composer.faults.agent STATE``.

It reads a wish on standard input, answers with a line of JSON (``{}``, or what is wrong), and undoes the fault when
standard input ends: whoever asked closes it, or dies. It is in a session of its own, so that a signal for others does
not reach it.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from composer import errors
from composer.faults import exhausting, filling, marks, rules
from composer.faults.wishes import Wish

if TYPE_CHECKING:
    from composer.faults.relaying import Relay

_CLONE_NEWNET = 0x40000000
_RELAYED = ("delay", "slow_close", "reset_peer")
_BURST_MS = 50


def main() -> None:
    """Hold one fault."""
    state = sys.argv[1]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)  # also while the fault is being made
    wish = Wish(**json.loads(sys.stdin.readline()))
    mark = ""
    fault = _Fault(wish)
    try:
        try:
            fault.make()
            mark = marks.write(state, wish)
        except (OSError, filling.Refused, subprocess.CalledProcessError, errors.ComposerError) as error:
            _answer({"error": _reason(error)})
            return
        _answer({})
        asyncio.run(fault.hold())
    except BrokenPipeError:
        return  # whoever asked has died meanwhile
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        fault.undo()
        if mark:
            marks.remove(mark)


def _end(*_: object) -> None:
    raise SystemExit


def _answer(document: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and error.filename == "tc":
        return "the command tc is missing: install iproute2"
    if isinstance(error, OSError) and error.strerror:
        return (
            error.strerror.lower()
            if error.filename is None
            else f"{error.filename}: {error.strerror.lower()}"
        )
    return str(error)


class _Fault:
    """One fault, in the container's network namespace where it needs that."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self._filled: filling.Filled | None = None
        self._has_rules = self._has_queue = False
        self._relay: Relay | None = None

    def make(self) -> None:
        wish = self._wish
        if wish.kind == "disk_full":
            self._filled = filling.Filled(wish.pid, wish.values["path"], wish.id)
            filling.fill(self._filled)
            return
        if wish.kind == "oom":
            exhausting.exhaust(wish.pid, wish.id)
            return
        _enter(wish.pid)
        if wish.kind == "bandwidth":
            self._limit()
            return
        if wish.kind in _RELAYED:
            from composer.faults.relaying import Relay

            self._relay = Relay(wish)
        from composer.runtime.network import nftables

        self._has_rules = True
        nftables.run(rules.added(wish, relay_port=self._relay.port if self._relay is not None else 0))

    def _limit(self) -> None:
        """Limit what the container sends, on each of its interfaces."""
        rate = int(self._wish.values["bytes_per_s"])
        burst = max(5000, rate * _BURST_MS // 1000)
        self._has_queue = True
        for name in _interfaces():
            words = f"tc qdisc replace dev {name} root tbf rate {rate * 8}bit burst {burst} latency 400ms"
            subprocess.run(words.split(), check=True, capture_output=True)

    def undo(self) -> None:
        """Take everything away; what went with the container is gone already."""
        if self._filled is not None:
            filling.free(self._filled)
        if self._has_rules:
            from composer.runtime.network import nftables

            try:
                nftables.run(rules.removed(self._wish))
            except (OSError, errors.ComposerError):
                pass  # there are none: somebody has cleared the container's rules, or they could not be made
        if self._has_queue:
            for name in _interfaces():
                words = f"tc qdisc del dev {name} root"
                subprocess.run(words.split(), check=False, capture_output=True)

    async def hold(self) -> None:
        """Return when standard input has ended, or SIGTERM has come."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, over.set)

        def on_input() -> None:
            if not os.read(sys.stdin.fileno(), 4096):
                over.set()

        loop.add_reader(sys.stdin.fileno(), on_input)
        serving = asyncio.create_task(self._relay.serve()) if self._relay is not None else None
        await over.wait()
        loop.remove_reader(sys.stdin.fileno())
        if serving is not None:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


def _interfaces() -> list[str]:
    with open("/proc/thread-self/net/dev", encoding="utf-8") as file:
        names = [line.partition(":")[0].strip() for line in file.readlines()[2:]]
    return [name for name in names if name != "lo"]


def _enter(pid: int) -> None:
    """Go into the network namespace of a process. Raises OSError."""
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if library.setns(fd, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(fd)


if __name__ == "__main__":
    main()
