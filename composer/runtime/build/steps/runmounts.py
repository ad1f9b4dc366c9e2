"""RUN --mount: what is shown to a command beside the files of its stage, and does not become part of the image.

bind     files of a stage, an image or a context; writes are thrown away
cache    a directory that later builds have again
tmpfs    an empty directory in memory
secret   a file or a variable of whoever builds; counts for no key, and is in no layer
ssh      the socket of an SSH agent
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.runtime.base import locking, opening, state
from composer.runtime.build.dockerfile import mounts
from composer.runtime.build.dockerfile.directives import parse_bool
from composer.runtime.build.steps import sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.runtime.build.dockerfile import instructions as said
    from composer.runtime.build.steps import running
    from composer.runtime.build.steps.stage import Stage
    from composer.runtime.build.steps.work import Work
    from composer.runtime.objects import specs

_SECRETS = "/run/secrets"
_MAX_SECRET_BYTES = 500 << 10
"""BuildKit's limit."""
_PLACED = ("bind", "cache", "tmpfs")
"""The types of mounts that have no place of their own."""
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

    work: Work
    stage: Stage
    run: said.Run
    mount: said.Mount

    @property
    def options(self) -> Mapping[str, str]:
        return self.mount.options

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

    def is_required(self) -> bool:
        text = self.options.get("required")
        return text is not None and parse_bool(text)


@contextlib.contextmanager
def resolved(work: Work, stage: Stage, run: said.Run) -> Iterator[Mounts]:
    """Yield what the mounts of a RUN come to; caches that are locked are so until the end of the block."""
    found = Mounts()
    with contextlib.ExitStack() as held:
        for mount in run.mounts:
            try:
                full = mounts.expanded(mount, stage.variables(), stage.dockerfile.escape)
            except ValueError as error:
                raise stage.failed(run.at, f"RUN --mount: {error}") from error
            if full.type in _PLACED and not full.options.get("target"):
                raise stage.failed(
                    run.at, f"RUN --mount of type {full.type} has no target", hint="add target=PATH"
                )
            _ADD[full.type](_Wanted(work, stage, run, full), found, held)
        yield found


def _bind(wanted: _Wanted, found: Mounts, held: contextlib.ExitStack) -> None:
    from composer.runtime.build.steps import running

    source = wanted.options.get("source", "")
    key, layers, inside = sources.layers(
        wanted.work, wanted.stage, wanted.run.at, wanted.options.get("from", ""), source
    )
    read_only = mounts.is_readonly(wanted.mount)
    found.trees.append(running.TreeMount(layers, wanted.target(), inside, read_only))
    found.keys.append(["bind", key, inside, wanted.target(), read_only])


def _cache(wanted: _Wanted, found: Mounts, held: contextlib.ExitStack) -> None:
    from composer.runtime.objects import specs

    target = wanted.target()
    id = wanted.options.get("id") or target
    sharing = wanted.options.get("sharing") or "shared"
    directory = wanted.work.cache.mount(id)
    state.make_directory(os.path.dirname(directory))
    if sharing == "private":
        directory = _unused(directory, held)
    else:
        # whoever prunes it waits for nobody, and leaves one that is used
        held.enter_context(locking.locked(f"{directory}.lock", shared=sharing != "locked"))
    _make_cache(wanted, directory)
    read_only = mounts.is_readonly(wanted.mount)
    found.mounts.append(specs.Mount("bind", directory, target, read_only))
    found.keys.append(["cache", id, target, sharing, read_only])


def _unused(directory: str, held: contextlib.ExitStack) -> str:
    """Take the first of the directories of a private cache that nobody has."""
    number = 0
    while True:
        path = directory if not number else f"{directory}.{number}"
        if held.enter_context(locking.trying(f"{path}.lock")):
            return path
        number += 1


def _make_cache(wanted: _Wanted, directory: str) -> None:
    """Make the directory of a cache, empty or with what it is to begin with. Whoever is first decides."""
    if os.path.islink(directory) or (os.path.lexists(directory) and not os.path.isdir(directory)):
        raise wanted.stage.failed(
            wanted.run.at,
            f"cannot use the cache mount at '{wanted.target()}': '{directory}' was replaced by something else",
            hint="remove it with composer builder prune -a",
        )
    if os.path.isdir(directory):
        os.utime(directory)
        return
    mode = wanted.number("mode", 0o755, base=8)
    owner = (wanted.number("uid", 0), wanted.number("gid", 0))
    with wanted.work.cache.making() as temporary:
        files = f"{temporary}/files"
        os.chmod(files, mode)
        os.chown(files, *owner)
        if wanted.options.get("from"):
            sources.copy_into(
                wanted.work,
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
    from composer.runtime.objects import specs

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
    target = (
        wanted.target()
        if options.get("target")
        else ""
        if variable
        else f"{_SECRETS}/{posixpath.basename(id)}"
    )
    found.keys.append(["secret", id, target, variable])
    secret = next((one for one in wanted.work.request.secrets if one.id == id), None)
    if secret is None:
        if wanted.is_required():
            raise wanted.stage.failed(
                wanted.run.at,
                f"secret '{id}' is required, but this build has no such secret",
                hint=f"add it to build.secrets, or give --secret id={id},src=FILE",
            )
        return
    content = secret.content
    if content is None:
        try:
            content = _contents(str(secret.source))
        except OSError as error:
            raise wanted.stage.failed(
                wanted.run.at,
                f"cannot read '{secret.source}', the file of secret '{id}': "
                f"{(error.strerror or str(error)).removeprefix('open: ').lower()}",
                hint="give a file that can be read, of at most 500 KiB",
            ) from error
    if variable:
        found.environment.append(f"{variable}={content.decode(errors='surrogateescape')}")
    if target:
        from composer.runtime.objects import specs

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


def _contents(path: str) -> bytes:
    """Read a small regular file. Raises OSError for any other: a FIFO would wait, a device never end."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = opening.followed(root, path)
    finally:
        os.close(root)
    with open(fd, "rb") as file:
        if os.fstat(fd).st_size > _MAX_SECRET_BYTES:
            raise OSError(errno.EFBIG, "it is larger than 500 KiB", path)
        return file.read(_MAX_SECRET_BYTES)


def _ssh(wanted: _Wanted, found: Mounts, held: contextlib.ExitStack) -> None:
    id = wanted.options.get("id") or "default"
    target = wanted.target() if wanted.options.get("target") else f"{_AGENT}.{len(found.mounts)}"
    found.keys.append(["ssh", id, target])
    source = wanted.work.request.ssh.get(id)
    if source is None:
        if wanted.is_required():
            raise wanted.stage.failed(
                wanted.run.at,
                f"SSH agent '{id}' is required, but this build has none of this name",
                hint=f"add it to build.ssh, or give --ssh {id}",
            )
        return
    from composer.runtime.build.steps import agents
    from composer.runtime.objects import specs

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
