"""Pyright accepts the examples of the guides as they stand there; mypy is asked in `tests.integration.stacks`."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from tests.clients.conftest import CLIENTS
from tests.integration.stacks.test_pages import programs


def test_pyright_accepts_the_examples(tmp_path: pathlib.Path) -> None:
    pyright = CLIENTS / "bin/pyright"
    if not pyright.exists():
        pytest.skip("needs the programs of others: make clients")
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    command = [str(pyright), "--pythonpath", sys.executable, *programs(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
