"""The two iptables programs beside Docker: both are at work at once, whatever their input."""

from __future__ import annotations

import os
import pathlib
import sys

import pytest

from composer.runtime.network.firewall_docker import _run_all

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux"),
    pytest.mark.timeout(30),
]


def test_none_waits_for_another(tmp_path: pathlib.Path) -> None:
    """Each reads its input to the end and then meets the other: one after the other they would wait in vain."""
    for name in ("first", "second"):
        os.mkfifo(tmp_path / name)

    def program(says: str, hears: str) -> list[str]:
        script = f"read word; echo $word > {tmp_path}/{says} & cat {tmp_path}/{hears}"
        return ["/bin/sh", "-c", script]

    programs = [(program("first", "second"), "one\n"), (program("second", "first"), "two\n")]
    assert _run_all(programs) == ["two\n", "one\n"]


def test_input_of_any_size_and_the_failure_of_one() -> None:
    large = "x" * (1 << 20)
    assert _run_all([(["/bin/cat"], large), (["/bin/cat"], "")]) == [large, ""]
    with pytest.raises(OSError, match="no such table"):
        _run_all([(["/bin/cat"], large), (["/bin/sh", "-c", "echo no such table >&2; exit 3"], "")])
    assert _run_all([]) == []
