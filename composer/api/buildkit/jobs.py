"""Builds of BuildKit's clients, by their references: what was asked, how far it is, what came of it.

A client asks for a build on one call, says what it is on others, and looks on yet another; in whatever order.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.api.buildkit import checks, exports, grpc
from composer.api.buildkit.http2 import Reset
from composer.api.buildkit.options import Options, cache_text
from composer.api.buildkit.preparing import Preparing
from composer.api.buildkit.showing import Showing
from composer.api.http.problems import Problem
from composer.api.images import registries, telling
from composer.parallel import Stop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.api.buildkit.exports import Export
    from composer.api.buildkit.sessions import Session
    from composer.api.world import World
    from composer.runtime.build.requests import Built, Request

_PATIENCE_S = 20.0
_MOST_KEPT = 64
_FRONTEND, _CHECK = "dockerfile.v0", "frontend.lint"


class Job:
    """One build."""

    def __init__(self, ref: str) -> None:
        self.ref = ref
        self.showing, self.stop = Showing(ref), Stop()
        self.asked: dict[str, Any] = {}
        self.begun_ns, self.ended_ns = time.time_ns(), 0
        self.response: dict[str, str] = {}
        self.failure: grpc.Failed | None = None
        self._asked, self._returned = threading.Event(), threading.Event()
        self.stop_calls = contextlib.ExitStack()

    def ask(self, asked: dict[str, Any]) -> None:
        self.asked = asked
        self._asked.set()

    def await_asked(self) -> None:
        """Wait until it is known what the result is to become. Raises Failed."""
        if not self._asked.wait(_PATIENCE_S):
            raise grpc.Failed(grpc.NOT_FOUND, f"no such job {self.ref}")

    def give_back(self, failure: grpc.Failed | None) -> None:
        """The client has said that this is its result."""
        self.failure = failure
        self._returned.set()

    def await_returned(self) -> None:
        """Wait for the client's word, or its end. Raises Failed."""
        with self.stop.calling(self._returned.set):
            self._returned.wait()
        if self.failure is not None:
            raise self.failure
        if self.stop.is_set():
            raise grpc.Failed(grpc.CANCELLED, "context canceled")

    def end(self) -> None:
        self.ended_ns = time.time_ns()
        self.showing.end()


class Jobs:
    """The builds that are under way, and the last ones that have ended. Safe for threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._found: dict[str, Job] = {}

    def begin(self, ref: str) -> Job:
        """Return a job of this reference, new if there is none. Raises Failed."""
        if not ref:
            raise grpc.Failed(grpc.INVALID, "a build needs a reference")
        with self._changed:
            found = self._found.get(ref)
            if found is None:
                found = self._found[ref] = Job(ref)
                ended = [one for one in self._found.values() if one.ended_ns]
                for one in ended[: max(0, len(self._found) - _MOST_KEPT)]:
                    del self._found[one.ref]
                self._changed.notify_all()
            return found

    def get(self, ref: str) -> Job:
        """Return a job, which may be about to come. Raises Failed."""
        with self._changed:
            if not self._changed.wait_for(lambda: ref in self._found, _PATIENCE_S):
                raise grpc.Failed(grpc.NOT_FOUND, f"no such job {ref}")
            return self._found[ref]

    def all(self) -> list[Job]:
        with self._changed:
            return list(self._found.values())


# ------------------------------------------------------------------ building


def build(
    world: World,
    session: Session,
    job: Job,
    frontend: str,
    options: Mapping[str, str],
    imports: Sequence[Any],
) -> dict[str, bytes]:
    """Build what a client asks for, and hand it over; return what is told of the result. Raises Failed."""
    try:
        if frontend != _FRONTEND:
            raise errors.BuildFailed(
                f"the frontend '{frontend}' is not supported",
                hint="remove the syntax line, or use a Dockerfile",
            )
        return _build(world, session, job, Options(options), imports)
    except errors.Cancelled:
        raise grpc.Failed(grpc.CANCELLED, "context canceled") from None
    except Problem as problem:
        raise grpc.Failed(grpc.UNKNOWN, problem.message) from None
    except errors.ComposerError as error:
        raise grpc.Failed(grpc.UNKNOWN, _text(error)) from None
    except Reset as error:
        if job.stop.is_set():
            raise grpc.Failed(grpc.CANCELLED, "context canceled") from None
        raise grpc.Failed(grpc.UNKNOWN, f"the session of the client has ended: {error}") from None


def _text(error: errors.ComposerError) -> str:
    hint = f" ({error.hint})" if error.hint else ""
    return "\n".join((f"{error}{hint}", *getattr(error, "__notes__", ())))


def _build(
    world: World, session: Session, job: Job, options: Options, imports: Sequence[Any]
) -> dict[str, bytes]:
    if options.subrequest not in ("", _CHECK):
        raise errors.BuildFailed(
            f"the request '{options.subrequest}' is not supported",
            hint="check a Dockerfile with composer image build --check",
        )
    with contextlib.ExitStack() as held:
        preparing = Preparing(world, session, options, job.showing.tell, held)
        wanted = exports.planned(_wanted(job), preparing.scratch)
        prepared = preparing.run()
        request = _with_exports(prepared.request, job, wanted, imports)
        if options.subrequest:
            request = request._replace(only_checks=True, outputs=())
        images = held.enter_context(registries.images(world, request.environment))
        held.enter_context(job.stop.calling(images.abort))
        from composer.api.images.builders import builds_with

        built = builds_with(world, images).build(request, job.showing.tell, prepared.standard_input)
        if options.subrequest:
            return checks.documents(built.warnings, options.filename, preparing.dockerfile)
        for line in built.warnings:
            job.showing.warn(line)
        for export in wanted:
            exports.send(export, session)
            if export.is_pushed:
                _push(world, preparing, export)
        return _end(world, job, built, wanted)


def _wanted(job: Job) -> list[dict[str, Any]]:
    asked = job.asked
    if asked["Exporters"]:
        return list(asked["Exporters"])
    if asked["ExporterDeprecated"]:
        return [{"Type": asked["ExporterDeprecated"], "Attrs": asked["ExporterAttrsDeprecated"]}]
    return []


def _with_exports(request: Request, job: Job, wanted: Sequence[Export], imports: Sequence[Any]) -> Request:
    cache = job.asked["Cache"] or {"Exports": [], "Imports": [], "ImportRefsDeprecated": []}
    cache_to = [cache_text(one["Type"], one["Attrs"]) for one in cache["Exports"]]
    cache_from = [cache_text(one["Type"], one["Attrs"]) for one in (*cache["Imports"], *imports)]
    for text in (*cache_to, *cache_from):
        if text.startswith("type=local"):
            raise errors.BuildFailed(
                f"the cache '{text}' is not supported: it is a directory of the client",
                hint="use type=registry",
            )
    return request._replace(
        names=list(dict.fromkeys(name for one in wanted for name in one.names)),
        outputs=[one.output for one in wanted],
        cache_from=[*request.cache_from, *cache_from],
        cache_to=cache_to,
        entitlements=list(job.asked["Entitlements"]),
        stop=job.stop,
    )


def _push(world: World, preparing: Preparing, export: Export) -> None:
    from composer import references

    for name in export.names:
        environment = preparing.environment([references.parse(name).host])
        with registries.images(world, environment) as images:
            images.push(name)


def _end(world: World, job: Job, built: Built, wanted: Sequence[Export]) -> dict[str, bytes]:
    if built.image is None:
        return {}
    id = built.image.id
    names = list(dict.fromkeys(name for one in wanted for name in one.names))
    for name in names:
        telling.event(world, "tag", id, name)
    job.response = {"containerimage.digest": id, "containerimage.config.digest": id}
    if names:
        job.response["image.name"] = ",".join(names)
    if not wanted and not built.image.references:
        # the client wants nothing of it, not even here
        with contextlib.suppress(errors.BackendError):
            world.engine.images.remove(id)
    config = {"config": dict(built.config)}
    return {"containerimage.config": json.dumps(config).encode()}
