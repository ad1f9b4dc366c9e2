"""Capabilities and seccomp as the kernel applies them, in a child."""

from __future__ import annotations

import ctypes
import errno
import os
import pickle
import socket
import time
from collections.abc import Callable

import pytest

from composer.backends.namespace.runtime import capabilities, seccomp

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
def test_installing_a_ready_filter_is_fast():
    filter = seccomp.FilterCache().get(None, capabilities.DEFAULT)

    def confine() -> float:
        start = time.perf_counter()
        seccomp.install(filter)
        return time.perf_counter() - start

    took = min(_in_child(confine) for _ in range(5))
    print(f"install: {took * 1000:.2f} ms, {len(filter) // 8} instructions")
    assert took < 0.05
