"""Tries what `dist` built in bare environments: nothing installed, an empty home, one Python after the other.

python release/check.py DIST [PYTHON…]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

_BARE = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
_PROJECT = "services: {web: {image: host, command: sleep 600, stop_signal: SIGKILL}}\n"


def said(directory: Path, home: Path, *words: str) -> str:
    environment = {**_BARE, "HOME": str(home), "COMPOSER_ROOT": str(home / "root")}
    done = subprocess.run(
        words, cwd=directory, env=environment, check=True, capture_output=True, text=True, timeout=300
    )
    return done.stdout


def check(name: str, directory: Path, home: Path, *program: str) -> None:
    """Go through a day of a project."""
    began = time.monotonic()
    version = said(directory, home, *program, "version", "--short").strip()
    first_s = time.monotonic() - began
    began = time.monotonic()
    said(directory, home, *program, "version", "--short")
    again_s = time.monotonic() - began
    said(directory, home, *program, "up", "-d")
    assert said(directory, home, *program, "exec", "-T", "web", "echo", "in").strip() == "in"
    assert "nothing to do" in said(directory, home, *program, "plan")
    said(directory, home, *program, "down")
    print(
        f"{name}: {version}, first start {first_s:.2f} s, later {again_s:.2f} s; up, exec, plan, down: passed"
    )


def main(dist: Path, pythons: list[str]) -> None:
    (wheel,) = dist.glob("*.whl")
    (sdist,) = dist.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "shop"
        directory.mkdir()
        (directory / "compose.yaml").write_text(_PROJECT)
        for number, python in enumerate(pythons):
            check(
                f"one file, {python}",
                directory,
                Path(scratch) / f"home{number}",
                python,
                str(dist / "composer"),
            )
        for kind, package in (("wheel", wheel), ("sdist", sdist)):
            place = Path(scratch) / kind
            venv.create(place, with_pip=True)
            subprocess.run([place / "bin/pip", "install", "--quiet", str(package)], check=True)
            check(kind, directory, Path(scratch) / f"home-{kind}", str(place / "bin/composer-stack"))
            assert len(list((place / "share/man/man1").iterdir())) > 50
        again = Path(scratch) / "again"
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", again, Path(__file__).parents[1]],
            check=True,
        )
        (other,) = again.glob("*.whl")
        assert other.read_bytes() == wheel.read_bytes(), "the tree and the sdist make different wheels"
        print("the tree and the sdist make the same wheel, byte for byte")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:] or [sys.executable])
