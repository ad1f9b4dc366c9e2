"""Commands that run a module of this package in a process of its own: whatever lies in the working directory."""

from __future__ import annotations

import os
import sys

_START = (
    "import runpy, sys; sys.path.insert(0, sys.argv[1]); module = sys.argv[2]; del sys.argv[1:3]; "
    "runpy.run_module(module, run_name='__main__', alter_sys=True)"
)


def command(module: str, *arguments: str) -> list[str]:
    """Return the words that run ``composer.MODULE`` with this interpreter, from where this package is.

    ``python -m`` would look in the working directory first, and not where a package of one file was unpacked.
    """
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [sys.executable, "-P", "-c", _START, root, module, *arguments]
