"""Compression of layers: what comes out is read by everybody, and is the same whoever makes it."""

from __future__ import annotations

import gzip
import random
import shutil
import subprocess
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.errors import ImageError
from composer.runtime.images import compressing, compression
from composer.runtime.images.compression import decompress

CHANCE = random.Random(1)
NOISE = CHANCE.randbytes(700_000)
TEXT = b" ".join(CHANCE.choices([b"layer", b"image", b"manifest", b"blob", b"tar"], k=200_000))
BLOCK = compressing._BLOCK_BYTES
SEGMENT = compressing._SEGMENT_BYTES


def packed(data: bytes, *, threads: int = 2, piece: int = 70_000, kind: str = "gzip") -> bytes:
    with ThreadPoolExecutor(threads) as executor:
        pieces = (data[start : start + piece] for start in range(0, len(data), piece))
        return b"".join(compressing.compress(kind, pieces, executor))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        NOISE,
        TEXT,
        NOISE + TEXT + NOISE,
        bytes(3 * BLOCK),
        TEXT[: BLOCK - 1],
        TEXT[:BLOCK],
        TEXT[: BLOCK + 1],
        NOISE[: SEGMENT + 1] + TEXT[:SEGMENT] + NOISE[:3],
        (NOISE[:SEGMENT] + TEXT[:SEGMENT]) * 20,
        NOISE[:1000] * 900,
    ],
    ids=range(12),
)
@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_what_goes_in_comes_out(data: bytes, kind: str) -> None:
    if kind == "zstd" and compression.zstd_module() is None and shutil.which("zstd") is None:
        pytest.skip("no zstd on this machine")
    made = packed(data, kind=kind)
    assert b"".join(decompress([made])) == data
    if kind == "gzip":
        assert gzip.decompress(made) == data, "zlib checks length and sum"


def test_neither_threads_nor_pieces_change_a_byte() -> None:
    data = NOISE + TEXT + NOISE[::-1]
    first = packed(data, threads=1)
    for threads, piece in ((2, 1000), (5, len(data)), (3, BLOCK)):
        assert packed(data, threads=threads, piece=piece) == first
    assert first.startswith(b"\x1f\x8b\x08\0\0\0\0\0\0\xff")


def test_it_is_no_larger_than_it_has_to_be() -> None:
    assert len(packed(NOISE)) < len(NOISE) * 1.001
    assert len(packed(TEXT)) < len(gzip.compress(TEXT, 4)) * 1.02
    mixed = (NOISE[: 2 * SEGMENT] + TEXT[: 2 * SEGMENT]) * 8
    assert len(packed(mixed)) < len(gzip.compress(mixed, 4)) * 1.03


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3 * SEGMENT)), max_size=12), st.integers(1, 200_000))
def test_any_mixture_comes_out(parts: list[tuple[bool, int]], piece: int) -> None:
    data = b"".join((NOISE if is_noise else TEXT)[:size] for is_noise, size in parts)
    assert gzip.decompress(packed(data, piece=piece)) == data


def test_memory_is_bounded() -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield NOISE

    tracemalloc.start()
    try:
        with ThreadPoolExecutor(2) as executor:
            total = sum(len(piece) for piece in compressing.compress("gzip", endless(), executor))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total > 100_000_000
    assert peak < 40_000_000


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_an_error_of_the_source_comes_out(kind: str) -> None:
    def broken() -> Iterator[bytes]:
        yield TEXT
        raise ImageError("the layer was changed")

    with ThreadPoolExecutor(2) as executor, pytest.raises(ImageError, match="was changed"):
        list(compressing.compress(kind, broken(), executor))


def test_zstd_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(compression, "zstd_module", lambda: None)
    monkeypatch.setattr(subprocess, "Popen", missing)
    with pytest.raises(ImageError, match="no encoder found") as failure:
        packed(TEXT, kind="zstd")
    assert "--compression gzip" in str(failure.value.hint)
