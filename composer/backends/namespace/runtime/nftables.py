"""Run nftables commands: libnftables through ctypes (a tenth of a millisecond), or the ``nft`` command where
that is missing.

One call is one atomic batch in the network namespace of the calling thread: a context is made per call, since
it keeps a socket of the namespace in which it was made. Spec: libnftables(3), nft(8).
"""

from __future__ import annotations

import ctypes
import errno

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
    return True


def run(commands: str, *, json: bool = False, command: bool = False) -> str:
    """Run commands as one transaction and return their output; OSError with an errno that callers can tell
    apart.

    ``command`` forces the nft program, for tests and for machines whose library is broken.
    """
    if not command and load():
        status, output, error = _run_library(commands, json)
    else:
        status, output, error = _run_command(commands, json)
    if status:
        raise _failure(error)
    return output


def _run_library(commands: str, json: bool) -> tuple[int, str, str]:
    context = _library.nft_ctx_new(0)
    if not context:
        return 1, "", "Operation not permitted: no netlink socket"
    try:
        _library.nft_ctx_buffer_output(context)
        _library.nft_ctx_buffer_error(context)
        # Numeric everywhere: names of services and protocols would be read from the machine's files.
        _library.nft_ctx_output_set_flags(context, _OUTPUT_NUMERIC | (_OUTPUT_JSON if json else 0))
        status = _library.nft_run_cmd_from_buffer(context, commands.encode())
        output = _library.nft_ctx_get_output_buffer(context).decode(errors="replace")
        return status, output, _library.nft_ctx_get_error_buffer(context).decode(errors="replace")
    finally:
        _library.nft_ctx_free(context)


def _run_command(commands: str, json: bool) -> tuple[int, str, str]:
    import subprocess

    # With -j, a batch on standard input would have to be JSON itself; a listing is one command anyway.
    arguments = ["nft", "-n", "-j", commands.strip()] if json else ["nft", "-n", "-f", "-"]
    try:
        done = subprocess.run(
            arguments, input=commands, capture_output=True, text=True, check=False, env={"PATH": _PATH}
        )
    except FileNotFoundError:
        return 1, "", "Operation not supported: neither libnftables.so.1 nor the nft command is there"
    return done.returncode, done.stdout, done.stderr


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _failure(text: str) -> OSError:
    first = text.strip().splitlines()[0] if text.strip() else "no reason given"
    number = next((code for words, code in _REASONS if words in first), errno.EINVAL)
    return OSError(number, f"nftables refused: {first.removeprefix('Error: ')}")
