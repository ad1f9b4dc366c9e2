"""What is started from the zip in memory: a keeper, ``CODE-FD DIRECTORY-FD INTERPRETER ARGUMENT…``."""

from __future__ import annotations

import sys

# An import of it fails from now on, and Python's own digests take its place, which will do for names of links:
# libcrypto takes a quarter of a megabyte in each of our processes, and 2 ms.
sys.modules["_hashlib"] = None  # type: ignore[assignment]

from composer.runtime.supervision import keeper, spawn  # noqa: E402

keeper.main(spawn.Image(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]), sys.argv[4:])
