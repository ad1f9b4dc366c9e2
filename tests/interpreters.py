"""The unit tests on every Python from 3.11 on that this machine has, each in a virtual environment of its own.

    python -m tests.interpreters [--list | --one] [PYTEST-OPTION…]

The one that runs this is left out: its unit tests are among all tests. An interpreter is found by its name
(``python3.12``) in the PATH, and in the places where version managers put theirs; of each version the newest is taken.
Environments are kept in ``.venv-VERSION``. The exit code is the worst. With ``--one`` it is one of them, which one the
commit decides: a few commits have all of them tried.
"""

from __future__ import annotations

import glob
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
OLDEST = (3, 11)
_PLACES = (
    "~/.pyenv/versions/*/bin/python3",
    "~/.local/share/uv/python/*/bin/python3",
    "~/.asdf/installs/python/*/bin/python3",
    "/opt/python*/bin/python3",
    "/opt/hostedtoolcache/Python/*/*/bin/python3",
    "/usr/local/bin/python3.[0-9]*",
)
_ASK = "import sys, venv, ensurepip; print(*sys.version_info[:3], sys.version_info.releaselevel)"


def candidates() -> list[Path]:
    """Return what may be an interpreter, and may not."""
    found = [
        path
        for directory in os.environ.get("PATH", "").split(":")
        if directory
        for path in sorted(Path(directory).glob("python3.[0-9]*"))
    ]
    return found + [Path(one) for place in _PLACES for one in sorted(glob.glob(os.path.expanduser(place)))]


def version_of(interpreter: Path) -> tuple[int, ...] | None:
    """Return the version of an interpreter that can make environments; None when it cannot, or is unfinished."""
    try:
        done = subprocess.run(
            [interpreter, "-c", _ASK], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    return tuple(map(int, words[:3])) if done.returncode == 0 and words[3:] == ["final"] else None


def interpreters() -> dict[tuple[int, ...], Path]:
    """Return the newest interpreter of each version (3, 12), …"""
    newest: dict[tuple[int, ...], tuple[tuple[int, ...], Path]] = {}
    for path in candidates():
        version = version_of(path)
        if version and version >= OLDEST and version > newest.get(version[:2], ((), path))[0]:
            newest[version[:2]] = (version, path)
    return {minor: path for minor, (_, path) in sorted(newest.items())}


def prepare(minor: tuple[int, ...], interpreter: Path) -> Path:
    """Return the interpreter of an environment with everything that the tests need."""
    place = ROOT / f".venv-{minor[0]}.{minor[1]}"
    ready = place / ".ready"
    project = ROOT / "pyproject.toml"
    if not ready.exists() or ready.stat().st_mtime < project.stat().st_mtime:
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([interpreter, "-m", "venv", place], check=True)
        subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)
        subprocess.run([*pip, "--editable", ".", "--group", "test"], cwd=ROOT, check=True)
        ready.touch()
    return place / "bin" / "python"


def commit() -> str:
    """Return the commit that is checked out; 0 outside of a repository."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "0"


def chosen(found: Mapping[tuple[int, ...], Path], commit: str) -> dict[tuple[int, ...], Path]:
    """Return the interpreter that a commit is tried on; nothing where there is none."""
    if not found:
        return {}
    minor = sorted(found)[int(commit, 16) % len(found)]
    return {minor: found[minor]}


def main(options: list[str]) -> int:
    found = interpreters()
    print("found:", ", ".join(str(path) for path in found.values()) or "no other", flush=True)
    if "--list" in options:
        return 0
    others = {minor: path for minor, path in found.items() if minor != sys.version_info[:2]}
    if "--one" in options:
        options = [option for option in options if option != "--one"]
        others = chosen(others, commit())
    codes = []
    for minor, path in others.items():
        print(f"==== the unit tests on Python {minor[0]}.{minor[1]}", flush=True)
        command: list[str | Path] = [
            prepare(minor, path),
            "-m",
            "pytest",
            "-q",
            "-n",
            "auto",
            "tests/unit",
            *options,
        ]
        # what an interpreter does differently shows in a few examples of each property
        variables = {**os.environ, "COMPOSER_TESTS_PROFILE": "brief"}
        codes.append(subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode)
    return max(map(abs, codes), default=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
