"""Commands of composer for tests, by a process that has imported it already: most of a short command are its imports.

`run` is `subprocess.run` of the command: a process of its own, with its own directory, variables and streams, but
forked instead of executed. What is tested of the start itself (imports, encodings, closed streams) uses real processes,
as do tests of signals. Where a command's variables would have changed Python's own start, or the test has changed what
its children inherit (namespaces, limits, control groups, privileges), it gets a real one too.

    python -m tests.forked DESCRIPTOR      the server, on a socket of packets; it ends with whoever has the other end
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

_REQUEST_BYTES = 1 << 20
_PACKAGES = (
    "cli",
    "session",
    "engine",
    "schema",
    "backends.namespace",
    "backends.docker",
    "runtime.base",
    "runtime.objects",
    "runtime.engine",
    "runtime.images",
    "runtime.network",
    "runtime.container",
    "runtime.build",
)
_OF_PYTHON = ("PYTHON", "LC_", "LANG")
_SPACES = ("cgroup", "ipc", "mnt", "net", "user", "uts")
_OF_STATUS = ("Umask:", "Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:", "Seccomp:", "SigIgn:", "SigBlk:")
COMMAND = str(Path(sys.executable).with_name("composer"))


# ------------------------------------------------------------------ the client


class _Server:
    """The server of this process, begun with the first command."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._owner = 0
        self.inherits: tuple[object, ...] = ()

    def socket(self) -> socket.socket:
        """Return the way to the server, which inherits what a first command would."""
        with self._lock:
            if self._socket is None or self._owner != os.getpid():
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _REQUEST_BYTES)
                with theirs:
                    number = theirs.fileno()
                    command = [sys.executable, "-m", "tests.forked", str(number)]
                    root = Path(__file__).parents[1]
                    process = subprocess.Popen(
                        command, cwd=root, pass_fds=[number], stdin=subprocess.DEVNULL, env=_environment()
                    )
                self._socket, self._owner, self.inherits = ours, os.getpid(), _inherited()
                atexit.register(_end, ours, process)
            return self._socket


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept


def _end(ours: socket.socket, process: subprocess.Popen[bytes]) -> None:
    ours.close()
    process.wait()


_SERVER = _Server()


def run(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float, errors: str = "strict"
) -> subprocess.CompletedProcess[str]:
    """Run ``composer`` with arguments; return its exit code and what it printed. Raises TimeoutExpired."""
    words = [COMMAND, *arguments]
    server = _SERVER.socket()
    if _python(env) != _python(_environment()) or _inherited() != _SERVER.inherits:
        return subprocess.run(
            words,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors=errors,
            timeout=timeout,
            check=False,
        )
    request = json.dumps({"words": words, "directory": str(cwd), "variables": dict(env)}).encode()
    pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
    try:
        socket.send_fds(server, [request], [end for _, end in pipes])
    finally:
        for _, end in pipes:
            os.close(end)
    found, done = _read([begin for begin, _ in pipes], timeout)
    pid, _, code = found[2].decode().partition("\n")
    if not done:
        os.kill(int(pid), signal.SIGKILL)
        raise subprocess.TimeoutExpired(words, timeout, *found[:2])
    out, err = (io.TextIOWrapper(io.BytesIO(data), "utf-8", errors).read() for data in found[:2])
    return subprocess.CompletedProcess(words, int(code), out, err)


def _inherited() -> tuple[object, ...]:
    """Return what a child of this thread would inherit, besides its variables and its directory."""
    spaces = tuple(os.stat(f"/proc/thread-self/ns/{kind}").st_ino for kind in _SPACES)
    texts = tuple(
        Path(f"/proc/thread-self/{name}").read_text() for name in ("limits", "cgroup", "oom_score_adj")
    )
    status = Path("/proc/thread-self/status").read_text().splitlines()
    return spaces, texts, tuple(line for line in status if line.startswith(_OF_STATUS))


def _python(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that Python reads when it starts."""
    return {key: value for key, value in variables.items() if key.startswith(_OF_PYTHON)}


def _read(pipes: list[int], timeout_s: float) -> tuple[list[bytes], bool]:
    """Return what comes out of pipes until all have ended, and whether they have."""
    found = [bytearray() for _ in pipes]
    deadline_s = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        for number, pipe in enumerate(pipes):
            selector.register(pipe, selectors.EVENT_READ, number)
        while selector.get_map() and (left_s := deadline_s - time.monotonic()) > 0:
            for key, _ in selector.select(left_s):
                data = os.read(key.fd, 1 << 16)
                found[key.data] += data
                if not data:
                    selector.unregister(key.fd)
        done = not selector.get_map()
    for pipe in pipes:
        os.close(pipe)
    return [bytes(each) for each in found], done


# ------------------------------------------------------------------ the server


def serve(control: socket.socket) -> None:
    """Fork a command for each request, and tell its process and its exit code."""
    _preload()
    gc.collect()
    gc.freeze()
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not control:
                    selector.unregister(key.fd)
                    _finish(key.fd, *key.data)
                    continue
                request, descriptors, _, _ = socket.recv_fds(control, _REQUEST_BYTES, 3)
                if not request:
                    return
                pid = os.fork()
                if pid == 0:
                    _be_command(json.loads(request), descriptors[:2])
                out, err, answer = descriptors
                os.close(out)
                os.close(err)
                os.write(answer, f"{pid}\n".encode())
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, answer))


def _finish(pidfd: int, pid: int, answer: int) -> None:
    os.close(pidfd)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(BrokenPipeError):  # who asked has given up
        os.write(answer, str(code).encode())
    os.close(answer)


def _preload() -> None:
    from composer import bundle

    bundle.use = _nothing  # a command that finds more modules than its own would write a new bundle
    from composer import starting

    starting.leave_annotations()
    starting.import_click()
    for name in _PACKAGES:
        package = import_module(f"composer.{name}")
        for found in pkgutil.walk_packages(package.__path__, f"composer.{name}."):
            import_module(found.name)
    for name in ("docker", "yaml", "jsonschema"):
        import_module(name)


def _nothing() -> None:
    """Do nothing."""


def _be_command(request: dict[str, Any], streams: list[int]) -> None:
    """Become the process that the request describes. Does not return."""
    code = 1
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in enumerate((nothing, *streams)):
            os.dup2(descriptor, number)
        os.closerange(3, 1 << 16)
        os.environ.clear()
        os.environ.update(request["variables"])
        os.chdir(request["directory"])
        sys.argv = request["words"]
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode, buffering, "utf-8", errors, closefd=False)
            for number, mode, buffering, errors in (
                (0, "r", -1, "surrogateescape"),
                (1, "w", -1, "surrogateescape"),
                (2, "w", 1, "backslashreplace"),
            )
        )
        from composer.__main__ import main

        main()
        code = 0
    except SystemExit as end:
        code = _code_of(end)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _code_of(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
