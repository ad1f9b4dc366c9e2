"""The eBPF device filter of cgroup v2, attached to a real cgroup and asked by a real open."""

from __future__ import annotations

import os
import pathlib
import secrets
import stat
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

from composer.runtime.container import cgroups, device_filter

pytestmark = pytest.mark.root

DENY_ALL: list[dict[str, Any]] = [
    {"allow": False, "type": "a", "access": "rwm"},
    {"allow": True, "type": "c", "access": "m"},
]
NULL = {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"}
ZERO_READ = {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "r"}
TERMINALS = {"allow": True, "type": "c", "major": 136, "access": "rwm"}


@pytest.fixture
def cgroup(request: pytest.FixtureRequest) -> Iterator[pathlib.Path]:
    unified = cgroups.detect().v2
    assert unified is not None
    path = pathlib.Path(unified, f"test-device-filter-{secrets.token_hex(4)}")
    path.mkdir()
    yield path
    path.rmdir()


def in_cgroup(cgroup: pathlib.Path, access: Callable[[], object]) -> NoReturn:
    """Go there, try it and end, whatever happens: 0, 1 where it is denied, 2 where the test could not be made."""
    code = 2
    try:
        (cgroup / "cgroup.procs").write_text("0")
        try:
            access()
            code = 0
        except PermissionError:
            code = 1
    finally:
        os._exit(code)


def attempt(cgroup: pathlib.Path, path: str, flags: int) -> bool:
    """Tell whether a process in the cgroup may open a device."""
    pid = os.fork()
    if pid == 0:
        in_cgroup(cgroup, lambda: os.open(path, flags))
    return {0: True, 1: False}[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]


@pytest.mark.parametrize(
    ("rules", "path", "flags", "allowed"),
    [
        (DENY_ALL, "/dev/null", os.O_RDONLY, False),
        ([*DENY_ALL, NULL], "/dev/null", os.O_RDWR, True),
        ([*DENY_ALL, NULL], "/dev/zero", os.O_RDONLY, False),
        ([*DENY_ALL, ZERO_READ], "/dev/zero", os.O_RDONLY, True),
        ([*DENY_ALL, ZERO_READ], "/dev/zero", os.O_RDWR, False),
        ([*DENY_ALL, NULL, {**NULL, "allow": False}], "/dev/null", os.O_RDONLY, False),
        ([{"allow": True, "type": "a", "access": "rwm"}], "/dev/zero", os.O_RDWR, True),
        ([*DENY_ALL, TERMINALS], "/dev/full", os.O_RDONLY, False),
    ],
)
def test_the_last_rule_that_fits_decides(
    cgroup: pathlib.Path, rules: list[dict[str, Any]], path: str, flags: int, allowed: bool
) -> None:
    device_filter.attach(str(cgroup), rules)
    assert attempt(cgroup, path, flags) is allowed


def test_making_a_node_is_an_access_of_its_own(cgroup: pathlib.Path, tmp_path: pathlib.Path) -> None:
    device_filter.attach(str(cgroup), DENY_ALL[:1])
    pid = os.fork()
    if pid == 0:
        in_cgroup(cgroup, lambda: os.mknod(tmp_path / "node", stat.S_IFCHR | 0o600, os.makedev(1, 3)))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
