"""RUN --mount: what is shown to a command beside the files of its stage, and does not become part of the image.

bind     files of a stage, an image or a context; writes are thrown away
cache    a directory that later builds have again
tmpfs    an empty directory in memory
secret   a file or a variable of whoever builds; counts for no key, and is in no layer
ssh      the socket of an SSH agent
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import posixpath
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.runtime.base import state
from composer.runtime.build import running, sources
from composer.runtime.objects import specs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from composer.runtime.build.building import Build
    from composer.runtime.build.dockerfile import instructions as said
    from composer.runtime.build.stage import Stage

_SECRETS = "/run/secrets"
_AGENT = "/run/buildkit/ssh_agent"


class Mounts:
    """What the mounts of one RUN come to. ``keys`` is what counts of them for the step's key."""

    def __init__(self) -> None:
        self.mounts: list[specs.Mount] = []
        self.files: list[specs.File] = []
        self.trees: list[running.TreeMount] = []
        self.environment: list[str] = []
        self.keys: list[Any] = []


class _Wanted(NamedTuple):
    """One mount with its variables replaced."""

    build: Build
    stage: Stage
    run: said.Run
    type: str
    options: dict[str, str]

    def target(self) -> str:
        base = str(self.stage.config.get("WorkingDir") or "/")
        return posixpath.normpath(posixpath.join("/", base, self.options.get("target", "")))

    def number(self, name: str, default: int, *, base: int = 10) -> int:
        text = self.options.get(name)
        try:
            return default if not text else int(text, base)
        except ValueError:
            raise self.stage.failed(
                self.run.at, f"invalid value '{text}' of {name} in RUN --mount", hint="write a number"
            ) from None

    def flag(self, name: str, *, default: bool = False) -> bool:
        text = self.options.get(name)
        return default if text is None else text.lower() in ("", "1", "t", "true")


@contextlib.contextmanager
def resolved(build: Build, stage: Stage, run: said.Run) -> Iterator[Mounts]:
    """Yield what the mounts of a RUN come to; caches that are locked are so until the end of the block."""
    found = Mounts()
    with contextlib.ExitStack() as held:
        for mount in run.mounts:
            options = {key: stage.expand(value, run.at) for key, value in mount.options.items()}
            wanted = _Wanted(build, stage, run, mount.type, options)
            _ADD[mount.type](wanted, found, held)
        yield found


def _bind(wanted: _Wanted, found: Mounts, held: contextlib.ExitStack) -> None:
    source = wanted.options.get("source", "")
    key, layers, inside = sources.layers(
        wanted.build, wanted.stage, wanted.run.at, wanted.options.get("from", ""), source
    )
    read_only = not wanted.flag("readwrite")
    found.trees.append(running.TreeMount(layers, wanted.target(), inside, read_only))
    found.keys.append(["bind", key, inside, wanted.target(), read_only])


def _cache(wanted: _Wanted, found: Mounts, held: contextlib.ExitStack) -> None:
    target = wanted.target()
    id = wanted.options.get("id") or target
    sharing = wanted.options.get("sharing") or "shared"
    directory = wanted.build.cache.mount(id)
    state.make_directory(os.path.dirname(directory))
    if sharing == "private":
        directory = held.enter_context(_unused(directory))
    else:
        held.enter_context(_locked(directory, fcntl.LOCK_EX if sharing == "locked" else fcntl.LOCK_SH))
    _make_cache(wanted, directory)
    read_only = wanted.flag("readonly")
    found.mounts.append(specs.Mount("bind", directory, target, read_only))
    found.keys.append(["cache", id, target, sharing, read_only])


@contextlib.contextmanager
def _locked(directory: str, kind: int) -> Iterator[None]:
    """Use a cache: with others, or alone. Whoever prunes it waits for nobody, and leaves one that is used."""
    fd = os.open(f"{directory}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, kind)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def _unused(directory: str) -> Iterator[str]:
    """Yield the first of the directories of a private cache that nobody has."""
    number = 0
    while True:
        path = directory if not number else f"{directory}.{number}"
        fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            number += 1
            continue
        try:
            yield path
        finally:
            os.close(fd)
        return


def _make_cache(wanted: _Wanted, directory: str) -> None:
    """Make the directory of a cache, empty or with what it is to begin with. Whoever is first decides."""
    if os.path.isdir(directory):
        os.utime(directory)
        return
    mode = wanted.number("mode", 0o755, base=8)
    owner = (wanted.number("uid", 0), wanted.number("gid", 0))
    with wanted.build.cache.making() as temporary:
        files = f"{temporary}/files"
        os.chmod(files, mode)
        os.chown(files, *owner)
        if wanted.options.get("from"):
            sources.copy_into(
                wanted.build,
                wanted.stage,
                wanted.run.at,
                wanted.options["from"],
                wanted.options.get("source", "/"),
                files,
            )
        try:
            os.rename(files, directory)
        except OSError:
            if not os.path.isdir(directory):
                raise  # else another build was faster


def _tmpfs(wanted: _Wanted, found: Mounts, held: contextlib.ExitStack) -> None:
    options: dict[str, Any] = {}
    if wanted.options.get("size"):
        from composer.units import parse_size_bytes

        options["size"] = parse_size_bytes(wanted.options["size"])
    found.mounts.append(specs.Mount("tmpfs", None, wanted.target(), False, options))
    found.keys.append(["tmpfs", wanted.target(), options.get("size", 0)])


def _secret(wanted: _Wanted, found: Mounts, held: contextlib.ExitStack) -> None:
    options = wanted.options
    id = options.get("id") or posixpath.basename(options.get("target", ""))
    variable = options.get("env", "")
    target = wanted.target() if options.get("target") else "" if variable else f"{_SECRETS}/{id}"
    found.keys.append(["secret", id, target, variable])
    secret = next((one for one in wanted.build.request.secrets if one.id == id), None)
    if secret is None:
        if wanted.flag("required"):
            raise wanted.stage.failed(
                wanted.run.at,
                f"secret '{id}' is required, but this build has no such secret",
                hint=f"add it to build.secrets, or give --secret id={id},src=FILE",
            )
        return
    content = secret.content
    if content is None:
        try:
            with open(str(secret.source), "rb") as file:
                content = file.read()
        except OSError as error:
            raise wanted.stage.failed(
                wanted.run.at, f"cannot read the file of secret '{id}': {error.strerror or error}"
            ) from error
    if variable:
        found.environment.append(f"{variable}={content.decode(errors='surrogateescape')}")
    if target:
        found.files.append(
            specs.File(
                "secret",
                id,
                target,
                content=content,
                uid=str(wanted.number("uid", 0)),
                gid=str(wanted.number("gid", 0)),
                mode=wanted.number("mode", 0o400, base=8),
            )
        )


def _ssh(wanted: _Wanted, found: Mounts, held: contextlib.ExitStack) -> None:
    id = wanted.options.get("id") or "default"
    target = wanted.target() if wanted.options.get("target") else f"{_AGENT}.{len(found.mounts)}"
    found.keys.append(["ssh", id, target])
    source = wanted.build.request.ssh.get(id)
    if source is None:
        if wanted.flag("required"):
            raise wanted.stage.failed(
                wanted.run.at,
                f"SSH agent '{id}' is required, but this build has none of this name",
                hint=f"add it to build.ssh, or give --ssh {id}",
            )
        return
    from composer.runtime.build import agents

    socket = held.enter_context(
        agents.serving(
            source,
            uid=wanted.number("uid", 0),
            gid=wanted.number("gid", 0),
            mode=wanted.number("mode", 0o600, base=8),
            failed=lambda text: wanted.stage.failed(wanted.run.at, text),
        )
    )
    found.mounts.append(specs.Mount("bind", socket, target))
    found.environment.append(f"SSH_AUTH_SOCK={target}")


_ADD = {"bind": _bind, "cache": _cache, "tmpfs": _tmpfs, "secret": _secret, "ssh": _ssh}
