"""No new difference between a container of composer's own runtime and one of Docker Engine: docs/compared.md."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.slow]
_ROOT = pathlib.Path(__file__).parents[3]


@pytest.mark.timeout(300)
def test_what_differs_from_within_has_a_reason(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "tests.compared.inside.compare", "--to", str(tmp_path / "page.md")]
    done = subprocess.run(
        command, cwd=_ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Docker Engine" in (tmp_path / "page.md").read_text()
