"""The process of ``composer``, and of ``python -m composer``."""

from __future__ import annotations

import gc

_ALLOCATIONS = 100_000


def main() -> None:
    """Run the command of this process.

    Before anything is imported: looking for garbage among what imports make, and what a list of containers is made
    of, takes a tenth of a short command and finds none. A long one still looks, after more of it.
    """
    gc.set_threshold(_ALLOCATIONS)
    from composer.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
