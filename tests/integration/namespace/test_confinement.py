"""Capabilities and seccomp as the kernel applies them, in a child."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import pickle
import socket
import struct
import sys
from collections.abc import Callable

import pytest

from composer.runtime.base import capabilities
from composer.runtime.container import seccomp

pytestmark = pytest.mark.root
if os.geteuid() != 0:
    pytest.skip("needs root", allow_module_level=True)

libc = ctypes.PyDLL(None, use_errno=True)
NR = {"x86_64": {"clone3": 435, "unshare": 272, "personality": 135, "mount": 165}}.get(os.uname().machine)
x86_64 = pytest.mark.skipif(NR is None, reason="the numbers below are those of x86_64")


def _in_child(function: Callable[[], object]) -> object:
    """Return what ``function`` returns in a forked child, or raise what it raised there."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            try:
                outcome: object = (True, function())
            except BaseException as error:
                outcome = (False, error)
            os.write(write, pickle.dumps(outcome))
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(pid, 0)
    if not data:
        return ("died", status)
    good, value = pickle.loads(data)
    if not good:
        raise value
    return value


def _status() -> dict[str, int]:
    with open("/proc/self/status", encoding="ascii") as file:
        rows = dict(line.rstrip("\n").split(":\t", 1) for line in file if line.startswith("Cap"))
    return {name: int(value, 16) for name, value in rows.items()}


def test_a_container_has_exactly_its_capabilities_and_no_inheritable_ones():
    """CVE-2022-24769: inheritable capabilities would come back through a file that has them too."""

    def confine() -> dict[str, int]:
        capabilities.drop_bounding(capabilities.DEFAULT)
        capabilities.apply(capabilities.DEFAULT)
        return _status()

    want = capabilities.mask(capabilities.DEFAULT)
    assert _in_child(confine) == {"CapInh": 0, "CapPrm": want, "CapEff": want, "CapBnd": want, "CapAmb": 0}


def test_another_user_keeps_permitted_ones_when_asked_and_none_is_effective():
    def confine() -> dict[str, int]:
        capabilities.drop_bounding(frozenset({"NET_RAW"}))
        libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
        os.setresuid(65534, 65534, 65534)
        capabilities.apply(frozenset({"NET_RAW"}), effective=frozenset())
        return _status()

    raw = capabilities.mask(["NET_RAW"])
    assert _in_child(confine) == {"CapInh": 0, "CapPrm": raw, "CapEff": 0, "CapBnd": raw, "CapAmb": 0}


def test_what_a_thread_has_not_it_cannot_take():
    def confine() -> None:
        capabilities.apply(frozenset({"CHOWN"}))
        capabilities.apply(frozenset({"CHOWN", "SYS_ADMIN"}))

    with pytest.raises(PermissionError, match="cannot set the capabilities"):
        _in_child(confine)


def _call(name: str, *arguments: int) -> int:
    """Return the errno of a system call, 0 when it succeeded."""
    assert NR is not None
    ctypes.set_errno(0)
    return ctypes.get_errno() if libc.syscall(NR[name], *map(ctypes.c_ulong, arguments)) < 0 else 0


def _family(family: int) -> int:
    try:
        socket.socket(
            family, socket.SOCK_STREAM if family == socket.AF_UNIX else socket.SOCK_SEQPACKET
        ).close()
    except OSError as error:
        return error.errno or 0
    return 0


@x86_64
def test_the_default_filter_in_the_kernel():
    filter = seccomp.FilterCache().get(None, capabilities.DEFAULT)

    def confine() -> dict[str, int]:
        seccomp.install(filter)
        return {
            "clone3": _call("clone3", 0, 0),
            "unshare": _call("unshare", 0),
            "mount": _call("mount", 0, 0, 0, 0, 0),
            "personality": _call("personality", 0x0040000),
            "personality query": _call("personality", 0xFFFFFFFF),
            "AF_ALG": _family(socket.AF_ALG),
            "AF_UNIX": _family(socket.AF_UNIX),
            "newer than everything": errno.ENOSYS if libc.syscall(900) else 0,
            "fork": 0 if os.waitpid(os.fork() or os._exit(0), 0)[1] == 0 else 1,
        }

    assert _in_child(confine) == {
        "clone3": errno.ENOSYS,
        "unshare": errno.EPERM,
        "mount": errno.EPERM,
        "personality": errno.EPERM,
        "personality query": 0,
        "AF_ALG": errno.EPERM,
        "AF_UNIX": 0,
        "newer than everything": errno.ENOSYS,
        "fork": 0,
    }


def _socketcall(family: int) -> int:
    """Make a socket as a 32-bit program does: int 0x80 with eax 102, ebx 1 and three numbers at ecx; the errno."""
    low = 0x40  # MAP_32BIT: such a program's pointers have 32 bits
    page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | low, 7)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    page[2048:2060] = struct.pack("=3I", family, socket.SOCK_SEQPACKET, 0)
    registers = b"\xb8" + struct.pack("=I", 102) + b"\xbb" + struct.pack("=I", 1)
    registers += b"\xb9" + struct.pack("=I", address + 2048)
    code = b"\x53" + registers + b"\xcd\x80\x5b\xc3"  # push rbx; …; int 0x80; pop rbx; ret
    page[: len(code)] = code
    returned = int(ctypes.CFUNCTYPE(ctypes.c_int)(address)())
    return -returned if returned < 0 else 0


@x86_64
@pytest.mark.parametrize("family", [38, 40], ids=["AF_ALG", "AF_VSOCK"])
def test_a_32_bit_program_gets_no_socket_of_a_family_that_is_refused(family: int):
    filter = seccomp.FilterCache().get(None, capabilities.DEFAULT)

    def confine() -> int:
        seccomp.install(filter)
        return _socketcall(family)

    assert _in_child(confine) == errno.ENOSYS


@x86_64
def test_with_sys_admin_namespaces_may_be_made():
    filter = seccomp.FilterCache().get(None, capabilities.DEFAULT | {"SYS_ADMIN"})

    def confine() -> int:
        seccomp.install(filter)
        return _call("unshare", 0x04000000)

    assert _in_child(confine) == 0


def test_without_privilege_a_filter_needs_no_new_privs():
    filter = seccomp.FilterCache().get(None, ())

    def confine(no_new_privs: bool) -> bool:
        os.setresuid(65534, 65534, 65534)
        if no_new_privs:
            libc.prctl(38, 1, 0, 0, 0)
        seccomp.install(filter)
        return True

    assert _in_child(lambda: confine(True)) is True
    with pytest.raises(PermissionError, match="seccomp filter"):
        _in_child(lambda: confine(False))


@x86_64
def test_a_ready_filter_is_installed_as_it_is(monkeypatch: pytest.MonkeyPatch):
    """Neither compiled again nor anything imported: every start pays for what happens here."""
    cache = seccomp.FilterCache()
    cache.get(None, capabilities.DEFAULT)
    monkeypatch.setattr(seccomp, "compile", None)

    def confine() -> list[str]:
        before = set(sys.modules)
        seccomp.install(cache.get(None, capabilities.DEFAULT))
        return sorted(set(sys.modules) - before)

    assert _in_child(confine) == []
