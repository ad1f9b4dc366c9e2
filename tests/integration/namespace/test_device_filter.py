"""The eBPF device filter of cgroup v2, attached to a real cgroup and asked by a real open."""

from __future__ import annotations

import os
import pathlib
import stat
from collections.abc import Iterator
from typing import Any

import pytest

from composer.backends.namespace.runtime import cgroups, device_filter

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
    path = pathlib.Path(unified, f"test-device-filter-{os.getpid()}")
    path.mkdir()
    yield path
    path.rmdir()


def attempt(cgroup: pathlib.Path, path: str, flags: int) -> bool:
    """Tell whether a process in the cgroup may open a device."""
    pid = os.fork()
    if pid == 0:
        (cgroup / "cgroup.procs").write_text("0")
        try:
            os.open(path, flags)
        except PermissionError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


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
        (cgroup / "cgroup.procs").write_text("0")
        try:
            os.mknod(tmp_path / "node", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except PermissionError:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
