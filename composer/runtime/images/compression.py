"""Decompression of streams by what they begin with: gzip, zstd, xz, bzip2, or nothing.

Output comes in pieces of bounded size however strong the compression, so that a bomb costs time and no memory.
zstd is in Python from 3.14 on; before, the zstd command does it.
"""

from __future__ import annotations

import subprocess
import threading
from typing import TYPE_CHECKING, Any

from composer.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Stream = Iterable[bytes]

_PIECE_BYTES = 1 << 20
_XZ_MEMORY_BYTES = 256 << 20
_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
)


def kind_of(head: bytes) -> str:
    """Return ``gzip``, ``zstd``, ``xz``, ``bzip2`` or, for plain data, nothing."""
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def decompress(chunks: Stream) -> Iterator[bytes]:
    """Yield the plain data. Raises ImageError where the stream is damaged or ends early."""
    stream = iter(chunks)
    head = b""
    for chunk in stream:
        head += chunk
        if len(head) >= 6:
            break
    kind = kind_of(head)
    if not kind:
        yield head
        yield from stream
        return
    try:
        yield from _DECODERS[kind](_chained(head, stream))
    except (OSError, EOFError, ValueError) as error:
        raise ImageError(f"the {kind} data is damaged: {error}") from error
    except Exception as error:  # zlib.error and lzma.LZMAError have no common base; translated, not hidden
        if type(error).__name__ not in ("error", "LZMAError", "ZstdError"):
            raise
        raise ImageError(f"the {kind} data is damaged: {error}") from error


def _chained(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def _gzip(stream: Stream) -> Iterator[bytes]:
    import zlib

    decoder = zlib.decompressobj(wbits=31)
    for chunk in stream:
        rest, full = chunk, False
        while rest or full:
            if decoder.eof:  # the next member; zero padding between members is allowed
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                decoder = zlib.decompressobj(wbits=31)
            piece = decoder.decompress(rest, _PIECE_BYTES)
            full = len(piece) == _PIECE_BYTES  # then more may wait inside, with all input taken
            yield piece
            rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    if not decoder.eof:
        raise ImageError("unexpected end of gzip data")


def _streams(make: Callable[[], Any], stream: Stream, kind: str) -> Iterator[bytes]:
    """Decode with the interface that lzma, bz2 and zstd share."""
    decoder = make()
    for chunk in stream:
        rest = chunk
        while rest or not (decoder.eof or decoder.needs_input):
            if decoder.eof:
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                decoder = make()
            yield decoder.decompress(rest, _PIECE_BYTES)
            rest = decoder.unused_data if decoder.eof else b""
    if not decoder.eof:
        raise ImageError(f"unexpected end of {kind} data")


def _xz(stream: Stream) -> Iterator[bytes]:
    import lzma

    return _streams(lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES), stream, "xz")


def _bzip2(stream: Stream) -> Iterator[bytes]:
    import bz2

    return _streams(bz2.BZ2Decompressor, stream, "bzip2")


def zstd_module() -> Any:
    """Return Python's module for zstd; None where there is none."""
    import importlib

    for module in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(module)
        except ImportError:
            continue
    return None


def _zstd(stream: Stream) -> Iterator[bytes]:
    zstd = zstd_module()
    if zstd is not None:
        return _streams(zstd.ZstdDecompressor, stream, "zstd")

    def failure(reason: str) -> ImageError:
        if reason:
            return ImageError("the zstd data is damaged or incomplete")
        return ImageError(
            "cannot read zstd data: no decoder found in Python or on this machine",
            hint="install zstd, or the package backports.zstd",
        )

    return through_command(["zstd", "-dc", "--memory=128MB"], stream, failure)


def through_command(
    arguments: list[str], stream: Stream, failure: Callable[[str], ImageError]
) -> Iterator[bytes]:
    """Yield what another program makes of a stream, fed by a thread.

    ``failure`` gives the error for a program that fails, by its exit code, or for one that is not there.
    """
    try:
        process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except FileNotFoundError:
        raise failure("") from None
    failures: list[BaseException] = []
    assert process.stdin is not None and process.stdout is not None
    feeder = threading.Thread(target=_feed, args=(process.stdin, stream, failures), daemon=True)
    feeder.start()
    try:
        while piece := process.stdout.read(_PIECE_BYTES):
            yield piece
        feeder.join()
        if failures:
            raise failures[0]
        if process.wait() != 0:
            raise failure(f"exit code {process.returncode}")
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
        feeder.join()


def _feed(pipe: Any, stream: Stream, failures: list[BaseException]) -> None:
    try:
        with pipe:
            for chunk in stream:
                pipe.write(chunk)
    except BrokenPipeError:
        pass  # the decoder has given up; its exit code says so
    except BaseException as error:  # handed to the thread that reads, which raises it
        failures.append(error)


_DECODERS: dict[str, Callable[[Stream], Iterator[bytes]]] = {
    "gzip": _gzip,
    "zstd": _zstd,
    "xz": _xz,
    "bzip2": _bzip2,
}
