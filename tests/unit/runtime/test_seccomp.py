"""Compiled filters against libseccomp's, call by call, and Docker's rules for what is in a profile."""

from __future__ import annotations

import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.errors import Unsupported
from composer.runtime.base import capabilities
from composer.runtime.container import seccomp, seccomp_numbers
from tests.unit.runtime.bpf import ARCH, Filter, libseccomp, oracle

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0, 0x50001, 0x50026
KERNEL = (6, 18)
ADMIN = capabilities.DEFAULT | {"SYS_ADMIN"}
EVERYTHING = ADMIN | {
    "SYS_PTRACE",
    "SYS_MODULE",
    "SYS_TIME",
    "SYS_NICE",
    "SYS_RAWIO",
    "BPF",
    "PERFMON",
    "SYSLOG",
}

library = libseccomp()
SOCKETCALL = 102
needs_library = pytest.mark.skipif(library is None, reason="libseccomp.so.2 is not installed")

# What distinguishes the conditional rules: families, personalities, clone's flags, and the upper halves.
ARGUMENTS = sorted(
    {0, 1, 2, 8, 16, 37, 38, 39, 40, 41, 0x20000, 0x20008, 0x10000000, 0x7E020000, 0xFFFFFFFF, 17, 0x1200011}
    | {(1 << 32) | value for value in (0, 8, 38, 40)}
    | {2**64 - 1}
)


def _compiled(
    capabilities_: frozenset[str], arch: str = "x86_64", kernel: tuple[int, int] = KERNEL
) -> Filter:
    return Filter(
        seccomp.compile(seccomp.default_profile(), arch=arch, capabilities=capabilities_, kernel=kernel)
    )


def _docker_rules(
    held: frozenset[str], go_arch: str = "amd64"
) -> list[tuple[str, int, list[dict[str, int]]]]:
    """Docker's own selection, written a second time and differently: by groups and names."""
    rules = []
    for group in seccomp.default_profile()["syscalls"]:
        needs = {name.removeprefix("CAP_") for name in group.get("includes", {}).get("caps", [])}
        shuns = {name.removeprefix("CAP_") for name in group.get("excludes", {}).get("caps", [])}
        arches = group.get("includes", {}).get("arches", [go_arch])
        if needs - held or shuns & held or go_arch not in arches:
            continue
        action = ALLOW if group["action"] == "SCMP_ACT_ALLOW" else 0x50000 | group["errnoRet"]
        rules += [(name, action, group.get("args", [])) for name in group["names"]]
    return rules


@needs_library
@pytest.mark.parametrize(
    "held", [capabilities.DEFAULT, ADMIN, EVERYTHING, frozenset()], ids=["docker", "admin", "all", "none"]
)
@pytest.mark.parametrize("abi", ["x86_64", "x86", "aarch64", "arm"])
def test_every_call_gets_libseccomps_verdict(abi, held):
    """Over all numbers, with the arguments that matter where a rule looks at them."""
    machine, go_arch = ("x86_64", "amd64") if abi.startswith("x86") else ("aarch64", "arm64")
    ours = _compiled(held, machine)
    rules = [rule for rule in _docker_rules(held, go_arch) if rule[0] != "socketcall"]
    theirs, known = oracle(library, abi, EPERM, rules)
    numbers = seccomp_numbers.numbers(abi)
    newer = {
        number
        for name, number in numbers.items()
        if name not in known and (number > 440 or name == "uretprobe")
    }
    conditional = {numbers.get(name) for name in ("socket", "personality", "clone")}
    compared = 0
    for number in range(467):
        if number in newer or (abi == "x86" and number == SOCKETCALL):
            continue  # libseccomp lets socketcall make what socket may, of whatever family
        for argument in ARGUMENTS if number in conditional else (0,):
            if abi in ("x86", "arm") and argument >> 32:
                continue  # a 32-bit call has no upper half
            ours_says = ours.run(ARCH[abi], number, (argument,))
            assert ours_says == theirs.run(ARCH[abi], number, (argument,)), (number, hex(argument))
            compared += 1
    assert compared > 450


def test_calls_that_libseccomp_is_too_old_for_have_the_kernels_numbers():
    ours = _compiled(capabilities.DEFAULT)
    for name, number in {
        "cachestat": 451,
        "fchmodat2": 452,
        "futex_wait": 455,
        "statmount": 457,
        "mseal": 462,
    }.items():
        assert seccomp_numbers.numbers("x86_64")[name] == number
        assert ours.run(ARCH["x86_64"], number) == ALLOW
    assert ours.run(ARCH["x86_64"], 459) == EPERM  # lsm_get_self_attr needs SYS_ADMIN
    assert _compiled(ADMIN).run(ARCH["x86_64"], 459) == ALLOW


def test_calls_newer_than_the_profile_do_not_exist():
    """ENOSYS makes a C library fall back; EPERM would make it fail."""
    ours = _compiled(capabilities.DEFAULT)
    for number in (467, 500, 100_000, 0x3FFFFFFF):
        assert ours.run(ARCH["x86_64"], number) == ENOSYS
    assert ours.run(ARCH["x86"], 467) == ENOSYS
    assert ours.run(ARCH["x86_64"], 0xFFFFFFFF) == ENOSYS


def test_x32_calls_have_the_same_rules_under_their_own_numbers():
    ours = _compiled(capabilities.DEFAULT)
    bit = 0x40000000
    assert ours.run(ARCH["x86_64"], bit | 0) == ALLOW  # read
    assert ours.run(ARCH["x86_64"], bit | 514) == ALLOW  # ioctl, x32's own
    assert ours.run(ARCH["x86_64"], bit | 16) == EPERM  # ioctl of x86_64 is no call of x32
    assert ours.run(ARCH["x86_64"], bit | 165) == EPERM  # mount
    assert ours.run(ARCH["x86_64"], bit | 41, (38,)) == EPERM
    assert ours.run(ARCH["x86_64"], bit | 41, (2,)) == ALLOW


@pytest.mark.parametrize("held", [capabilities.DEFAULT, EVERYTHING], ids=["docker", "all"])
def test_no_socket_of_32_bit_programs_goes_past_the_look_at_its_family(held):
    """The family that socketcall gets is behind a pointer; a connection of an existing socket is none of this."""
    ours = _compiled(held)
    assert ours.run(ARCH["x86"], SOCKETCALL, (1,)) == ENOSYS  # SYS_SOCKET: the C library tries socket(2)
    assert ours.run(ARCH["x86"], SOCKETCALL, (0,)) == EPERM
    assert {ours.run(ARCH["x86"], SOCKETCALL, (call,)) for call in range(2, 21)} == {ALLOW}
    assert [ours.run(ARCH["x86"], 359, (family,)) for family in (2, 38, 40)] == [ALLOW, EPERM, EPERM]


def test_another_architecture_is_killed():
    ours = _compiled(capabilities.DEFAULT)
    assert ours.run(ARCH["aarch64"], 0) == KILL
    assert ours.run(0, 0) == KILL
    own_only = dict(seccomp.default_profile(), archMap=[])
    strict = Filter(seccomp.compile(own_only, arch="x86_64", capabilities=(), kernel=KERNEL))
    assert strict.run(ARCH["x86"], 3) == KILL
    assert strict.run(ARCH["x86_64"], 0x40000000) == KILL
    assert strict.run(ARCH["x86_64"], 0) == ALLOW


def test_kernel_version_decides_about_ptrace():
    number = seccomp_numbers.numbers("x86_64")["ptrace"]
    assert _compiled(capabilities.DEFAULT, kernel=(4, 7)).run(ARCH["x86_64"], number) == EPERM
    assert _compiled(capabilities.DEFAULT, kernel=(4, 8)).run(ARCH["x86_64"], number) == ALLOW
    assert _compiled(capabilities.DEFAULT, kernel=(4, 10)).run(ARCH["x86_64"], number) == ALLOW


_CONDITIONS = st.lists(
    st.fixed_dictionaries(
        {
            "index": st.integers(0, 5),
            "op": st.sampled_from(["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]).map(
                "SCMP_CMP_{}".format
            ),
            "value": st.sampled_from([0, 1, 7, 0xFFFFFFFF, 1 << 32, (1 << 32) | 7, 2**64 - 1]),
            "valueTwo": st.sampled_from([0, 1, 7, 1 << 32]),
        }
    ),
    max_size=3,
)


def _holds(condition, arguments):
    value, against = arguments[condition["index"]], condition["value"]
    return {
        "NE": value != against,
        "LT": value < against,
        "LE": value <= against,
        "EQ": value == against,
        "GE": value >= against,
        "GT": value > against,
        "MASKED_EQ": value & against == condition["valueTwo"],
    }[condition["op"].removeprefix("SCMP_CMP_")]


@settings(deadline=None, max_examples=150)
@given(
    groups=st.lists(st.tuples(st.sampled_from(["read", "write", "close", "mount"]), _CONDITIONS), max_size=8),
    arguments=st.lists(
        st.sampled_from([0, 1, 6, 7, 8, 0xFFFFFFFF, 1 << 32, (1 << 32) | 7, (7 << 32) | 1, 2**64 - 1]),
        min_size=6,
        max_size=6,
    ),
)
def test_a_call_is_allowed_when_all_conditions_of_one_of_its_rules_hold(groups, arguments):
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{"names": [n], "action": "SCMP_ACT_ALLOW", "args": args} for n, args in groups],
    }
    ours = Filter(seccomp.compile(profile, arch="x86_64", capabilities=(), kernel=KERNEL))
    numbers = seccomp_numbers.numbers("x86_64")
    newest = max((numbers[name] for name, _ in groups), default=0)
    for name in ("read", "write", "close", "mount"):
        allowed = any(n == name and all(_holds(one, arguments) for one in args) for n, args in groups)
        denied = EPERM if numbers[name] <= newest else ENOSYS
        assert ours.run(ARCH["x86_64"], numbers[name], arguments) == (ALLOW if allowed else denied)


def test_a_custom_profile_in_every_form_of_dockers_json():
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_PPC64LE"],
        "syscalls": [
            {"name": "mkdir", "action": "SCMP_ACT_ERRNO", "args": None},
            {"names": ["rmdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0, "includes": {}, "excludes": None},
            {"names": ["kexec_load"], "action": "SCMP_ACT_KILL_PROCESS"},
            {"names": ["chmod"], "action": "SCMP_ACT_TRAP", "includes": {"arches": ["arm64"]}},
            {"names": ["no_such_call_ever"], "action": "SCMP_ACT_TRAP"},
        ],
    }
    ours = Filter(seccomp.compile(profile, arch="x86_64", capabilities=(), kernel=KERNEL))
    verdicts = [ours.run(ARCH["x86_64"], number) for number in (83, 84, 246, 90, 0, 999)]
    assert verdicts == [EPERM, 0x50000, 0x80000000, ALLOW, ALLOW, ALLOW]


def _read(**more: object) -> dict[str, object]:
    return {"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", **more}]}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"defaultAction": "SCMP_ACT_NOTIFY"}, "SCMP_ACT_NOTIFY"),
        (_read(action="ALLOW"), "'ALLOW'"),
        (_read(args=[{"index": 6, "op": "SCMP_CMP_EQ"}]), "'6'"),
        (_read(args=[{"index": 0, "op": "=="}]), "'=='"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(change, named):
    profile = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [], **change}
    with pytest.raises(Unsupported, match=named):
        seccomp.compile(profile, arch="x86_64", capabilities=(), kernel=KERNEL)


def test_a_cached_filter_is_found_again_and_a_damaged_one_is_not(tmp_path):
    tmp_path /= "made on demand"
    first = seccomp.FilterCache(str(tmp_path)).get(None, capabilities.DEFAULT)
    (stored,) = tmp_path.iterdir()
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    # Put another whole filter in its place: it is believed, which shows that the file is what is read.
    other = seccomp.compile(
        seccomp.default_profile(), arch=os.uname().machine, capabilities=(), kernel=KERNEL
    )
    seccomp._store(str(stored), other)
    assert seccomp.FilterCache(str(tmp_path)).get(None, capabilities.DEFAULT) == other
    stored.write_bytes(stored.read_bytes()[:-8])
    assert seccomp.FilterCache(str(tmp_path)).get(None, sorted(capabilities.DEFAULT)) == first
    assert seccomp.FilterCache(str(tmp_path)).get(None, ADMIN) != first
    assert len(list(tmp_path.iterdir())) == 2


def test_a_filter_fits_into_the_kernel():
    for held in (capabilities.DEFAULT, EVERYTHING):
        code = seccomp.compile(seccomp.default_profile(), arch="x86_64", capabilities=held, kernel=KERNEL)
        assert len(code) // 8 < 1000
