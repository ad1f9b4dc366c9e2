"""How far a pull, a push or a build is, as people read it: a cell for each layer that fills up, and the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from composer.engine.observed import Advance

_CELLS = "⠀⡀⣀⣄⣤⣦⣶⣷⣿"
_MAX_CELLS = 24


def text(advance: Advance) -> str:
    """Return one line: ``[⣿⣿⡀] 12.1MB / 30.0MB``, ``extracting 30.0MB``, ``2/3 layers``, or what a build does."""
    if advance.unit != "bytes" or not advance.total:
        return f"{advance.done}/{advance.total} {advance.unit}" if advance.unit else advance.what
    if advance.done >= advance.total:
        return f"{advance.what} {_megabytes(advance.total)}"
    moved = f"{_megabytes(advance.done)} / {_megabytes(advance.total)}"
    if len(advance.parts) > _MAX_CELLS:
        finished = sum(done >= total for done, total in advance.parts)
        return f"{finished}/{len(advance.parts)} layers {moved}"
    return f"[{''.join(_cell(*part) for part in advance.parts)}] {moved}"


def _cell(done: int, total: int) -> str:
    if not total:
        return _CELLS[-1]
    return _CELLS[min(len(_CELLS) - 1, done * (len(_CELLS) - 1) // total)]


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f}MB"
