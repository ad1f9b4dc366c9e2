"""Files of tests in a corner of their own are in memory: a disk would be written what nobody reads again.

`tests.apart` mounts a file system in memory for them where the machine has much of it. What a test that passed has
written is removed at once.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

PLACE = Path("/tmp/composer-tests")
_SIZE = "8g"
_FREE_KB = 16 << 20
"""What must be free in memory for each of three workers to have some."""


def wanted() -> str | None:
    """Return the size of the file system to make, if the machine has memory for it."""
    with open("/proc/meminfo", encoding="ascii") as file:
        free = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:"))
    return _SIZE if free >= _FREE_KB else None


def base() -> str | None:
    """Return the directory for the files of tests, where such a file system is."""
    # a run of pytest within a test has a directory of its own: it would begin with removing that of the test
    return str(PLACE / f"files-{os.getpid()}") if os.path.ismount(PLACE) else None


def remove(directory: Path) -> None:
    """Remove what a test has written, unless something is mounted there; another file system is never entered."""
    within = f"{directory}/"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if line.split()[4].startswith(within):
            return
    shutil.rmtree(directory, ignore_errors=True)
