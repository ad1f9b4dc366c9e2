"""What a writer that was killed has left is removed; what another is writing stays."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys

from composer.runtime.base import files

_DIES = """
import os, signal, sys
from composer.runtime.base import files
os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
files.write_json(sys.argv[1], {})
"""


def test_what_killed_writers_leave_goes_and_all_else_stays(tmp_path: pathlib.Path) -> None:
    files.write_json(str(tmp_path / "whole.json"), {})
    writing = tmp_path / f"other.json.{os.getpid()}.7f.tmp"
    writing.touch()
    died = subprocess.run([sys.executable, "-c", _DIES, str(tmp_path / "half.json")])
    assert died.returncode == -signal.SIGKILL and len(list(tmp_path.iterdir())) == 3
    files.sweep_half_written(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == [writing.name, "whole.json"]
