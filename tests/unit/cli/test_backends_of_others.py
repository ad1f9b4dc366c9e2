"""A backend that another package brings: it registers under the entry-point group ``composer.backends``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

MODULE = """
from composer.backends.memory import MemoryBackend
from composer.engine.backend import Finding

BACKEND = MemoryBackend()

class Shelf(type(BACKEND)):
    name = "shelf"

def connect(environment):
    return Shelf()

def diagnose(environment):
    return [Finding("ok", "shelf", "has room")]
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A directory as an installer leaves it: a module, and its entry points."""
    site = tmp_path / "site"
    for name, module in (("shelf", "shelf"), ("torn", "torn"), ("bare", "bare")):
        (site / f"{name}-1.0.dist-info").mkdir(parents=True)
        (site / f"{name}-1.0.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        (site / f"{name}-1.0.dist-info" / "entry_points.txt").write_text(
            f"[composer.backends]\n{name} = {module}\n"
        )
    (site / "shelf.py").write_text(MODULE)
    (site / "torn.py").write_text("raise RuntimeError('no such shelf')\n")
    (site / "bare.py").write_text("")
    (tmp_path / "compose.yaml").write_text("name: app\nservices: {web: {image: 'i:1'}}\n")
    return tmp_path


def run(directory: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(ROOT), str(directory / "site")))
    return subprocess.run(
        [sys.executable, "-m", "composer", *arguments],
        cwd=directory,
        env={
            **os.environ,
            "PYTHONPATH": path,
            "COMPOSER_ROOT": str(directory / "root"),
            "HOME": str(directory),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_it_is_asked_for_by_its_name(installed: Path) -> None:
    for done in (
        run(installed, "--backend", "shelf", "plan"),
        run(installed, "plan", COMPOSER_BACKEND="shelf"),
    ):
        assert done.returncode == 0, done.stderr
        assert "app-web-1" in done.stdout


def test_its_name_stands_beside_ours_where_one_is_unknown(installed: Path) -> None:
    done = run(installed, "--backend", "shelv", "ps")
    assert done.returncode != 0
    assert "available backends: namespace, docker, bare, shelf, torn" in done.stderr
    done = run(installed, "ps", COMPOSER_BACKEND="shelv")
    assert "unknown backend 'shelv'" in done.stderr and "shelf" in done.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("torn", "cannot load backend 'torn' from torn: RuntimeError: no such shelf"),
        ("bare", "cannot use backend 'bare': bare has no function 'connect'"),
    ],
)
def test_what_is_wrong_with_it_is_said_by_its_name(installed: Path, name: str, said: str) -> None:
    done = run(installed, "--backend", name, "ps")
    assert done.returncode == 1 and said in done.stderr
    assert "Traceback" not in done.stderr
