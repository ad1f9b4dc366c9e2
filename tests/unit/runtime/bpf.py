"""A classic BPF interpreter for seccomp filters, and libseccomp by ctypes: the oracle."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable, Mapping
from typing import Any

ARCH = {"x86_64": 0xC000003E, "x86": 0x40000003, "aarch64": 0xC00000B7, "arm": 0x40000028}


class Filter:
    def __init__(self, code: bytes) -> None:
        self.code = list(struct.iter_unpack("=HBBI", code))

    def run(self, arch: int, number: int, arguments: Iterable[int] = ()) -> int:
        """Return the verdict for a call; leaving the code or an unknown instruction is an error."""
        six = [*arguments, 0, 0, 0, 0, 0, 0][:6]
        data = struct.pack("=iIQ6Q", number - (1 << 32) if number >= 1 << 31 else number, arch, 0, *six)
        accumulator, position = 0, 0
        while True:
            operation, true, false, k = self.code[position]
            position += 1
            match operation:
                case 0x20:
                    assert k % 4 == 0
                    accumulator = struct.unpack_from("=I", data, k)[0]
                case 0x54:
                    accumulator &= k
                case 0x05:
                    position += k
                case 0x15:
                    position += true if accumulator == k else false
                case 0x25:
                    position += true if accumulator > k else false
                case 0x35:
                    position += true if accumulator >= k else false
                case 0x06:
                    return int(k)
                case other:
                    raise AssertionError(f"instruction {other:#x} at {position - 1}")


class _Compare(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


_OPERATORS = {"NE": 1, "LT": 2, "LE": 3, "EQ": 4, "GE": 5, "GT": 6, "MASKED_EQ": 7}


def libseccomp() -> Any:
    """Return the library with the types of what the tests call; None where it is not installed."""
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    for name, kinds in (
        ("seccomp_release", ()),
        ("seccomp_arch_add", (ctypes.c_uint32,)),
        ("seccomp_arch_remove", (ctypes.c_uint32,)),
        ("seccomp_export_bpf", (ctypes.c_int,)),
        ("seccomp_rule_add_array", (ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Compare))),
    ):
        getattr(library, name).argtypes = (ctypes.c_void_p, *kinds)
    return library


def oracle(
    library: Any, abi: str, default: int, rules: Iterable[tuple[str, int, Iterable[Mapping[str, Any]]]]
) -> tuple[Filter, set[str]]:
    """Return libseccomp's filter for one ABI, and the names that it knows. Rules are (name, action, args)."""
    context = library.seccomp_init(default)
    known = set()
    try:
        if abi != "x86_64":
            assert library.seccomp_arch_add(context, ARCH[abi]) == 0
            assert library.seccomp_arch_remove(context, ARCH["x86_64"]) == 0
        for name, action, arguments in rules:
            number = library.seccomp_syscall_resolve_name_arch(ARCH[abi], name.encode())
            # -101 to -224 are the parts of socketcall and ipc, which have numbers of their own besides.
            if number < 0 and not -300 < number < -100:
                continue
            # A rule's number is the native one's, which libseccomp then translates.
            native = library.seccomp_syscall_resolve_name(name.encode())
            known.add(name)
            compares = (_Compare * 6)()
            count = 0
            for count, one in enumerate(arguments, 1):
                operator = _OPERATORS[one["op"].removeprefix("SCMP_CMP_")]
                compares[count - 1] = _Compare(one["index"], operator, one["value"], one.get("valueTwo", 0))
            assert library.seccomp_rule_add_array(context, action, native, count, compares) == 0, name
        fd = os.memfd_create("filter")
        assert library.seccomp_export_bpf(context, fd) == 0
        os.lseek(fd, 0, os.SEEK_SET)
        code = os.read(fd, 1 << 20)
        os.close(fd)
        return Filter(code), known
    finally:
        library.seccomp_release(context)
