"""What a release consists of: the sdist, the wheel made from it, and one file that needs nothing but a Python.

    python release/dist.py [--out DIR]

The one file, ``composer``, is a zip archive that Python runs (https://docs.python.org/3/library/zipapp.html). It holds
the package and all that it needs, compiled parts for each version of CPython, for Linux on x86-64 with glibc. On
another machine the same recipe makes it for that: ``--platform manylinux2014_aarch64``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSIONS = ("3.11", "3.12", "3.13")
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64")
_SHEBANG = b"#!/usr/bin/env python3\n"
_TIME = (1980, 1, 1, 0, 0, 0)
_LEFT_OUT = ("bin/", "share/", "__pycache__/")


def run(*words: str, **options: object) -> None:
    subprocess.run(words, check=True, **options)  # type: ignore[call-overload]


def build(out: Path) -> tuple[Path, Path]:
    """Build the sdist from the tree, and the wheel from the sdist; return both."""
    with tempfile.TemporaryDirectory() as scratch:
        run(sys.executable, "-m", "build", "--sdist", "--outdir", scratch, str(ROOT))
        (sdist,) = Path(scratch).glob("*.tar.gz")
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", scratch, str(sdist))
        (wheel,) = Path(scratch).glob("*.whl")
        return Path(shutil.copy(sdist, out)), Path(shutil.copy(wheel, out))


def installed(wheel: Path, version: str, platforms: tuple[str, ...], target: Path) -> dict[str, bytes]:
    """Install the package with all that it needs, for one version of Python; return the files by path."""
    words = [word for platform in platforms for word in ("--platform", platform)]
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--only-binary=:all:"),
        *("--python-version", version, "--implementation", "cp", *words),
        *("--target", str(target), str(wheel)),
    )
    found = {}
    for path in sorted(target.rglob("*")):
        name = str(path.relative_to(target))
        if path.is_file() and not any(
            part in f"{name}/" for part in _LEFT_OUT if not name.startswith("composer/")
        ):
            found[name] = path.read_bytes()
    return found


def entries(by_version: dict[str, dict[str, bytes]]) -> dict[str, bytes]:
    """Return the members of the archive: what is the same for all versions is there once."""
    first, *others = by_version.values()
    common = {name for name, data in first.items() if all(other.get(name) == data for other in others)}
    found = {f"common/{name}": first[name] for name in common}
    for version, files in by_version.items():
        own = f"cp{version.replace('.', '')}"
        found |= {f"{own}/{name}": data for name, data in files.items() if name not in common}
    return dict(sorted(found.items()))


def write(path: Path, members: dict[str, bytes]) -> None:
    """Write the program; equal members make equal bytes."""
    digest = hashlib.sha256()
    main = (ROOT / "release/archive_main.py").read_bytes()
    for name, data in (("__main__.py", main), *members.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    whole = {"__main__.py": main, "DIGEST": digest.hexdigest().encode(), **members}
    with open(path, "wb") as file:
        file.write(_SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
            for name, data in whole.items():
                packed.writestr(zipfile.ZipInfo(name, _TIME), data, zipfile.ZIP_DEFLATED)
    os.chmod(path, 0o755)


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the sdist, the wheel and the one-file program.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--platform", action="append", default=[])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    sdist, wheel = build(options.out)
    platforms = tuple(options.platform) or PLATFORMS
    with tempfile.TemporaryDirectory() as scratch:
        by_version = {v: installed(wheel, v, platforms, Path(scratch) / v) for v in VERSIONS}
    program = options.out / "composer"
    write(program, entries(by_version))
    for path in (sdist, wheel, program):
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
