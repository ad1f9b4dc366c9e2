"""Device access on cgroup v2, where there is no devices controller: a small eBPF program per container.

Without it a container with MKNOD could make a node of the host's disk and read it. The program is the list of
OCI's `linux.resources.devices`, last matching rule first; it is loaded with bpf(2) and attached to the cgroup.
Format: the kernel's bpf_cgroup_dev_ctx (access_type = access << 16 | type, major, minor).
"""

from __future__ import annotations

import ctypes
import os
import struct

from composer.runtime.base import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_SYS_BPF = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine, 280)
_PROG_LOAD, _PROG_ATTACH = 5, 8
_TYPE_CGROUP_DEVICE, _ATTACH_CGROUP_DEVICE = 15, 6
_ACCESS = {"m": 1, "r": 2, "w": 4}
_KINDS = {"b": 1, "c": 2}

_DECISION = 2  # instructions that set the answer and leave

# Opcodes of linux/bpf.h: class | operation | source.
_LOAD_WORD, _AND, _SHIFT_RIGHT, _MOVE_IMMEDIATE, _MOVE = 0x61, 0x54, 0x74, 0xB4, 0xBC
_JUMP_UNLESS_EQUAL, _JUMP_UNLESS_EQUAL_REGISTER, _EXIT = 0x56, 0x5E, 0x95


def assemble(rules: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the program. r2 is the device's kind, r3 the wanted access, r4 and r5 its numbers."""
    program = [
        _instruction(_LOAD_WORD, 2, 1, 0),
        _instruction(_MOVE, 3, 2),
        _instruction(_AND, 2, immediate=0xFFFF),
        _instruction(_SHIFT_RIGHT, 3, immediate=16),
        _instruction(_LOAD_WORD, 4, 1, 4),
        _instruction(_LOAD_WORD, 5, 1, 8),
    ]
    for rule in reversed(rules):
        compiled = _rule(rule)
        program += compiled
        if len(compiled) == _DECISION:
            return b"".join(program)  # it fits everything: the verifier refuses code that nothing reaches
    program += [_instruction(_MOVE_IMMEDIATE, 0, immediate=0), _instruction(_EXIT)]
    return b"".join(program)


def _rule(rule: Mapping[str, Any]) -> list[bytes]:
    """Compare one rule; each comparison that fails jumps behind it."""
    tests: list[tuple[int, int, int, int]] = []
    if rule.get("type", "a") in _KINDS:
        tests.append((_JUMP_UNLESS_EQUAL, 2, 0, _KINDS[rule["type"]]))
    for register, key in ((4, "major"), (5, "minor")):
        number = rule.get(key)
        if number is not None and number >= 0:
            tests.append((_JUMP_UNLESS_EQUAL, register, 0, number))
    wanted = sum(_ACCESS[letter] for letter in set(rule.get("access") or "rwm"))
    prepare: list[bytes] = []
    if wanted != 7:
        # All of the wanted access must be in the rule's: (access & rule) == access.
        prepare = [_instruction(_MOVE, 6, 3), _instruction(_AND, 6, immediate=wanted)]
    decision = [_instruction(_MOVE_IMMEDIATE, 0, immediate=int(bool(rule["allow"]))), _instruction(_EXIT)]
    body = len(prepare) + (1 if prepare else 0) + len(decision)
    found = []
    for position, (code, register, source, immediate) in enumerate(tests):
        found.append(_instruction(code, register, source, len(tests) - position - 1 + body, immediate))
    found += prepare
    if prepare:
        found.append(_instruction(_JUMP_UNLESS_EQUAL_REGISTER, 6, 3, len(decision)))
    return found + decision


def _instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("=BBhI", code, target | source << 4, offset, immediate & 0xFFFFFFFF)


def attach(cgroup: str, rules: Sequence[Mapping[str, Any]]) -> None:
    """Load the program and attach it to a v2 cgroup, which then holds it. Raises OSError with the reason."""
    program = load(rules)
    directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        attribute = struct.pack("=IIII", directory, program, _ATTACH_CGROUP_DEVICE, 0)
        _bpf(_PROG_ATTACH, attribute, f"cannot limit devices of {cgroup}")
    finally:
        os.close(directory)
        os.close(program)


def load(rules: Sequence[Mapping[str, Any]]) -> int:
    """Return a descriptor of the loaded program."""
    code = assemble(rules)
    code_buffer = ctypes.create_string_buffer(code, len(code))
    license = ctypes.create_string_buffer(b"Apache-2.0")
    attribute = struct.pack(
        "=IIQQIIQ",
        _TYPE_CGROUP_DEVICE,
        len(code) // 8,
        ctypes.addressof(code_buffer),
        ctypes.addressof(license),
        0,
        0,
        0,
    )
    return _bpf(_PROG_LOAD, attribute, "cannot load a device filter")


def _bpf(command: int, attribute: bytes, what: str) -> int:
    buffer = ctypes.create_string_buffer(attribute.ljust(128, b"\0"), 128)
    result = syscalls.libc.syscall(_SYS_BPF, command, buffer, ctypes.c_uint(128))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return int(result)
