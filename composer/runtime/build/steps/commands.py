"""RUN and WORKDIR as steps.

What decides about a step is in its key; see `cache`. A step that is carried out writes into a new layer over the
files so far, which becomes a snapshot.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from composer.runtime.build.cache.cache import key_of
from composer.runtime.build.steps import history, runmounts
from composer.runtime.build.steps.carrying import Made, advance, carry_out
from composer.runtime.build.steps.stage import directory_of

if TYPE_CHECKING:
    from composer.runtime.build.dockerfile import instructions as said
    from composer.runtime.build.steps.stage import Stage
    from composer.runtime.build.steps.work import Work
    from composer.runtime.build.telling import Showing
    from composer.runtime.objects import specs

_SCRIPTS = "/dev/pipes"


# ------------------------------------------------------------------ WORKDIR


def workdir(work: Work, stage: Stage, one: said.Workdir, shown: Showing) -> None:
    path = directory_of(stage, stage.expand(one.path, one.at))
    stage.config["WorkingDir"] = path
    created_by = f"WORKDIR {path}"
    if path == "/":
        stage.note(created_by)
        return
    user = str(stage.config.get("User") or "")
    key = key_of("workdir", stage.files.key, path, user, work.epoch_key())

    def make() -> Made:
        from composer.runtime.build.context.owners import resolve_owner
        from composer.runtime.build.context.targets import Target

        def write(root: int) -> None:
            owner = resolve_owner(root, user) if user else (0, 0)
            target = Target(root, owner=owner, time_ns=work.epoch_ns())
            os.close(target.make_directories(target.look_up(path.lstrip("/")).path))

        return Made(key, work.changed(stage.files, write))

    advance(stage, carry_out(work, stage, shown, key, created_by, make), created_by)


# ------------------------------------------------------------------ RUN


def run(work: Work, stage: Stage, one: said.Run, shown: Showing) -> None:
    if one.devices:
        raise stage.failed(
            one.at,
            "RUN --device is not supported by the built-in runtime",
            hint="remove it, or use --backend docker",
        )
    arguments, script = arguments_of(stage, one)
    environment = stage.run_environment()
    directory = str(stage.config.get("WorkingDir") or "/")
    user = str(stage.config.get("User") or "")
    network = _network(work, stage, one)
    is_insecure = _is_insecure(work, stage, one)
    created_by = history.run(arguments, stage.run_arguments())
    with runmounts.resolved(work, stage, one) as mounts:
        request = work.request
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
            work.epoch_key(),
        )

        def make() -> Made:
            # what runs containers is for builds that run something
            from composer.runtime.build.steps import executing, running

            command = running.Command(
                arguments,
                [*stage.proxies(), *environment, *mounts.environment],
                user,
                directory,
                work.mounter.directories(stage.files),
                programs=stage.files.programs,
                mounts=mounts.mounts,
                files=[*mounts.files, *([script] if script else [])],
                trees=mounts.trees,
                network=network,
                extra_hosts=request.extra_hosts,
                shm_bytes=request.shm_bytes,
                limits=request.limits,
                resources=request.resources,
                stop=request.stop,
                is_insecure=is_insecure,
                keep_failed=request.keep_failed,
            )
            return Made(key, executing.execute(work, stage, one, command, shown))

        advance(stage, carry_out(work, stage, shown, key, created_by, make), created_by)


def arguments_of(stage: Stage, one: said.Run) -> tuple[list[str], specs.File | None]:
    """Return the command line of RUN, and the script that is to be there for it.

    That is a heredoc with an interpreter of its own (``#!``).
    """
    if one.command.is_exec:
        return list(one.command.words), None
    if one.program:
        path = f"{_SCRIPTS}/{one.program}"
        from composer.runtime.objects import specs

        content = one.script.encode()
        return [*stage.shell(), path], specs.File("script", one.program, path, content=content, mode=0o755)
    return [*stage.shell(), one.script], None


def _network(work: Work, stage: Stage, one: said.Run) -> str:
    wanted = one.network if one.network != "default" else work.request.network or "default"
    is_allowed = "network.host" in work.request.entitlements or work.request.network == "host"
    if one.network == "host" and not is_allowed:
        raise stage.failed(
            one.at,
            "RUN --network=host is not allowed: network.host is not among the entitlements of this build",
            hint="add it: build.entitlements: [network.host], or --allow network.host",
        )
    return wanted


def _is_insecure(work: Work, stage: Stage, one: said.Run) -> bool:
    if one.security != "insecure":
        return False
    if "security.insecure" not in work.request.entitlements:
        raise stage.failed(
            one.at,
            "RUN --security=insecure is not allowed: security.insecure is not among the entitlements of this build",
            hint="add it: build.privileged: true, or --allow security.insecure",
        )
    return True
