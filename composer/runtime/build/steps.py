"""The steps of a stage that change files: RUN, COPY, ADD and WORKDIR. Each is found in the cache, or carried out.

What decides about a step is in its key; see `cache`. A step that is carried out writes into a new layer over the
files so far, which becomes a snapshot.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from composer.errors import BuildFailed, ComposerError
from composer.runtime.build import history, running
from composer.runtime.build.cache import key_of
from composer.runtime.build.stage import directory_of
from composer.runtime.objects import specs

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.runtime.build.building import Build
    from composer.runtime.build.cache import Snapshot
    from composer.runtime.build.dockerfile import instructions as said
    from composer.runtime.build.stage import Stage
    from composer.runtime.build.telling import Showing

_TAIL_LINES = 25
_SCRIPTS = "/dev/pipes"


class Made(NamedTuple):
    """What a step left: its key, and its files."""

    key: str
    snapshot: Snapshot


def carry_out(
    build: Build, stage: Stage, shown: Showing, key: str, what: str, make: Callable[[], Snapshot]
) -> Made:
    """Return a step's result from the cache, or from ``make``."""
    base = stage.files.key
    with build.cache.carrying_out(key):
        found = None if build.ignores_cache(stage.name) else build.cache.find(key)
        if found is not None:
            build.lease.add([found.snapshot.directory])
            shown.cached()
            return Made(key, found.snapshot)
        begun_s = time.monotonic()
        with shown.running():
            snapshot = make()
        build.cache.keep(key, snapshot, what=what, base=base, seconds=time.monotonic() - begun_s)
        build.lease.add([snapshot.directory])
    return Made(key, snapshot)


def advance(stage: Stage, made: Made, created_by: str) -> None:
    """Put a step's files over those of the stage."""
    stage.files = stage.files.over(made.key, made.snapshot)
    stage.note(created_by, created_ns=made.snapshot.created_ns)


# ------------------------------------------------------------------ WORKDIR


def workdir(build: Build, stage: Stage, one: said.Workdir, shown: Showing) -> None:
    path = directory_of(stage, stage.expand(one.path, one.at))
    stage.config["WorkingDir"] = path
    created_by = f"WORKDIR {path}"
    if path == "/":
        stage.note(created_by)
        return
    user = str(stage.config.get("User") or "")
    key = key_of("workdir", stage.files.key, path, user, build.epoch_key())

    def make() -> Snapshot:
        from composer.runtime.build.context.owners import resolve_owner
        from composer.runtime.build.context.targets import Target

        def write(root: int) -> None:
            owner = resolve_owner(root, user) if user else (0, 0)
            target = Target(root, owner=owner, time_ns=build.epoch_ns())
            os.close(target.make_directories(target.look_up(path.lstrip("/")).path))

        return build.changed(stage.files, write)

    advance(stage, carry_out(build, stage, shown, key, created_by, make), created_by)


# ------------------------------------------------------------------ RUN


def run(build: Build, stage: Stage, one: said.Run, shown: Showing) -> None:
    from composer.runtime.build import runmounts

    arguments, script = arguments_of(stage, one)
    environment = stage.run_environment()
    directory = str(stage.config.get("WorkingDir") or "/")
    user = str(stage.config.get("User") or "")
    network = _network(build, stage, one)
    is_insecure = _is_insecure(build, stage, one)
    created_by = history.run(arguments, stage.run_arguments())
    with runmounts.resolved(build, stage, one) as mounts:
        request = build.request
        key = key_of(
            "run",
            stage.files.key,
            [arguments, script.content.decode() if script and script.content else ""],
            environment,
            directory,
            user,
            [network, is_insecure],
            mounts.keys,
            [list(pair) for pair in request.extra_hosts],
            build.epoch_key(),
        )

        def make() -> Snapshot:
            command = running.Command(
                arguments,
                [*stage.proxies(), *environment, *mounts.environment],
                user,
                directory,
                build.mounter.directories(stage.files),
                programs=stage.files.programs,
                mounts=mounts.mounts,
                files=[*mounts.files, *([script] if script else [])],
                trees=mounts.trees,
                network=network,
                extra_hosts=request.extra_hosts,
                shm_bytes=request.shm_bytes,
                limits=request.limits,
                is_insecure=is_insecure,
                keep_failed=request.keep_failed,
            )
            return _run(build, stage, one, command, shown)

        advance(stage, carry_out(build, stage, shown, key, created_by, make), created_by)


def arguments_of(stage: Stage, one: said.Run) -> tuple[list[str], specs.File | None]:
    """Return the command line of RUN, and the script that is to be there for it.

    A heredoc that is the whole command is the shell's script, or one with an interpreter of its own (``#!``).
    """
    if one.command.is_exec:
        return list(one.command.words), None
    line = one.command.words[0]
    if not one.heredocs:
        return [*stage.shell(), line], None
    first = one.heredocs[0]
    if len(line.split()) == 1 and line.lstrip().startswith("<<"):
        if first.content.startswith("#!"):
            path = f"{_SCRIPTS}/{first.name}"
            return [*stage.shell(), path], specs.File(
                "script", first.name, path, content=first.content.encode(), mode=0o755
            )
        return [*stage.shell(), first.content], None
    whole = "".join([line, *(f"\n{doc.content}{doc.name}" for doc in one.heredocs)])
    return [*stage.shell(), whole], None


def _run(build: Build, stage: Stage, one: said.Run, command: running.Command, shown: Showing) -> Snapshot:
    with build.mounter.reading(stage.files) as root:
        try:
            with build.runner.changes_of(command, root, shown.output) as changed:
                return build.take(changed)
        except running.CommandFailed as error:
            raise _run_failed(build, stage, one, error, shown) from None
        except ComposerError as error:
            if isinstance(error, BuildFailed):
                raise
            raise stage.failed(one.at, f"cannot run the command: {error}", hint=error.hint) from error


def _run_failed(
    build: Build, stage: Stage, one: said.Run, error: running.CommandFailed, shown: Showing
) -> BuildFailed:
    code = "an unknown exit code" if error.exit_code is None else f"exit code: {error.exit_code}"
    shell = " ".join(arguments_of(stage, one)[0])
    hint = "correct the command, or keep its container with --keep-failed"
    if error.container:
        hint = f"look into container {error.container}, and remove it with composer container rm {error.container}"
    failed = stage.failed(
        one.at, f'process "{shell.strip()}" did not complete successfully: {code}', hint=hint
    )
    for line in shown.tail(_TAIL_LINES):
        failed.add_note(f"  > {line}")
    return failed


def _network(build: Build, stage: Stage, one: said.Run) -> str:
    wanted = one.network if one.network != "default" else build.request.network or "default"
    is_allowed = "network.host" in build.request.entitlements or build.request.network == "host"
    if one.network == "host" and not is_allowed:
        raise stage.failed(
            one.at,
            "RUN --network=host is not allowed: network.host is not among the entitlements of this build",
            hint="add it: build.entitlements: [network.host], or --allow network.host",
        )
    return wanted


def _is_insecure(build: Build, stage: Stage, one: said.Run) -> bool:
    if one.security != "insecure":
        return False
    if "security.insecure" not in build.request.entitlements:
        raise stage.failed(
            one.at,
            "RUN --security=insecure is not allowed: security.insecure is not among the entitlements of this build",
            hint="add it: build.privileged: true, or --allow security.insecure",
        )
    return True


# ------------------------------------------------------------------ COPY and ADD


def copy(build: Build, stage: Stage, one: said.Copy, shown: Showing) -> None:
    from composer.runtime.build import copies

    copies.copy(build, stage, one, shown)


def add(build: Build, stage: Stage, one: said.Add, shown: Showing) -> None:
    from composer.runtime.build import copies

    copies.add(build, stage, one, shown)
