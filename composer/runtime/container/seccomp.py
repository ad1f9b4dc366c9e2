"""Seccomp profiles to BPF: Docker's default profile and Docker's JSON format, without libseccomp.

The filter depends on the profile, the architecture, the container's capabilities and the kernel's version,
and on nothing else, so it is compiled once and kept by digest. Spec: seccomp(2); the JSON is that of
moby/profiles. `seccomp_assembler` makes the code.
"""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from composer.runtime.container.seccomp_assembler import Condition, Rules

    Profile = Mapping[str, Any]

# A digest made by other code must not be found: count up when the generated code changes.
_VERSION = 1

_ARCHITECTURES = {  # os.uname().machine: (name in SCMP_ARCH_*, Go's name, which profiles use for arches)
    "x86_64": ("X86_64", "amd64"),
    "aarch64": ("AARCH64", "arm64"),
}
_ABIS = {"X86_64": "x86_64", "X32": "x32", "X86": "x86", "AARCH64": "aarch64", "ARM": "arm"}
_ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_WITH_ERRNO = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
_PERMISSIVE = ("SCMP_ACT_LOG", "SCMP_ACT_ALLOW")
_EPERM, _ENOSYS = 1, 38
_OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")

_SET_MODE_FILTER = 1
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}
_EINVAL, _ENOSYS_ERRNO = 22, 38


def default_profile() -> Profile:
    """Return Docker's default profile in Docker's JSON shape."""
    from composer.runtime.container import seccomp_profile

    return seccomp_profile.profile()


def compile(profile: Profile, *, arch: str, capabilities: Iterable[str], kernel: tuple[int, int]) -> bytes:
    """Return the filter as an array of ``struct sock_filter``.

    ``arch`` is ``os.uname().machine``; ``capabilities`` are without ``CAP_``. Raises Unsupported, naming what
    a profile asks for that cannot be honoured.
    """
    from composer.runtime.container import seccomp_assembler, seccomp_numbers

    if arch not in _ARCHITECTURES:
        raise _unsupported(f"seccomp filters are not supported on architecture '{arch}'")
    default = _action(profile, "defaultAction", "defaultErrnoRet", _EPERM)
    groups = [
        group
        for group in profile.get("syscalls") or ()
        if _applies(group, _ARCHITECTURES[arch][1], frozenset(capabilities), kernel)
    ]
    tables = {}
    for abi in _abis(profile, arch):
        known = seccomp_numbers.numbers(abi)
        rules, newest = _rules(groups, known, default, profile)
        tables[abi] = seccomp_assembler.Table(rules, default, _unknown(profile, default), newest)
    return seccomp_assembler.assemble(tables)


class FilterCache:
    """Compiled filters by digest, in memory and, given a directory, in files there.

    Files are 0600 and written by rename; one that does not carry the digest of its own content is not used.
    """

    def __init__(self, directory: str | None = None) -> None:
        self._directory = directory
        self._filters: dict[object, bytes] = {}

    def get(self, profile: Profile | None, capabilities: Iterable[str]) -> bytes:
        """Return the filter for this machine; ``profile`` None is the default one."""
        names = tuple(sorted(capabilities))
        key = (None if profile is None else _canonical(profile), names)
        found = self._filters.get(key)
        if found is None:
            found = self._filters[key] = self._stored(profile, names)
        return found

    def _stored(self, profile: Profile | None, names: tuple[str, ...]) -> bytes:
        system = os.uname()
        kernel = _version(system.release)
        if self._directory is None:
            return compile(
                profile or default_profile(), arch=system.machine, capabilities=names, kernel=kernel
            )
        text = "default" if profile is None else _canonical(profile)
        digest = _digest(repr((_VERSION, text, system.machine, names, kernel)).encode())
        path = f"{self._directory}/seccomp-{digest}"
        found = _load(path)
        if found is None:
            found = compile(
                profile or default_profile(), arch=system.machine, capabilities=names, kernel=kernel
            )
            _store(path, found)
        return found


def install(filter: bytes, *, flags: int = 4) -> None:
    """Install a filter on the calling thread, for good. Needs no_new_privs or CAP_SYS_ADMIN.

    ``flags`` are SECCOMP_FILTER_FLAG_*; 4 is SPEC_ALLOW, as runc has it. Imports nothing: safe after a fork.
    """
    buffer = ctypes.create_string_buffer(filter, len(filter))
    program = _Program(len(filter) // 8, ctypes.addressof(buffer))
    number = _SYS_SECCOMP.get(os.uname().machine, -1)
    pointer = ctypes.byref(program)
    if number >= 0:
        if _libc.syscall(number, _SET_MODE_FILTER, flags, pointer) == 0:
            return
        unknown_flags = bool(flags) and ctypes.get_errno() == _EINVAL
        if unknown_flags and _libc.syscall(number, _SET_MODE_FILTER, 0, pointer) == 0:
            return
        if ctypes.get_errno() != _ENOSYS_ERRNO:
            raise OSError(ctypes.get_errno(), "cannot install the seccomp filter")
    if _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, pointer, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot install the seccomp filter")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


_libc = ctypes.PyDLL(None, use_errno=True)


# ------------------------------------------------------------------ reading profiles


def _applies(group: Profile, go_arch: str, held: frozenset[str], kernel: tuple[int, int]) -> bool:
    includes, excludes = group.get("includes") or {}, group.get("excludes") or {}
    caps = {f"CAP_{name}" for name in held}
    if not caps.issuperset(includes.get("caps") or ()) or not caps.isdisjoint(excludes.get("caps") or ()):
        return False
    if includes.get("arches") and go_arch not in includes["arches"]:
        return False
    if go_arch in (excludes.get("arches") or ()):
        return False
    if includes.get("minKernel") and kernel < _version(includes["minKernel"]):
        return False
    return not (excludes.get("minKernel") and kernel >= _version(excludes["minKernel"]))


def _abis(profile: Profile, arch: str) -> list[str]:
    """Return the ABIs that the filter lets in, the machine's own first."""
    own = _ARCHITECTURES[arch][0]
    named = list(profile.get("architectures") or ())
    for entry in profile.get("archMap") or ():
        if entry["architecture"] == f"SCMP_ARCH_{own}":
            named += [entry["architecture"], *(entry.get("subArchitectures") or ())]
    # What this machine cannot execute needs no rules: profiles list every architecture there is.
    family = ("X86_64", "X32", "X86") if arch == "x86_64" else ("AARCH64", "ARM")
    return [_ABIS[name] for name in family if name == own or f"SCMP_ARCH_{name}" in named]


def _rules(
    groups: list[Profile], known: Mapping[str, int], default: int, profile: Profile
) -> tuple[dict[int, Rules], int]:
    """Return for each number its conditional rules and what holds without one.

    And the newest number that is named.
    """
    rules: dict[int, Rules] = {}
    newest = 0
    for group in groups:
        action = _action(group, "action", "errnoRet", profile.get("defaultErrnoRet") or _EPERM)
        conditions = tuple(_condition(argument) for argument in group.get("args") or ())
        for name in group.get("names") or [group.get("name")]:
            number = known.get(name)
            if number is None:
                continue  # another architecture's, or one that we are too old to know
            newest = max(newest, number) if number & 0xFFFFF < 0xF0000 else newest
            if action == default:
                continue
            conditional, always = rules.get(number, ((), None))
            if conditions:
                conditional = (*conditional, (conditions, action))
            elif always is None:
                always = action
            rules[number] = (conditional, always)
    # The same action with and without a condition: the condition says nothing.
    return {
        number: (tuple(rule for rule in conditional if rule[1] != always), always)
        for number, (conditional, always) in rules.items()
    }, newest


def _condition(argument: Profile) -> Condition:
    operator = str(argument.get("op", "")).removeprefix("SCMP_CMP_")
    index = argument.get("index", 0)
    if operator not in _OPERATORS or not isinstance(index, int) or not 0 <= index <= 5:
        raise _unsupported(
            f"unsupported condition in seccomp profile: argument '{index}', operator '{argument.get('op')}'"
        )
    value, second = int(argument.get("value") or 0), int(argument.get("valueTwo") or 0)
    return index, operator, value & (2**64 - 1), second & (2**64 - 1)


def _action(entry: Profile, key: str, errno_key: str, errno: int) -> int:
    name = str(entry.get(key, ""))
    if name not in _ACTIONS:
        raise _unsupported(f"unsupported action '{name}' in seccomp profile")
    if name not in _WITH_ERRNO:
        return _ACTIONS[name]
    given = entry.get(errno_key)
    return _ACTIONS[name] | ((errno if given is None else int(given)) & 0xFFFF)


def _unknown(profile: Profile, default: int) -> int:
    """Return the action for calls newer than any that the profile names.

    ENOSYS, so that a C library falls back to an older call; EPERM would be taken for an answer (as runc
    does).
    """
    if profile.get("defaultAction") in _PERMISSIVE:
        return default
    return _ACTIONS["SCMP_ACT_ERRNO"] | _ENOSYS


def _version(text: str) -> tuple[int, int]:
    major, _, rest = text.partition(".")
    minor = ""
    for character in rest:
        if not character.isdecimal():
            break
        minor += character
    return int(major), int(minor or 0)


def _unsupported(message: str) -> Exception:
    from composer.errors import Unsupported

    return Unsupported(
        "security_opt", message, hint="change the profile, or use security_opt: seccomp=unconfined"
    )


# ------------------------------------------------------------------ the cache's files


def _canonical(profile: Profile) -> str:
    import json

    return json.dumps(profile, sort_keys=True, separators=(",", ":"))


def _digest(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def _load(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return None
    digest, filter = data[:64], data[64:]
    whole = len(filter) % 8 == 0 and digest.decode(errors="replace") == _digest(filter)
    return filter if whole and filter else None


def _store(path: str, filter: bytes) -> None:
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(_digest(filter).encode() + filter)
    os.replace(temporary, path)
