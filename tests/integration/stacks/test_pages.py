"""The examples of docs/python.md and docs/testing.md run as they stand there, and have types."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

DOCS = pathlib.Path(__file__).parents[3] / "docs"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[str]:
    return _BLOCK.findall((DOCS / page).read_text())


def prepared(directory: pathlib.Path) -> None:
    """Let the project of the tests be what the page's is: its ports are the page's own business."""
    file = directory / "compose.yaml"
    lines = [line for line in file.read_text().splitlines() if "container_name" not in line]
    file.write_text("\n".join(lines).replace('"18099:80"', '"80"'))


def test_the_examples_of_the_python_page_run(directory: pathlib.Path, backend: str) -> None:
    prepared(directory)
    code = "\n".join(blocks("python.md")).replace('name="', f'name="{directory.name}-')
    (directory / "page.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "page.py"], cwd=directory, capture_output=True, text=True, timeout=180, check=False
    )
    subprocess.run(
        [sys.executable, "-m", "composer", "down", "-v", "-t", "0"],
        cwd=directory,
        check=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "http://127.0.0.1:" in done.stdout and (directory / "hostname.txt").exists()


@pytest.mark.parametrize("number", range(len(blocks("testing.md"))))
def test_the_examples_of_the_testing_page_run(directory: pathlib.Path, backend: str, number: int) -> None:
    prepared(directory)
    (directory / "test_page.py").write_text(blocks("testing.md")[number])
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"]
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def programs(directory: pathlib.Path) -> list[str]:
    """Write the examples as programs, and return their names: those of docs/python.md are one."""
    found = {"page.py": "\n".join(blocks("python.md"))}
    found |= {f"test_{number}.py": code for number, code in enumerate(blocks("testing.md"))}
    for name, code in found.items():
        (directory / name).write_text(code)
    return list(found)


def test_the_examples_have_types(tmp_path: pathlib.Path) -> None:
    words = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")]
    command = [*words, *programs(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout
