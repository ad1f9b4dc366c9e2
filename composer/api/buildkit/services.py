"""What BuildKit's clients call: Control, the bridge by which they say what to build, and the health of the server."""

from __future__ import annotations

import threading
import traceback
from typing import TYPE_CHECKING, Any

from composer.api.buildkit import grpc, jobs, messages
from composer.api.buildkit.http2 import Connection
from composer.api.buildkit.jobs import Jobs
from composer.api.buildkit.sessions import Sessions
from composer.api.buildkit.showing import moment
from composer.api.http.call import STREAM
from composer.runtime.images import manifests

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.api.buildkit.grpc import Asked
    from composer.api.buildkit.jobs import Job
    from composer.api.http.call import Call
    from composer.api.world import World
    from composer.runtime.build.cache.pruning import Entry

_SERVING, _COMPLETE = 1, 1
_CAPABILITIES = (
    "solve.base",
    "return",
    "returnmap",
    "proto.refarray",
    "reference.output",
    "importcaches",
    "gateway.solve.evaluate",
    "gateway.warnings",
)
"""Of the bridge: a build by a frontend, and its result."""


def grpc_endpoint(call: Call) -> None:
    """Answer the calls of one client, until it has gone."""
    services = Services(call.world)
    wire = call.take_over(STREAM)
    Connection(wire, call.rest(), serve=services.table().serve).run()


def session_endpoint(call: Call) -> None:
    """Keep a session for as long as the client does."""
    sessions: Sessions = call.world.kept("buildkit-sessions", Sessions)
    sessions.serve(call)


class Services:
    """The services of one connection."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._jobs: Jobs = world.kept("buildkit-jobs", Jobs)
        self._sessions: Sessions = world.kept("buildkit-sessions", Sessions)

    def table(self) -> grpc.Table:
        handlers: dict[str, dict[str, Callable[[Asked], None]]] = {
            "moby.buildkit.v1.Control": {
                "Solve": self.solve,
                "Status": self.status,
                "ListWorkers": self.list_workers,
                "Info": self.info,
                "DiskUsage": self.disk_usage,
                "Prune": self.prune,
                "ListenBuildHistory": self.history,
                "UpdateBuildHistory": self.update_history,
            },
            "moby.buildkit.v1.frontend.LLBBridge": {
                "Ping": self.ping,
                "Solve": self.bridge_solve,
                "Return": self.bridge_return,
                "Evaluate": self.acknowledge,
                "Warn": self.acknowledge,
            },
            "grpc.health.v1.Health": {"Check": self.health},
        }
        return grpc.Table(dict(grpc.pairs(handlers)), self._tell)

    # -------------------------------------------------------------- builds

    def solve(self, asked: Asked) -> None:
        """Begin a build, and answer at its end."""
        request = asked.read(messages.SOLVE)
        if request["Definition"] or request["FrontendInputs"]:
            raise grpc.Failed(
                grpc.UNIMPLEMENTED, "builds of LLB definitions are not supported: build a Dockerfile"
            )
        job = self._jobs.begin(request["Ref"])
        asked.on_cancel(job.stop.set)
        job.ask(request)
        try:
            if request["Frontend"]:
                self._build(job, request["Frontend"], request["FrontendAttrs"], [])
            else:
                job.await_returned()
        except grpc.Failed as error:
            job.failure = error
            raise
        finally:
            job.end()
        asked.write(messages.SOLVED, {"ExporterResponse": job.response})

    def _build(
        self, job: Job, frontend: str, options: dict[str, str], imports: list[Any]
    ) -> dict[str, bytes]:
        session = self._sessions.get(job.asked["Session"])
        return jobs.build(self._world, session, job, frontend, options, imports)

    def bridge_solve(self, asked: Asked) -> None:
        request = asked.read(messages.BRIDGE_SOLVE)
        job = self._job_of(asked)
        if request["Definition"] or request["FrontendInputs"]:
            raise grpc.Failed(
                grpc.UNIMPLEMENTED,
                "results of one build as inputs of another are not supported: tag them, and build FROM the tags",
            )
        asked.on_cancel(job.stop.set)
        job.await_asked()
        metadata = self._build(job, request["Frontend"], request["FrontendOpt"], request["CacheImports"])
        result = {"ref": {"id": job.ref}, "metadata": metadata}
        asked.write(messages.BRIDGE_SOLVED, {"ref": job.ref, "result": result})

    def bridge_return(self, asked: Asked) -> None:
        request = asked.read(messages.RETURN)
        error = request["error"]
        failed = error is not None and (error["code"] or error["message"])
        self._job_of(asked).give_back(grpc.Failed(error["code"], error["message"]) if failed else None)
        asked.write(messages.EMPTY, {})

    def _job_of(self, asked: Asked) -> Job:
        return self._jobs.get(asked.metadata.get("buildkit-controlapi-buildid", ""))

    def status(self, asked: Asked) -> None:
        job = self._jobs.get(asked.read(messages.REF)["Ref"])
        for update in job.showing.updates():
            asked.write(messages.PROGRESS, update)

    # -------------------------------------------------------------- what is told of the server

    def ping(self, asked: Asked) -> None:
        asked.read(messages.EMPTY)
        enabled = [{"ID": name, "Enabled": True} for name in _CAPABILITIES]
        asked.write(messages.PONG, {"FrontendAPICaps": enabled, "LLBCaps": [], "Workers": [self._worker()]})

    def _worker(self) -> dict[str, Any]:
        return {
            "ID": "composer",
            "Labels": {"org.mobyproject.buildkit.worker.executor": "containers"},
            "platforms": [
                {"Architecture": architecture, "OS": "linux", "Variant": variant}
                for architecture, variant in manifests.platforms()
            ],
            "BuildkitVersion": self._version(),
        }

    def _version(self) -> dict[str, str]:
        return {"package": "composer", "version": f"v{self._world.version}"}

    def list_workers(self, asked: Asked) -> None:
        asked.write(messages.WORKERS, {"record": [self._worker()]})

    def info(self, asked: Asked) -> None:
        asked.write(messages.INFO, {"buildkitVersion": self._version()})

    def health(self, asked: Asked) -> None:
        asked.write(messages.HEALTH, {"status": _SERVING})

    def acknowledge(self, asked: Asked) -> None:
        """Answer what has been done already, or has no effect here."""
        asked.write(messages.EMPTY, {})

    # -------------------------------------------------------------- the cache

    def disk_usage(self, asked: Asked) -> None:
        from composer.runtime.build.cache import pruning

        wanted = _filter(asked.read(messages.USAGE_QUERY)["filter"])
        entries = pruning.entries_of(self._world.paths.root)
        asked.write(messages.USAGES, {"record": [_usage(one) for one in entries if wanted(one)]})

    def prune(self, asked: Asked) -> None:
        from composer.runtime.build.cache import pruning

        request = asked.read(messages.PRUNE)
        if request["minFreeSpace"]:
            raise grpc.Failed(grpc.UNIMPLEMENTED, "min-free-space is not supported: use --max-used-space")
        before = {one.id: one for one in pruning.entries_of(self._world.paths.root)}
        most = request["maxUsedSpace"] or request["reservedSpace"] or None
        gone, _ = self._world.engine.builds.prune(
            everything=request["all"],
            most_bytes=most,
            unused_for_s=request["keepDuration"] / 1e9,
            wanted=_filter(request["filter"]),
        )
        for id in gone:
            if id in before:
                asked.write(messages.USAGE, _usage(before[id]))

    # -------------------------------------------------------------- what was built

    def history(self, asked: Asked) -> None:
        """Tell of the last builds, and of those to come unless the client wants to know no more."""
        request = asked.read(messages.HISTORY_QUERY)
        for job in self._jobs.all():
            if request["Ref"] in ("", job.ref) and job.ended_ns and not request["ActiveOnly"]:
                asked.write(messages.HISTORY_EVENT, {"type": _COMPLETE, "record": _record(job)})
        if not request["EarlyExit"]:
            gone = threading.Event()
            asked.on_cancel(gone.set)
            gone.wait()

    def _tell(self, path: str, error: BaseException) -> None:
        self._world.log(f"{path}\n{''.join(traceback.format_exception(error)).rstrip()}")

    def update_history(self, asked: Asked) -> None:
        """Nothing of the history is kept, so there is nothing to pin or to delete."""
        asked.write(messages.EMPTY, {})


def _filter(texts: list[str]) -> Callable[[Entry], bool]:
    """Return which entries are meant: each text has conditions that all have to hold, ``type==regular,id~=abc``."""
    fields = ("id", "type", "inuse", "shared", "private", "description")
    texts = [text for text in texts if text]
    for text in texts:
        for part in text.split(","):
            name = part.partition("=")[0].rstrip("~!=")
            if name not in fields:
                raise grpc.Failed(grpc.INVALID, f"invalid filter '{part}': use {', '.join(fields)}")

    def value(entry: Entry, name: str) -> str:
        found = {
            "id": entry.id,
            "type": entry.kind,
            "inuse": str(entry.in_use).lower(),
            "shared": str(entry.shared).lower(),
            "private": str(not entry.shared).lower(),
            "description": entry.what,
        }
        return found[name]

    def holds(entry: Entry, part: str) -> bool:
        for operator in ("==", "!=", "~="):
            name, found, wanted = part.partition(operator)
            if found:
                have, wanted = value(entry, name), wanted.strip('"')
                if operator == "~=":
                    return wanted in have
                return (have == wanted) == (operator == "==")
        return value(entry, part) == "true"

    return lambda entry: (
        not texts or any(all(holds(entry, part) for part in text.split(",")) for text in texts)
    )


def _usage(entry: Entry) -> dict[str, Any]:
    return {
        "ID": entry.id,
        "Mutable": entry.kind != "regular",
        "InUse": entry.in_use,
        "Size": entry.size_bytes,
        "CreatedAt": moment(entry.created_ns),
        "LastUsedAt": moment(entry.used_ns),
        "UsageCount": 1,
        "Description": entry.what,
        "RecordType": entry.kind,
        "Shared": entry.shared,
    }


def _record(job: Job) -> dict[str, Any]:
    failure = job.failure
    return {
        "Ref": job.ref,
        "Frontend": job.asked.get("Frontend", ""),
        "FrontendAttrs": job.asked.get("FrontendAttrs", {}),
        "Exporters": job.asked.get("Exporters", []),
        "error": {"code": failure.code, "message": failure.message} if failure is not None else None,
        "CreatedAt": moment(job.begun_ns),
        "CompletedAt": moment(job.ended_ns),
        "ExporterResponse": job.response,
    }
