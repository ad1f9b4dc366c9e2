"""How far something is, as people read it."""

from __future__ import annotations

import pytest

from composer.cli.display.advance import text
from composer.engine.observed import Advance

MEGABYTE = 1_000_000
HERE = (MEGABYTE, MEGABYTE)


@pytest.mark.parametrize(
    ("advance", "shown"),
    [
        (Advance("[2/3] RUN make"), "[2/3] RUN make"),
        (Advance("extracting", 1, 3, "layers"), "1/3 layers"),
        (
            Advance(
                "extracting",
                3 * MEGABYTE,
                4 * MEGABYTE,
                "bytes",
                ((2 * MEGABYTE,) * 2, (MEGABYTE, 2 * MEGABYTE)),
            ),
            "[⣿⣤] 3.0MB / 4.0MB",
        ),
        (Advance("extracting", MEGABYTE, MEGABYTE, "bytes", ((MEGABYTE, MEGABYTE),)), "extracting 1.0MB"),
        (
            Advance(
                "pushed",
                5 * MEGABYTE,
                30 * MEGABYTE,
                "bytes",
                ((MEGABYTE, MEGABYTE),) * 5 + ((0, MEGABYTE),) * 25,
            ),
            "5/30 layers 5.0MB / 30.0MB",
        ),
        (Advance("extracting", 1, 2, "bytes", ((0, 0), (1, 2))), "[⣿⣤] 0.0MB / 0.0MB"),
    ],
)
def test_it_is_one_short_line(advance: Advance, shown: str) -> None:
    assert text(advance) == shown
