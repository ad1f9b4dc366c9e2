"""Run nftables commands: libnftables through ctypes (a tenth of a millisecond), or the ``nft`` command where
that is missing.

One call is one atomic batch. A `Session` stays in the network namespace in which it began; `run` is for the
one that the calling thread is in now. Spec: libnftables(3), nft(8).
"""

from __future__ import annotations

import ctypes
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OUTPUT_JSON, _OUTPUT_NUMERIC = 1 << 4, 0x780
_REASONS = (
    ("No such file or directory", errno.ENOENT),
    ("does not exist", errno.ENOENT),
    ("File exists", errno.EEXIST),
    ("Operation not permitted", errno.EPERM),
    ("Permission denied", errno.EACCES),
    ("Device or resource busy", errno.EBUSY),
    ("Operation not supported", errno.EOPNOTSUPP),
)
_library: Any = None
# libmnl waits with select(2), which ends the process for a descriptor above 1023: a supervisor of 150 containers has
# more. These are low, and closed for the moment in which a socket is opened. Several, for a thread may take one.
_SPARES = 4
_spares: list[int] = []


def load() -> bool:
    """Load the library, once, and tell whether it is there.

    A process that will fork calls this before it does.
    """
    global _library
    if _library is not None:
        return bool(_library)
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError:
        _library = False
        return False
    library.nft_ctx_new.restype = ctypes.c_void_p
    for name, kinds in (
        ("nft_ctx_free", ()),
        ("nft_ctx_buffer_output", ()),
        ("nft_ctx_buffer_error", ()),
        ("nft_ctx_output_set_flags", (ctypes.c_uint,)),
        ("nft_run_cmd_from_buffer", (ctypes.c_char_p,)),
        ("nft_ctx_get_output_buffer", ()),
        ("nft_ctx_get_error_buffer", ()),
    ):
        getattr(library, name).argtypes = (ctypes.c_void_p, *kinds)
    library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    _library = library
    _spare()
    return True


def forget_spares() -> None:
    """Forget the reserved low descriptors without closing them.

    For a forked child that has closed all descriptors: their numbers may have been reused.
    """
    _spares.clear()


def _spare() -> None:
    """Reserve low descriptors again."""
    while len(_spares) < _SPARES:
        _spares.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))


class Session:
    """A context that is kept, with its socket, in the network namespace in which it is first used.

    The kernel waits for an RCU grace period (8 to 16 ms) when the socket of somebody who deleted something is
    closed: who deletes often keeps it open. A child that was forked gets a context of its own.
    """

    __slots__ = ("_context", "_kept", "_pid")

    def __init__(self, *, kept: bool = True) -> None:
        self._kept = kept
        self._context: Any = None
        self._pid = 0

    def run(self, commands: str, *, json: bool = False) -> str:
        """Run commands as one transaction and return their output.

        A listing has to be alone: libnftables 1.0 reads only what its last command lists. Failures are
        OSErrors with an errno that callers can tell apart, or Unavailable where there is no nftables.
        """
        if not load():
            status, output, error = _run_command(commands, json)
        else:
            status, output, error = self._run_library(commands, json)
        if status:
            raise _failure(error)
        return output

    def close(self) -> None:
        """Close the socket; the session can be used again, which opens another."""
        if self._context is not None and self._pid == os.getpid():
            _library.nft_ctx_free(self._context)
        self._context = None

    def __del__(self) -> None:
        self.close()

    def _run_library(self, commands: str, json: bool) -> tuple[int, str, str]:
        if self._context is None or self._pid != os.getpid():
            before = _sockets() if self._kept else set()
            self._context = _new_context()
            self._pid = os.getpid()
            # libmnl's socket would be inherited by every program that is executed later.
            for fd in _sockets() - before if self._kept else ():
                os.set_inheritable(fd, False)
        if self._context is None:
            return 1, "", "Operation not permitted: no netlink socket"
        # Numeric everywhere: names of services and protocols would be read from the machine's files.
        flags = _OUTPUT_NUMERIC | (_OUTPUT_JSON if json else 0)
        _library.nft_ctx_output_set_flags(self._context, flags)
        status = _library.nft_run_cmd_from_buffer(self._context, commands.encode())
        output = _library.nft_ctx_get_output_buffer(self._context).decode(errors="replace")
        error = _library.nft_ctx_get_error_buffer(self._context).decode(errors="replace")
        return status, output, error


def run(commands: str, *, json: bool = False) -> str:
    """Run commands in the network namespace that the calling thread is in now.

    Through a session of their own.
    """
    session = Session(kept=False)
    try:
        return session.run(commands, json=json)
    finally:
        session.close()


def _new_context() -> Any:
    has_spares = bool(_spares)
    while _spares:
        os.close(_spares.pop())
    context = _library.nft_ctx_new(0)
    if has_spares:
        _spare()
    if context:
        _library.nft_ctx_buffer_output(context)
        _library.nft_ctx_buffer_error(context)
    return context or None


def _sockets() -> set[int]:
    """Return the inheritable sockets among our descriptors."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:") and os.get_inheritable(int(name)):
                found.add(int(name))
        except OSError:
            continue  # the descriptor of the listing itself
    return found


def _run_command(commands: str, json: bool) -> tuple[int, str, str]:
    import subprocess

    # With -j, a batch on standard input would have to be JSON itself; a listing is one command anyway.
    arguments = ["nft", "-n", "-j", commands.strip()] if json else ["nft", "-n", "-f", "-"]
    try:
        done = subprocess.run(
            arguments, input=commands, capture_output=True, text=True, check=False, env={"PATH": _PATH}
        )
    except FileNotFoundError:
        from composer.errors import Unavailable

        raise Unavailable(
            "nftables is not installed: neither libnftables.so.1 nor the nft command is there",
            hint="install it: apt-get install nftables (or dnf, apk)",
        ) from None
    return done.returncode, done.stdout, done.stderr


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _failure(text: str) -> OSError:
    first = text.strip().splitlines()[0] if text.strip() else "no reason given"
    number = next((code for words, code in _REASONS if words in first), errno.EINVAL)
    return OSError(number, f"nftables failed: {first.removeprefix('Error: ')}")
