"""Builds: Docker's classic endpoint, and what keeps the build cache small."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.api import filters
from composer.api.http import reading
from composer.api.http.problems import Problem
from composer.api.images import building_requests, finding, registries, streams, telling
from composer.api.images.builders import builds_with
from composer.api.images.classic import Classic
from composer.parallel import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from composer.api.http.call import Call
    from composer.api.images.streams import Lines
    from composer.api.world import World
    from composer.runtime.build.requests import Built, Request

_SHORT = 12


class Running:
    """The builds that can be ended by an id of their client's. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops: dict[str, Stop] = {}

    def begin(self, id: str, stop: Stop) -> None:
        with self._lock:
            self._stops[id] = stop

    def end(self, id: str) -> None:
        with self._lock:
            self._stops.pop(id, None)

    def cancel(self, id: str) -> None:
        with self._lock:
            stop = self._stops.get(id)
        if stop is not None:
            stop.set()


def running(world: World) -> Running:
    found: Running = world.kept("builds", Running)
    return found


def build(call: Call) -> None:
    """Build an image of a context that is sent, or of one that is elsewhere."""
    stop = Stop()
    environment = registries.environment_for_all(call)
    request = building_requests.request_of(call, environment)._replace(stop=stop)
    id = call.query.text("buildid")
    if id:
        running(call.world).begin(id, stop)
    try:
        streams.run(call, lambda lines, stop: _build(call, request, lines, stop), said, stop=stop)
    finally:
        if id:
            running(call.world).end(id)


def _build(call: Call, request: Request, lines: Lines, stop: Stop) -> None:
    quiet = call.query.flag("q")
    upload = Upload(call.upload())
    if request.context != "-":
        upload.drain()
    classic = Classic(lines.write, lambda name: _base(call.world, name), quiet=quiet)
    with registries.images(call.world, request.environment) as images, stop.calling(images.abort):
        built = builds_with(call.world, images).build(request, classic.tell, upload)  # type: ignore[arg-type]
    upload.drain()
    _end(call, request, built, lines, quiet=quiet)


def _end(call: Call, request: Request, built: Built, lines: Lines, *, quiet: bool) -> None:
    assert built.image is not None, "without outputs the image is in the store"
    id = built.image.id
    if quiet:
        lines.write({"stream": f"{id}\n"})
    else:
        lines.write({"aux": {"ID": id}})
        for warning in built.warnings:
            lines.write({"stream": f"[Warning] {warning}\n"})
        lines.write({"stream": f"Successfully built {id.removeprefix('sha256:')[:_SHORT]}\n"})
    for name in request.names:
        telling.event(call.world, "tag", id, name)
        if not quiet:
            lines.write({"stream": f"Successfully tagged {finding.reference(name).familiar()}\n"})


def _base(world: World, name: str) -> str:
    try:
        found = world.core.store.find(name)
    except errors.ComposerError:
        return ""
    return found.id if found is not None else ""


class Upload:
    """A body that comes in pieces, as a file that is read from its begin to its end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        """Return at most ``size`` bytes, as soon as there are some; nothing at the end."""
        if not self._left:
            self._left = next(self._pieces, b"")
        found = self._left if size < 0 else self._left[:size]
        self._left = self._left[len(found) :]
        return found

    def drain(self) -> None:
        """Read what is left, so that the connection can be used again."""
        while self.read(1 << 20):
            pass


def said(error: Exception) -> Exception:
    """Return an error of a build in Docker's words, as far as clients look for them."""
    if isinstance(error, errors.Cancelled):
        return Problem(500, "build cancelled")
    if not isinstance(error, errors.BuildFailed) or isinstance(error, errors.DockerfileInvalid):
        return error
    if error.code is not None:
        failed = Problem(
            500, f"The command '{' '.join(error.command)}' returned a non-zero code: {error.code}"
        )
        failed.code = error.code  # type: ignore[attr-defined]
        return failed
    text = str(error)
    if "failed to read dockerfile: open " in text and "no such file" in text:
        name = text.partition("open ")[2].partition(":")[0]
        return Problem(500, f"Cannot locate specified Dockerfile: {name}")
    return Problem(500, f"{text} ({error.hint})" if error.hint else text)


# ------------------------------------------------------------------ the cache


def prune(call: Call) -> tuple[int, Any]:
    wanted = filters.read(
        call, ("id", "until", "unused-for", "inuse", "shared", "private", "type", "description", "parent")
    )
    most = _size(call, "keep-storage")
    for name in ("reserved-space", "max-used-space"):
        found = _size(call, name)
        most = found if most is None else most
    if _size(call, "min-free-space"):
        raise Problem(400, "min-free-space is not supported: use keep-storage")
    age_s = _age_s(wanted)
    everything = call.query.flag("all")
    gone, freed = call.world.engine.builds.prune(
        everything=everything, most_bytes=most, unused_for_s=age_s, wanted=_wanted(wanted)
    )
    return 200, {"CachesDeleted": list(gone) or None, "SpaceReclaimed": freed}


def _size(call: Call, name: str) -> int | None:
    text = call.query.text(name)
    if not text or text == "0":
        return None
    try:
        return reading.digits(text)
    except ValueError as error:
        raise Problem(400, f"{name} is in bytes and expects an integer, got {text[:40]}: {error}") from None


def _age_s(wanted: filters.Filters) -> float:
    import time

    from composer.api import times

    texts = (*wanted.texts("until"), *wanted.texts("unused-for"))
    ages = [
        (time.time_ns() - found) / 1e9 for text in texts if (found := times.read(text, "until")) is not None
    ]
    return max(ages, default=0.0)


def _wanted(wanted: filters.Filters) -> Callable[[Any], bool]:
    in_use, shared, private = (wanted.flag(name) for name in ("inuse", "shared", "private"))
    if "parent" in wanted:
        raise Problem(400, "invalid filter 'parent': the steps of the cache have none")

    def fits(entry: Any) -> bool:
        return (
            wanted.fits("id", lambda text: entry.id.startswith(text))
            and wanted.fits_exactly("type", entry.kind)
            and wanted.fits("description", lambda text: text in entry.what)
            and in_use in (None, entry.in_use)
            and shared in (None, entry.shared)
            and private in (None, not entry.shared)
        )

    return fits


def cancel(call: Call) -> tuple[int, Any]:
    id = call.query.text("id")
    if not id:
        raise Problem(400, "build ID not provided")
    running(call.world).cancel(id)
    return 200, None
