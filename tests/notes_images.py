"""The images of ``examples/compose/notes`` in one archive, made from Debian packages once and kept between runs.

Making them takes two minutes, and a mirror of Debian. The archive is kept in ``COMPOSER_TEST_IMAGES`` (default: the
user's cache directory).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "compose" / "notes"
IMAGES = ("notes-postgres", "notes-redis", "notes-nginx", "notes-app")
COMMAND = str(Path(sys.executable).with_name("composer"))


def archive() -> Path | None:
    """Return the archive, made when it is missing; None where this machine has no mmdebstrap, or is not root's."""
    cache = Path(os.environ.get("COMPOSER_TEST_IMAGES") or os.path.expanduser("~/.cache/composer-tests"))
    found = cache / "notes.tar"
    if found.exists():
        return found
    if os.geteuid() != 0 or not shutil.which("mmdebstrap"):
        return None
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            _make(found)
    return found


def _make(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as directory:
        environment = {**os.environ, "COMPOSER": COMMAND, "COMPOSER_ROOT": f"{directory}/state"}
        subprocess.run(
            [EXAMPLE / "images.sh"], env=environment, check=True, timeout=900, stdin=subprocess.DEVNULL
        )
        save = [COMMAND, "--backend", "namespace", "image", "save", "-o", f"{directory}/notes.tar", *IMAGES]
        subprocess.run(save, env=environment, check=True)
        os.rename(f"{directory}/notes.tar", target)
