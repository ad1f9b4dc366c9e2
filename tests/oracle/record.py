"""Writes down what docker compose makes of the cases: ``want.json`` or ``want.err`` in each directory.

Version 5 writes ``want-5.json`` or ``want-5.err``, and only where that is not what 2.40 made of it.

    python -m tests.oracle.record DIRECTORY...     the parents of cases, or cases

The inputs are written by hand; the expectations are the oracle's. A case in which we differ on purpose has
``decided.txt`` (``decided-5.txt``: from version 5, and not from 2.40), which says why; it is left alone, and
``--decided`` writes down what we make of it instead.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from composer.schema.setting import normal_name
from tests.conftest import compose_version
from tests.oracle.compare import compose_files, differences, oracle, ours, recorded


def record(case: Path) -> None:
    """Ask the oracle and write its verdict, with the case's own path and name taken out."""
    model, error = oracle(case)
    if (compose_version() or (2,))[0] < 5:
        write(case, model, error)
        return
    if (case / "decided-5.txt").exists():
        return
    earlier = recorded(case, newest=False)
    if earlier is not None and (model is None) == (earlier[0] is None) and not differences(earlier[0], model):
        for name in ("want-5.json", "want-5.err"):
            (case / name).unlink(missing_ok=True)
        return
    write(case, model, error, "want-5")


def write(case: Path, model: Any, error: str, stem: str = "want") -> None:
    """Write a verdict beside its case."""
    for name in (f"{stem}.json", f"{stem}.err"):
        (case / name).unlink(missing_ok=True)
    if model is None:
        (case / f"{stem}.err").write_text(error.replace(str(case), "$DIR"))
        return
    text = json.dumps(model, indent=1, sort_keys=True, ensure_ascii=False)
    name = normal_name(case.name)
    text = (
        text.replace(str(case), "$DIR")
        .replace(str(case.parent), "$ABOVE")
        .replace(f'"{name}"', '"$PROJECT"')
        .replace(f'"{name}_', '"$PROJECT_')
    )
    (case / f"{stem}.json").write_text(text + "\n")


def main(argv: list[str]) -> int:
    """Record every case of the directories that has not been decided by hand."""
    by_hand = "--decided" in argv
    for directory in (Path(one) for one in argv if not one.startswith("--")):
        cases = (
            [directory]
            if compose_files(directory)
            else sorted(one for one in directory.iterdir() if compose_files(one))
        )
        for case in cases:
            decided = (case / "decided.txt").exists()
            if compose_files(case) and decided == by_hand:
                write(case.resolve(), *ours(case.resolve())) if by_hand else record(case.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
