"""SOURCE_DATE_EPOCH: seconds since 1970 that can be written, and nothing else."""

from __future__ import annotations

import pytest

from composer.backends.namespace import builds
from composer.errors import BuildFailed


@pytest.mark.parametrize("text", ["0", "1700000000", "000000001700000000", "253402300799"])
def test_times_that_can_be_written(text: str) -> None:
    assert builds._epoch(text) == int(text)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "x", "253402300800", "9" * 5000])
def test_others_are_refused(text: str) -> None:
    with pytest.raises(BuildFailed, match=r"^invalid SOURCE_DATE_EPOCH"):
        builds._epoch(text)
