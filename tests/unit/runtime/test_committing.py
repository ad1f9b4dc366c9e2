"""A container's upper directory as a layer: what its marks become, and what a layer cannot hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from composer import archives
from composer.errors import CopyFailed
from composer.runtime.objects import committing


@pytest.mark.parametrize("name", [".wh.bin", ".wh..wh..opq"])
def test_a_file_whose_name_would_remove_another_is_refused(tmp_path: Path, name: str) -> None:
    """A program in the container may have made it: the image would lack what the container has."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / name).touch()
    top = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(CopyFailed, match=f"'sub/{name}' is a reserved name in image layers"):
            b"".join(archives.pack(top, ".", "", committing.describe(top, frozenset())))
    finally:
        os.close(top)
