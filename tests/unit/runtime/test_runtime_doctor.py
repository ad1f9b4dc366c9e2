"""What the runtime finds on this machine: directories and limits that a test makes; no privileges needed."""

from __future__ import annotations

import os
import pathlib

import pytest

from composer.runtime.base.state import Paths
from composer.runtime.host import doctor


@pytest.fixture
def paths(tmp_path: pathlib.Path) -> Paths:
    return Paths(f"{tmp_path}/not/yet/lib", f"{tmp_path}/not/yet/run")


def test_the_disk_of_a_directory_that_is_not_there_yet(paths: Paths) -> None:
    (found,) = doctor._disk(paths)
    usage = os.statvfs("/tmp")
    assert found.level == ("ok" if usage.f_bavail * usage.f_frsize > 1 << 30 else "warning")
    assert paths.root in found.text


def test_looking_makes_nothing(paths: Paths, tmp_path: pathlib.Path) -> None:
    list(doctor._disk(paths))
    list(doctor._kernel(paths))
    list(doctor._namespaces(paths))
    assert list(tmp_path.iterdir()) == []


def test_every_warning_has_a_remedy(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine where each file that is read says the worst."""
    worst = {"/proc/sys/kernel/seccomp/actions_avail": None, "/etc/resolv.conf": "# nothing\n"}
    monkeypatch.setattr(doctor, "_read", lambda path: worst.get(path))
    monkeypatch.setattr(doctor, "_NAMESPACES", ("nowhere",))
    monkeypatch.setattr(doctor, "_LOW_BYTES", 1 << 60)
    found = [
        finding
        for check in (doctor._seccomp, doctor._dns, doctor._namespaces, doctor._disk)
        for finding in check(paths)
    ]
    assert [(one.level, one.subject) for one in found] == [
        ("missing", "seccomp"),
        ("warning", "DNS"),
        ("missing", "namespaces"),
        ("warning", "disk"),
    ]
    assert all(one.hint for one in found)
