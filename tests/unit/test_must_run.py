"""A skip of a test that must run fails: at run time, of a whole module, and for want of an engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSIDE = "import pytest\ndef test_it():\n    pytest.skip('no such thing')\n"
MODULE = "import pytest\npytest.skip('no such thing', allow_module_level=True)\n"
MARKED = "import pytest\n@pytest.mark.skip(reason='no such thing')\ndef test_it(): pass\n"
ENGINE = "import pytest\n@pytest.mark.docker\ndef test_it(): pass\n"
XFAIL = "import pytest\n@pytest.mark.xfail(reason='no such thing')\ndef test_it(): assert False\n"


def outcome(directory: Path, text: str, must_run: str, *options: str) -> tuple[int, str]:
    """Run a test file under the hooks of all tests; return the exit code, and what pytest printed."""
    (directory / "test_one.py").write_text(text)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("COMPOSER_", "PYTEST_"))}
    kept.pop("DOCKER_HOST", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(directory), *options, str(directory)]
    environment = {**kept, "COMPOSER_TESTS_MUST_RUN": must_run, "PYTHONPATH": str(ROOT)}
    for left in (2, 1, 0):
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
            )
        except subprocess.TimeoutExpired:
            # about one of ten: xdist waits for ever for a worker that ended because it could not collect
            if not left:
                raise
            continue
        break
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "options"),
    [(INSIDE, ()), (MARKED, ()), (MODULE, ()), (MODULE, ("-n", "1"))],
    ids=["inside", "marked", "module", "module in a worker"],
)
def test_a_skip_fails_where_tests_must_run(tmp_path: Path, text: str, options: tuple[str, ...]) -> None:
    code, said = outcome(tmp_path, text, "root", *options)
    assert code != 0
    assert "must run, but was skipped" in said
    assert "no such thing" in said


def test_elsewhere_a_skip_is_one(tmp_path: Path) -> None:
    code, said = outcome(tmp_path, f"{INSIDE}{MARKED}".replace("test_it", "test_one", 1), "")
    assert code == 0
    assert "2 skipped" in said


def test_what_this_machine_has_no_means_for_may_be_skipped_unless_it_is_named(tmp_path: Path) -> None:
    assert outcome(tmp_path, ENGINE, "root")[0] == 0
    code, said = outcome(tmp_path, ENGINE, "root,docker")
    assert code != 0
    assert "needs a Docker Engine at DOCKER_HOST" in said


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    assert outcome(tmp_path, XFAIL, "root")[0] == 0
