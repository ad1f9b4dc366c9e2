"""The process of ``composer``, and of ``python -m composer``."""

from __future__ import annotations

import gc
import os
import sys
import time

_ALLOCATIONS = 100_000


def main() -> None:
    """Run the command of this process.

    The garbage collector's threshold is raised before any import: collections during imports take a tenth of a short
    command's time and free nothing. Long-running commands are still collected, only less often.
    """
    began = (time.monotonic(), time.process_time())
    gc.set_threshold(_ALLOCATIONS)
    speak_utf8()
    open_missing()
    from composer import bundle

    bundle.use()
    from composer import starting

    starting.leave_annotations()
    starting.import_click()
    from composer.cli.main import main as command

    command(began)


def speak_utf8() -> None:
    """Have paths and arguments in UTF-8 whatever the locale; bytes that are none go through as they are.

    Compose files are UTF-8, and so are the file names in them: in an ISO-8859-1 locale Python would write other
    bytes. It fixes its encoding of paths when it starts, so it is started again.
    """
    if not sys.flags.utf8_mode and sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def open_missing() -> None:
    """Open /dev/null in place of standard streams that are closed, as cron and daemons leave them.

    The next file to be opened would be one of them: what is written to standard output would go into it.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            # the lowest number that is free: this one, as those below it are open
            opened = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
            os.set_inheritable(opened, True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


if __name__ == "__main__":
    main()
