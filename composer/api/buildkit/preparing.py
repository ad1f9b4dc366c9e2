"""What a build needs is brought from its client: the context, the Dockerfile, logins, secrets and agents."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast
from urllib.parse import urlsplit

from composer.api.buildkit import filesync, needs
from composer.api.buildkit.options import hosts_of
from composer.api.buildkit.sessions import UPLOADS
from composer.api.images import registries
from composer.errors import BuildFailed
from composer.registry import credentials
from composer.runtime.base import making, state
from composer.runtime.build.cache import kept
from composer.runtime.build.context.ignore_rules import NAME as IGNORE_FILE
from composer.runtime.build.context.ignore_rules import read_patterns
from composer.runtime.build.requests import News, Request, Secret, Vertex

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterator, Sequence

    from composer.api.buildkit.options import Options
    from composer.api.buildkit.sessions import Session
    from composer.api.world import World

_HUB = "registry-1.docker.io"
_MOST_BYTES = 16 << 20
_FIRST_NUMBER = 1 << 20
"""Of the steps that are told here: beyond those of any builder."""


class Prepared(NamedTuple):
    """A request, and what is read as its context where that is ``-``."""

    request: Request
    standard_input: BinaryIO | None


class Preparing:
    """Brings what one build needs; it is let go of with ``held``."""

    def __init__(
        self,
        world: World,
        session: Session,
        options: Options,
        tell: Callable[[News], None],
        held: contextlib.ExitStack,
    ) -> None:
        self._world, self._session, self._options = world, session, options
        self._tell, self._held = tell, held
        self._numbers = _FIRST_NUMBER
        self.dockerfile = b""
        """The client's, once it is there."""
        downloads = state.make_directory(f"{world.paths.root}/build/downloads")
        self.scratch = held.enter_context(making.temporary_directory(downloads))

    def run(self) -> Prepared:
        """Raises BuildFailed."""
        options, fields = self._options, self._options.fields
        standard_input: BinaryIO | None = None
        if options.context:
            url = urlsplit(options.context)
            if url.hostname == UPLOADS:
                fields["context"] = "-"
                standard_input = cast("BinaryIO", _Upload(self._session.upload(url.path)))
            else:
                fields["context"] = options.context
            fields["dockerfile"] = options.filename
            if options.dockerfile_key:
                self.dockerfile = self._local_dockerfile(options.dockerfile_key)
        else:
            self.dockerfile = self._local_dockerfile(options.dockerfile_name)
            fields["context"] = self._synced(
                options.context_name, "context", "load build context", own_ignore=True
            )
        for name, local in options.local_contexts.items():
            fields["contexts"][name] = self._synced(local, f"named-{len(fields['contexts'])}", f"load {name}")
        self._lend(self.dockerfile)
        return Prepared(Request(**fields), standard_input)

    # -------------------------------------------------------------- files

    def _local_dockerfile(self, local: str) -> bytes:
        """Bring the Dockerfile and what it ignores; return its contents, as far as it is there."""
        options = self._options
        name = options.filename
        wanted = [name, f"{name}{IGNORE_FILE}"]
        if name == "Dockerfile":
            wanted.append(name.lower())
        directory = self._directory("dockerfile")
        self._receive(local, directory, {"followpaths": wanted})
        options.fields.update(dockerfile=os.path.join(directory, name), dockerfile_name=name)
        for one in (name, name.lower()):
            found = _small_file(directory, one)
            if found is not None:
                options.fields["dockerfile"] = os.path.join(directory, one)
                return found
        return b""

    def _synced(self, local: str, name: str, shown: str, *, own_ignore: bool = False) -> str:
        """Bring a directory of the client's, without what its ignore file names; return where it is."""
        patterns = self._ignored(local, name, own_ignore=own_ignore)
        directory = self._kept(local) or self._directory(name)
        vertex = self._begin(f"[internal] {shown}")
        try:
            self._receive(local, directory, {"exclude-patterns": patterns})
        except BaseException as error:
            self._tell(News(vertex, "failed", str(error) or "cancelled"))
            raise
        self._tell(News(vertex, "done"))
        return directory

    def _kept(self, local: str) -> str | None:
        """Return where this directory of this client was brought to before, if it was, and no other build has it."""
        if not self._session.shared_key:
            return None
        root = f"{self._world.paths.root}/build"
        return self._held.enter_context(kept.using(root, self._session.shared_key, local))

    def _ignored(self, local: str, name: str, *, own_ignore: bool) -> Sequence[str]:
        own = f"{self._options.filename}{IGNORE_FILE}"
        data = _small_file(f"{self.scratch}/dockerfile", own) if own_ignore else None
        if data is None:
            own = IGNORE_FILE
            directory = self._directory(f"{name}-ignore")
            self._receive(local, directory, {"followpaths": [IGNORE_FILE]})
            data = _small_file(directory, IGNORE_FILE)
        return (
            [one for one in read_patterns(os.fsdecode(data).replace("\r\n", "\n"), own) if one]
            if data
            else ()
        )

    def _directory(self, name: str) -> str:
        path = f"{self.scratch}/{name}"
        os.mkdir(path, 0o755)
        return path

    def _receive(self, local: str, directory: str, patterns: dict[str, Sequence[str]]) -> None:
        with self._session.open_files(filesync.metadata(local, patterns)) as call:
            filesync.receive(call, directory)

    def _begin(self, name: str) -> Vertex:
        self._numbers += 1
        vertex = Vertex(self._numbers, name)
        self._tell(News(vertex, "begun"))
        return vertex

    # -------------------------------------------------------------- logins, secrets, agents

    def _lend(self, dockerfile: bytes) -> None:
        fields = self._options.fields
        found = needs.of(
            dockerfile,
            target=fields.get("target", ""),
            args=fields["args"],
            contexts=fields["contexts"],
        )
        caches = [text.partition("ref=")[2].partition(",")[0] for text in fields.get("cache_from", ())]
        contexts = [
            text.removeprefix("docker-image://")
            for text in fields["contexts"].values()
            if text.startswith("docker-image://")
        ]
        fields["environment"] = self.environment(hosts_of([*found.images, *caches, *contexts, "any"]))
        fields["secrets"] = [
            Secret(id, content=content)
            for id in found.secrets
            if (content := self._session.secret(id)) is not None
        ]
        fields["ssh"] = {id: path for id in found.agents if (path := self._agent(id))}

    def environment(self, hosts: Sequence[str]) -> dict[str, str]:
        """Return the settings of registries, with the client's logins at these."""
        logins = {}
        for host in hosts:
            login = self._session.login(_HUB if host == "docker.io" else host)
            if login:
                logins[credentials.server_of(host)] = login
        return registries.environment_of(self._world, logins)

    def _agent(self, id: str) -> str:
        directory = os.open(self.scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._held.callback(os.close, directory)
        # by the descriptor: the path itself may be longer than a socket's name can be
        path = f"/proc/self/fd/{directory}/agent-{directory}"
        return path if self._held.enter_context(self._session.agent(id, path)) else ""


def _small_file(directory: str, name: str) -> bytes | None:
    """Return a file of a tree that a client sent; None where it is not there. Raises BuildFailed."""
    from composer.runtime.base import syscalls

    try:
        root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fd = syscalls.openat2(root, name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None  # the builder says what is wrong with it
    finally:
        os.close(root)
    with open(fd, "rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise BuildFailed(f"'{name}' is too large (limit: {_MOST_BYTES >> 20} MiB)")
    return data


class _Upload:
    """What a client sends, as a file to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, b""

    def read(self, size: int = -1) -> bytes:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._left = piece
        found = self._left if size < 0 else self._left[:size]
        self._left = self._left[len(found) :]
        return found
