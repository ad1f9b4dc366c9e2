"""No new difference between a container of composer's own runtime and one of Docker Engine: docs/compared.md.

A few of the services here, so that it stays quick; all of them are ``make inside``.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.root, pytest.mark.docker]
_ROOT = pathlib.Path(__file__).parents[3]
_CHOSEN = (
    "plain|cap_add|cap_drop_all|privileged|user_name|group_add|no_new_privileges|seccomp_unconfined|ulimits|"
    "sysctls_list|shm_size|environment|exit_3"
)


@pytest.mark.timeout(420)  # another checkout may be at it, and goes first
def test_what_differs_from_within_has_a_reason(tmp_path: pathlib.Path) -> None:
    page = str(tmp_path / "page.md")
    command = [
        sys.executable,
        "-m",
        "tests.compared.inside.compare",
        "--to",
        page,
        "--only",
        f"^({_CHOSEN})$",
    ]
    done = subprocess.run(
        command, cwd=_ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    last = done.stderr.splitlines()[-1]
    assert last.endswith("0 without one"), done.stderr
    assert int(last.split()[0]) >= len(_CHOSEN.split("|")), last
