"""Decompression: the same bytes for every format, in pieces of bounded size, and no silence about damage."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pytest

from composer.errors import ImageError
from composer.runtime.images.compression import decompress, kind_of

TEXT = random.Random(1).randbytes(60_000) + b"the same words again " * 20_000


def _zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


WRITERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zstd": _zstd,
}


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.fixture(params=WRITERS)
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "zstd" and not shutil.which("zstd"):
        pytest.skip("needs the zstd command")
    return str(request.param)


@pytest.mark.parametrize("size", [3, 65_536, 10_000_000])
def test_gives_back_what_was_compressed(kind: str, size: int) -> None:
    data = TEXT if size > 3 else TEXT[:3000]
    assert b"".join(decompress(chunks(WRITERS[kind](data), size))) == data


def test_streams_one_after_the_other_are_one(kind: str) -> None:
    data = WRITERS[kind](b"one ") + WRITERS[kind](b"two")
    assert b"".join(decompress(chunks(data, 10))) == b"one two"


def test_what_is_not_compressed_passes_through() -> None:
    assert b"".join(decompress(chunks(TEXT, 100_000))) == TEXT
    assert b"".join(decompress(chunks(b"short", 1))) == b"short"
    assert b"".join(decompress(iter(()))) == b""
    assert kind_of(b"hello") == ""


@pytest.mark.parametrize("cut", [20, 1000])
def test_an_early_end_is_an_error(kind: str, cut: int) -> None:
    with pytest.raises(ImageError, match=kind):
        list(decompress(chunks(WRITERS[kind](TEXT)[:-cut], 1000)))


def test_damage_is_an_error(kind: str) -> None:
    data = bytearray(WRITERS[kind](TEXT))
    middle = len(data) // 2
    data[middle : middle + 100] = bytes(100)
    with pytest.raises(ImageError, match=kind):
        list(decompress(chunks(bytes(data), 1000)))


def test_a_bomb_comes_in_small_pieces(kind: str) -> None:
    bomb = WRITERS[kind](bytes(6 << 20))
    sizes = [len(piece) for piece in decompress(chunks(bomb, 1 << 20))]
    assert sum(sizes) == 6 << 20
    assert max(sizes) <= 1 << 20
