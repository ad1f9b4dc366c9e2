"""A base image that has every package the images of ``examples/compose`` install, as an archive kept between runs.

With it they can be built where there is no network: a package whose program is there is not installed again. Making
it takes a minute, and a mirror of Debian. The archive is kept in ``COMPOSER_TEST_IMAGES`` (default: the user's cache
directory).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "examples" / "debian.sh"
NAME = "examples-with-packages"
PACKAGES = (
    "docker-registry",
    "nginx-light",
    "openssl",
    "postgresql",
    "python3-psycopg2",
    "python3-redis",
    "redis-server",
)
COMMAND = str(Path(sys.executable).with_name("composer"))


def archive() -> Path | None:
    """Return the archive, made when it is missing; None where this machine has no mmdebstrap, or is not root's."""
    cache = Path(os.environ.get("COMPOSER_TEST_IMAGES") or os.path.expanduser("~/.cache/composer-tests"))
    found = cache / f"{NAME}.tar"
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
            [SCRIPT, NAME, *PACKAGES], env=environment, check=True, timeout=900, stdin=subprocess.DEVNULL
        )
        saved = f"{directory}/{NAME}.tar"
        save = [COMMAND, "--backend", "namespace", "image", "save", "-o", saved, NAME]
        subprocess.run(save, env=environment, check=True)
        os.rename(saved, target)
