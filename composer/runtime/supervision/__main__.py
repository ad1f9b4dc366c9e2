"""What the zip in memory executes: ``ROLE CODE-FD DIRECTORY-FD INTERPRETER ARGUMENT…``."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    role, code, directory, interpreter = sys.argv[1:5]
    from composer.runtime.supervision import spawn

    image = spawn.Image(int(code), int(directory), interpreter)
    if role == "keeper":
        from composer.runtime.supervision import keeper

        keeper.main(image, sys.argv[5:])
    else:
        from composer.runtime.supervision import supervisor

        # What is loaded now is never collected: forked children do not touch, and so do not copy, these pages.
        gc.collect()
        gc.freeze()
        supervisor.main(image, sys.argv[5:])


main()
