"""RUN: a command in a container over a stage's files. What it changes becomes the next layer.

The container is an ordinary one of the runtime, with Docker's capabilities, seccomp profile and masks; its owner is
`OWNER`, whose supervisor runs it, and it is tied to this process: should that be killed, the container is, too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import errors
from composer.runtime.base import capabilities, records, syscalls
from composer.runtime.build.cache import programs
from composer.runtime.build.steps.owned import BUILDER, KEPT, OWNER
from composer.runtime.container import defaults
from composer.runtime.objects import bundle, naming, specs
from composer.runtime.objects.attaching import AttachSession
from composer.runtime.objects.networks import DEFAULT_NETWORK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from composer.parallel import Stop
    from composer.runtime.base.state import Paths
    from composer.runtime.images import Image, Store
    from composer.runtime.objects.client import Client
    from composer.runtime.objects.networks import Networks
    from composer.runtime.objects.volumes import Volumes

_LITTLE_BYTES = 1 << 20
HOSTNAME = "buildkitsandbox"
"""What BuildKit calls its containers: scripts look for it."""


class Command(NamedTuple):
    """A command of a build. ``layers`` are directories, topmost first; ``mounts`` are of the OCI configuration.

    ``network``: ``default``, ``host`` or ``none``. ``shm_bytes`` None is Docker's default.
    """

    arguments: Sequence[str]
    environment: Sequence[str]
    user: str
    directory: str
    layers: Sequence[str]
    programs: Sequence[str] = ()
    mounts: Sequence[specs.Mount] = ()
    files: Sequence[specs.File] = ()
    trees: Sequence[TreeMount] = ()
    network: str = "default"
    extra_hosts: Sequence[tuple[str, str]] = ()
    shm_bytes: int | None = None
    limits: Mapping[str, tuple[int, int]] = {}
    resources: Mapping[str, Mapping[str, Any]] = {}
    stop: Stop | None = None
    is_insecure: bool = False
    keep_failed: bool = False


class TreeMount(NamedTuple):
    """Files of a stage or an image to be seen at ``target``; what is written there is thrown away, where it may be."""

    layers: Sequence[str]
    target: str
    source: str = ""
    read_only: bool = True


class CommandFailed(Exception):
    """The command ended with another code than 0.

    ``container`` is the container's name, where it was kept. ``had_room`` is False where the disk is full: then there
    may be no output that says so.
    """

    def __init__(self, exit_code: int | None, container: str = "", *, had_room: bool = True) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code
        self.container = container
        self.had_room = had_room


class Runner:
    """Runs the commands of builds in containers. Safe for threads."""

    def __init__(
        self, paths: Paths, store: Store, networks: Networks, volumes: Volumes, client: Callable[[], Client]
    ) -> None:
        self._paths, self._store, self._networks, self._volumes = paths, store, networks, volumes
        self._client = client

    @contextlib.contextmanager
    def changes_of(self, command: Command, root: int, output: Callable[[str, bytes], None]) -> Iterator[str]:
        """Run a command; yield the directory with what it changed, which may be moved away.

        ``root`` is the root of the files below. Raises CommandFailed; StartFailed where it could not be executed.
        """
        id = self._create(command)
        directory = self._paths.container(id)
        try:
            config = records.config(directory)
            assert config is not None
            stubs = list(_stubs(root, [str(mount["destination"]) for mount in config["mounts"]]))
            with self._ending(id, command.stop):
                code = self._run(id, output)
            if code != 0:
                raise CommandFailed(
                    code, self._keep(id) if command.keep_failed else "", had_room=_has_room(directory)
                )
            _remove_stubs(f"{directory}/upper", stubs, root)
            programs.merge(f"{directory}/programs", f"{directory}/upper", command.programs)
            yield f"{directory}/upper"
        finally:
            if not os.path.exists(f"{directory}/{KEPT}"):
                self._remove(id)

    @contextlib.contextmanager
    def _ending(self, id: str, stop: Stop | None) -> Iterator[None]:
        """Kill a container as soon as the build is to end."""

        def kill() -> None:
            with contextlib.suppress(
                errors.BackendError
            ):  # it has ended, or has not begun: then it is not begun
                self._client().ask({"op": "kill", "id": id, "signal": signal.SIGKILL})

        if stop is None:
            yield
            return
        if stop.is_set():
            raise errors.Cancelled("the build was stopped")
        with stop.calling(kill):
            yield
        if stop.is_set():
            raise errors.Cancelled("the build was stopped")

    def _keep(self, id: str) -> str:
        """Keep a container for whoever wants to look into it; return its name."""
        directory = self._paths.container(id)
        meta = records.meta(directory)
        with open(f"{directory}/{KEPT}", "wb"):
            pass
        return str(meta["name"]) if meta is not None else id

    def _create(self, command: Command) -> str:
        from composer.runtime.images import Image

        name = f"build-{os.urandom(6).hex()}"
        spec = specs.Container(
            name,
            OWNER,
            "the build",
            "",
            lambda _: _configuration(command),
            mounts=command.mounts,
            files=command.files,
            labels={BUILDER: str(os.getpid())},
            namespaces={"network": "bridge" if command.network == "default" else command.network},
            tells_hostname=False,
        )
        image = Image("", (), tuple(command.layers), {}, programs=tuple(command.programs))
        with self._store.using():
            if command.network == "default":
                self._networks.create(specs.Network(DEFAULT_NETWORK))
            return bundle.create(
                self._paths, spec, image, self._networks, self._volumes, _NoImages(), trees=_trees(command)
            )

    def _run(self, id: str, output: Callable[[str, bytes], None]) -> int | None:
        """Start a container; hand on what it writes, and return its exit code, None where nobody could see it."""
        client = self._client()

        def begin() -> tuple[int, bool]:
            meta = records.meta(self._paths.container(id))
            for _, network_id in meta["networks"] if meta is not None else ():
                self._networks.ensure_up(network_id)
            client.ask({"op": "start", "id": id, "seen_ns": 0, "tied": True})
            return -1, False

        def wait(until: int = -1) -> int | None:
            code = client.ask({"op": "wait", "id": id, "tied": True}, until=until).get("exit_code")
            return None if code is None else int(code)

        session = AttachSession(
            self._paths.container(id),
            begin=begin,
            wait=wait,
            kill=lambda _: None,
        )
        try:
            while (piece := session.read()) is not None:
                output(*piece)
            return wait()
        finally:
            session.close()

    def _remove(self, id: str) -> None:
        with contextlib.suppress(errors.NotFound):
            self._client().ask({"op": "remove", "id": id})
        naming.remove_container(self._paths, id)


def _has_room(directory: str) -> bool:
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize >= _LITTLE_BYTES


class _NoImages:
    """A build has no mounts of images but those that it resolves itself."""

    def find(self, name: str) -> Image | None:
        return None


def _trees(command: Command) -> list[bundle.Tree]:
    return [bundle.Tree(tuple(one.layers), one.target, one.source, one.read_only) for one in command.trees]


def _configuration(command: Command) -> dict[str, Any]:
    config = defaults.configuration({})
    config["hostname"] = HOSTNAME
    process, linux, extras = config["process"], config["linux"], records.extras(config)
    process.update(args=list(command.arguments), env=list(command.environment), cwd=command.directory)
    process["user"]["name"] = command.user or "0"
    process["rlimits"] = [
        {"type": f"RLIMIT_{name.upper()}", "soft": soft, "hard": hard}
        for name, (soft, hard) in command.limits.items()
    ]
    extras["stop"]["timeout_s"] = 0.0
    extras["network"]["extra_hosts"] = [list(pair) for pair in command.extra_hosts]
    names = sorted(capabilities.resolve(privileged=command.is_insecure))
    process["capabilities"] = {"bounding": names, "permitted": names, "effective": names}
    if command.is_insecure:
        linux["maskedPaths"], linux["readonlyPaths"], linux["seccomp"] = [], [], None
        linux["resources"]["devices"] = [{"allow": True, "type": "a", "access": "rwm"}]
        extras["privileged"] = True
    for group, values in command.resources.items():
        linux["resources"][group] = {**linux["resources"].get(group, {}), **values}
    for mount in config["mounts"]:
        if command.shm_bytes is not None and mount["destination"] == "/dev/shm":
            mount["options"] = [o for o in mount["options"] if not o.startswith("size=")]
            mount["options"].append(f"size={command.shm_bytes}")
        if command.is_insecure and mount["destination"] in ("/sys", "/sys/fs/cgroup"):
            mount["options"] = [option for option in mount["options"] if option != "ro"]
    return config


# ------------------------------------------------------------------ what is only there to be mounted on


def _stubs(root: int, destinations: Sequence[str]) -> Iterator[str]:
    """Yield what has to be made for mounts to be made on it, innermost first: relative to the root, links resolved."""
    found: dict[str, None] = {}
    for destination in destinations:
        parts = [part for part in destination.split("/") if part]
        for index in range(1, len(parts) + 1):
            if _exists(root, "/".join(parts[:index])):
                continue
            above = _real(root, "/".join(parts[: index - 1]))
            for end in range(index, len(parts) + 1):
                found["/".join([*filter(None, [above]), *parts[index - 1 : end]])] = None
            break
    yield from sorted(found, key=lambda path: -path.count("/"))


def _exists(root: int, path: str) -> bool:
    try:
        os.close(syscalls.openat2(root, path, os.O_PATH, resolve=syscalls.RESOLVE_IN_ROOT))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False
        raise
    return True


def _real(root: int, path: str) -> str:
    """Return a path without links, relative to the root."""
    if not path:
        return ""
    fd = syscalls.openat2(root, path, os.O_PATH, resolve=syscalls.RESOLVE_IN_ROOT)
    try:
        top = os.readlink(f"/proc/self/fd/{root}").rstrip("/")
        return os.readlink(f"/proc/self/fd/{fd}").removeprefix(top).strip("/")
    finally:
        os.close(fd)


def _remove_stubs(upper: str, stubs: Sequence[str], root: int) -> None:
    """Remove mount points that nothing was put into, and the copies of directories that hold nothing without them."""
    top = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        parents: dict[str, None] = {}
        for path in stubs:
            parent, _, name = path.rpartition("/")
            with _below(top, parent) as fd:
                if fd >= 0:
                    _remove_stub(fd, name)
            while parent:
                parents[parent] = None
                parent = parent.rpartition("/")[0]
        for path in sorted(parents, key=lambda path: -path.count("/")):
            parent, _, name = path.rpartition("/")
            with _below(top, path) as copied, _below(top, parent) as above:
                if copied >= 0 and above >= 0 and _is_only_a_copy(copied, root, path):
                    _remove_stub(above, name)
    finally:
        os.close(top)


@contextlib.contextmanager
def _below(top: int, path: str) -> Iterator[int]:
    """Yield a directory of a layer, open; -1 where the command removed or replaced it."""
    resolve = syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_BENEATH
    try:
        fd = syscalls.openat2(top, path or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=resolve)
    except OSError:
        fd = -1
    try:
        yield fd
    finally:
        if fd >= 0:
            os.close(fd)


def _is_only_a_copy(copied: int, root: int, path: str) -> bool:
    """Tell whether a directory of a layer is empty, and says nothing else than the one below it does."""
    try:
        fd = syscalls.openat2(
            root,
            path,
            os.O_PATH | os.O_DIRECTORY,
            resolve=syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_BENEATH,
        )
    except OSError:
        return False  # it is new
    try:
        below = os.fstat(fd)
    finally:
        os.close(fd)
    mine = os.fstat(copied)
    is_like = (mine.st_mode, mine.st_uid, mine.st_gid) == (below.st_mode, below.st_uid, below.st_gid)
    return is_like and not os.listdir(copied) and "trusted.overlay.opaque" not in os.listxattr(copied)


def _remove_stub(parent: int, name: str) -> None:
    try:
        found = os.lstat(name, dir_fd=parent)
        if stat.S_ISDIR(found.st_mode):
            os.rmdir(name, dir_fd=parent)
        elif stat.S_ISREG(found.st_mode) and not found.st_size:
            os.unlink(name, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
            raise
