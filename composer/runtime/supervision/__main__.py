"""What is started from the zip in memory: a keeper, ``CODE-FD DIRECTORY-FD INTERPRETER ARGUMENT…``."""

from __future__ import annotations

import sys

from composer.runtime.supervision import keeper, spawn

keeper.main(spawn.Image(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]), sys.argv[4:])
