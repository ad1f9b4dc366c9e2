"""Images that come and go: from and to registries, archives, and tarballs of root filesystems."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from composer import dates, errors
from composer.api.http.call import TAR
from composer.api.http.problems import Problem
from composer.api.images import finding, pulling, pushing, streams, telling
from composer.api.images.listing import of_platform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.api.http.call import Call, Sink
    from composer.api.images.streams import Lines
    from composer.parallel import Stop
    from composer.runtime.images import Image

_PIECE_BYTES = 1 << 16


def create(call: Call) -> None:
    if call.query.text("fromSrc"):
        _import(call)
    else:
        for _ in call.upload():
            pass  # a pull has no body that counts
        pulling.pull(call)


def push(call: Call) -> None:
    pushing.push(call)


def distribution(call: Call) -> tuple[int, Any]:
    return pulling.distribution(call)


# ------------------------------------------------------------------ import


def _import(call: Call) -> None:
    from composer.api.images import changes

    query = call.query
    name = finding.tagged(query.text("repo"), query.text("tag"))
    config = changes.applied({}, changes.lines_of(query.texts("changes")))
    if config.pop("OnBuild", None):
        raise Problem(
            501, "an import with OnBuild is not supported: write ONBUILD in a Dockerfile FROM the image"
        )
    platform = finding.normal(query.text("platform")).split("/") if query.text("platform") else []
    made = {
        "config": config,
        "created": dates.utc_ns(time.time_ns()),
        "comment": query.text("message"),
        **dict(zip(("os", "architecture", "variant"), platform, strict=False)),
    }
    source = query.text("fromSrc")
    lines: list[dict[str, Any]] = []
    if source == "-":
        chunks = call.upload()
    else:
        for _ in call.upload():
            pass  # what is imported comes from elsewhere
        chunks = _fetched(call, source)
        lines.append({"status": f"Downloading from {source}"})
    try:
        image = call.world.core.store.import_chunks(chunks, name, made)
    except errors.ImageError as error:
        raise Problem(500, f"{error}") from None
    telling.event(call.world, "import", image.id, name or image.id)
    sink = call.begin(200, "application/json")
    for line in (*lines, {"status": image.id}):
        sink.write_line(line)
    sink.end()


def _fetched(call: Call, url: str) -> Iterator[bytes]:
    """Yield what is at a URL. Raises Problem."""
    from composer.registry import settings
    from composer.registry.transport import Transport

    if "://" not in url:
        url = f"http://{url}"
    if not url.startswith(("http://", "https://")):
        raise Problem(400, f"invalid fromSrc '{url}': use - or a URL with http or https")
    transport = Transport(settings.read(call.world.environment))
    try:
        response = transport.request("GET", url)
        if response.status != 200:
            response.close()
            raise Problem(404 if response.status == 404 else 500, f"{url} returned status {response.status}")
        while piece := response.read(_PIECE_BYTES):
            yield piece
    finally:
        transport.close()


# ------------------------------------------------------------------ save


class _Out:
    """A body as a file to write to, in pieces of one size at least: an archive has many small parts."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        if len(self._held) >= _PIECE_BYTES:
            self.flush()
        return len(data)

    def flush(self) -> None:
        held, self._held = bytes(self._held), bytearray()
        self._sink.write(held)


def save(call: Call) -> None:
    """Send images as an archive; its head goes out once all of them are found."""
    own = call.parameters.get("name")
    names = (
        [own] if own else [name for value in call.query.texts("names") for name in value.split(",") if name]
    )
    platform = _platform(call)
    references = [_saved_as(call, name, platform) for name in names]
    opened: list[tuple[_Out, Sink]] = []

    def begin() -> Any:
        sink = call.begin(200, TAR)
        opened.append((_Out(sink), sink))
        return opened[0][0]

    try:
        call.world.core.store.write(references, begin, platform=platform)
    except errors.NotFound as error:
        raise Problem(404, str(error)) from None
    out, sink = opened[0]
    out.flush()
    sink.end()
    for name in names:
        telling.event(call.world, "save", name, name)


def _saved_as(call: Call, name: str, platform: str) -> str:
    try:
        found: Image = finding.image(call.world, name)
    except Problem as problem:
        if problem.status == 404:
            raise Problem(404, f"No such image: {name}") from None
        raise
    if platform:
        try:
            of_platform(found, name, platform)
        except Problem:
            raise Problem(500, f"no suitable export target found for platform {platform}") from None
    return found.id if finding.is_id(name, found) else name


def _platform(call: Call) -> str:
    """Return the one platform that is asked for. API 1.48 and later send JSON, from 1.52 on several."""
    if call.version < (1, 48):
        return ""
    if len(call.query.texts("platform")) > 1:
        raise Problem(400, "one platform at most: an archive of several is that of none in particular")
    return finding.platform_of(call)


# ------------------------------------------------------------------ load


def load(call: Call) -> None:
    platform = _platform(call)
    with _spooled(call) as path:

        def work(lines: Lines, stop: Stop) -> None:
            for image, name in _loaded(call, path, platform):
                said = f"Loaded image: {name}" if name else f"Loaded image ID: {image.id}"
                lines.write({"stream": f"{said}\n"})
                telling.event(call.world, "load", image.id, name or image.id)

        def said(error: Exception) -> Exception:
            text = str(error).replace(f"'{path}'", "the archive")
            return Problem(400, text) if isinstance(error, errors.ImageError) else error

        streams.run(call, work, said)


def _loaded(call: Call, path: str, platform: str) -> Iterator[tuple[Image, str]]:
    for image, names in call.world.engine.images.load_named(path, platform):
        for name in names or ("",):
            yield image, name


@contextlib.contextmanager
def _spooled(call: Call) -> Iterator[str]:
    """Keep a body in a file for the time of the block: an archive is read in no order of its own."""
    from composer.runtime.base import making

    store = call.world.core.store
    with store.using():
        pass  # makes its directories
    with making.temporary_file(f"{call.world.paths.root}/images/blobs") as (path, fd):
        for piece in call.upload():
            view = memoryview(piece)
            while view:
                view = view[os.write(fd, view) :]
        yield path
