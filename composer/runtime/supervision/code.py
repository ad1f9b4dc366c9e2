"""The runtime's code as one zip, for processes that outlive the installed package.

Holds compiled modules only, uncompressed, under the names that they are imported by. Kept in the state directory
under the digest of what it was made from, so that building it (and importing zipfile) happens once per version.
"""

from __future__ import annotations

import hashlib
import os
import sys

from composer.runtime.base import files

_ROOMS = ("base", "network", "container", "streams", "tasks", "supervision")
_SINGLE = (
    "composer/errors.py",
    "composer/patterns.py",
    "composer/state_root.py",
    "composer/sysctls.py",
    "composer/units.py",
)


def runtime_zip(cache: str) -> bytes:
    """Return the zip, from ``cache`` where it is there."""
    base = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    sources = _sources(base)
    digest = hashlib.sha256(sys.version.encode())
    for name in sources:
        state = os.stat(f"{base}/{name}")
        digest.update(f"{name} {state.st_mtime_ns} {state.st_size}\n".encode())
    path = f"{cache}/runtime-{digest.hexdigest()[:32]}.zip"
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        pass  # the first start of this version
    data = _build(base, sources)
    os.makedirs(cache, 0o700, exist_ok=True)
    for stale in os.listdir(cache):
        if stale.startswith("runtime-") and stale.endswith(".zip"):
            files.remove_file(f"{cache}/{stale}")
    files.write_bytes(path, data)
    return data


def _sources(base: str) -> list[str]:
    rooms = (f"composer/runtime/{room}" for room in _ROOMS)
    modules = [f"{room}/{name}" for room in rooms for name in sorted(os.listdir(f"{base}/{room}"))]
    return [
        *("composer/__init__.py", "composer/runtime/__init__.py"),
        *_SINGLE,
        *(name for name in modules if name.endswith(".py")),
    ]


def _build(base: str, sources: list[str]) -> bytes:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sources:
            with open(f"{base}/{name}", "rb") as file:
                data = file.read()
            archive.writestr(zipfile.ZipInfo(f"{name}c"), _compiled(data, name))
    return buffer.getvalue()


def _compiled(source: bytes, name: str) -> bytes:
    """Return the bytes of a .pyc: magic, flags, no source to compare with, and code without docstrings."""
    import marshal
    from importlib.util import MAGIC_NUMBER

    code = compile(source, f"<composer>/{name}", "exec", dont_inherit=True, optimize=2)
    return MAGIC_NUMBER + bytes(12) + marshal.dumps(code)
