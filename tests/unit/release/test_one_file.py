"""The one-file program: unpacked once, whole or not at all, whoever else does so at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

MAIN = Path(__file__).parents[3] / "release/archive_main.py"
OWN = f"cp{sys.version_info[0]}{sys.version_info[1]}"
PROGRAM = b"import other, sys\n\ndef main():\n    print(other.NAME, sys.argv[1:], __file__)\n"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    text = MAIN.read_text().replace(
        "VERSIONS = (", f"VERSIONS = ({sys.version_info[:2]}, ", 1
    )  # one that is not released yet may run this too
    path = tmp_path / "composer"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("__main__.py", text)
        packed.writestr("DIGEST", "0123456789abcdef0123")
        packed.writestr("common/composer/__init__.py", "")
        packed.writestr("common/composer/__main__.py", PROGRAM)
        packed.writestr(f"{OWN}/other.py", "NAME = 'own'\n")
        packed.writestr("cp300/other.py", "NAME = 'of another version'\n")
    return path


def said(program: Path, *words: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, str(program), *words],
        env={"PATH": os.environ["PATH"], "HOME": str(program.parent), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_it_runs_from_what_it_unpacked_once(program: Path) -> None:
    place = program.parent / f".cache/composer/program/0123456789abcdef-{OWN}"
    assert said(program, "a", "b") == f"own ['a', 'b'] {place}/composer/__main__.py\n"
    (place / "other.py").write_text("NAME = 'kept'\n")
    assert said(program).startswith("kept ")
    assert said(program, XDG_CACHE_HOME=str(program.parent / "else")).startswith("own ")


def test_many_that_begin_at_once_make_one(program: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        outputs = list(threads.map(lambda _: said(program), range(8)))
    assert {output.split()[0] for output in outputs} == {"own"}
    assert [path.name for path in (program.parent / ".cache/composer/program").iterdir()] == [
        f"0123456789abcdef-{OWN}"
    ]


def test_what_a_kill_left_is_not_taken_for_the_program(program: Path) -> None:
    left = program.parent / ".cache/composer/program/unpacking-killed"
    left.mkdir(parents=True)
    (left / "other.py").write_text("raise SystemExit('half')\n")
    assert said(program).startswith("own ")


def test_another_python_is_told_so(program: Path) -> None:
    text = MAIN.read_text().replace("VERSIONS = ((3, 11), (3, 12), (3, 13))", "VERSIONS = ((3, 1), (3, 2))")
    other = program.parent / "other.py"
    other.write_text(text)
    done = subprocess.run([sys.executable, str(other)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "this file is for CPython 3.1, 3.2, not cpython" in done.stderr
