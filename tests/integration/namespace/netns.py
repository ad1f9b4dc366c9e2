"""Network namespaces for the tests.

Made by a child, entered through its descriptor, gone when it is closed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import subprocess
import traceback
from collections.abc import Callable, Iterator
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


class Namespace:
    """A network namespace, held open by a descriptor; ``lo`` is up."""

    def __init__(self) -> None:
        ready, child = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                if _libc.unshare(_CLONE_NEWNET):
                    os._exit(1)
                os.write(child, b"x")
                signal.pause()
            finally:
                os._exit(0)
        os.close(child)
        answer = os.read(ready, 1)
        os.close(ready)
        if not answer:
            raise OSError("cannot make a network namespace")
        self.fd = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.run("ip", "link", "set", "lo", "up")

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)

    def enter(self) -> None:
        """Move the calling process into the namespace."""
        if _libc.setns(self.fd, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run ``function`` in a child inside the namespace; return what it returned, raise what it raised."""
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            status = 1
            try:
                if _libc.setns(self.fd, _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
                # Sockets and sysctls of the namespace are seen through a /proc of the task itself: no remount
                # needed.
                outcome: tuple[bool, Any] = (True, function(*arguments))
                status = 0
            except BaseException as error:
                error.add_note(traceback.format_exc())
                outcome = (False, error)
            with os.fdopen(write, "wb") as pipe:
                pickle.dump(outcome, pipe)
            os._exit(status)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            good, value = pickle.load(pipe)
        os.waitpid(pid, 0)
        if good:
            return value
        raise value

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command inside and return its output."""
        done = subprocess.run(
            ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self.fd}", *command],
            pass_fds=(self.fd,),
            capture_output=True,
            text=True,
            timeout=20,
        )
        if check and done.returncode:
            raise AssertionError(f"{command}: {done.stderr}")
        return done.stdout + ("" if check else done.stderr)


@contextlib.contextmanager
def namespaces(count: int) -> Iterator[list[Namespace]]:
    made: list[Namespace] = []
    try:
        made.extend(Namespace() for _ in range(count))
        yield made
    finally:
        for one in made:
            one.close()
