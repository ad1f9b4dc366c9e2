"""Where the runtime keeps what it knows. Everything is a file; whoever may read them may ask.

    <root>/containers/<id>/   meta.json config.json state.json health.json upper/ work/ logs/ files/ hosts …
    <root>/names/<name>       a symlink to the id: taking a name is one atomic call
    <root>/networks/<id>/     network.json leases/ endpoints/
    <root>/volumes/<name>/    volume.json _data/
    <root>/images/            see `images`
    <root>/supervision/<project>/   the locks of those who supervise, see `runtime.claims`
    <run>/projects/<name>/    control.sock events supervisor.log, while something runs or is watched

Where these two are is said by `composer.state_root`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import BackendError, NotFound
from composer.patterns import pattern
from composer.runtime.base import files, records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ESCAPED = pattern(rb"\\([0-7]{3})")


class Paths(NamedTuple):
    """The two directories; made on first use, closed to everybody else (CVE-2021-41091)."""

    root: str
    run: str

    def containers(self) -> str:
        return f"{self.root}/containers"

    def container(self, id: str) -> str:
        return f"{self.root}/containers/{id}"

    def networks(self) -> str:
        return f"{self.root}/networks"

    def snapshots(self) -> str:
        return f"{self.root}/snapshots"

    def volumes(self) -> str:
        return f"{self.root}/volumes"

    def names(self) -> str:
        return f"{self.root}/names"

    def supervision(self, project: str) -> str:
        from composer.runtime.base import claims

        return claims.directory(self.root, project)

    def project(self, name: str) -> str:
        return f"{self.run}/projects/{name}"


def paths_of(environment: Mapping[str, str]) -> Paths:
    """Return where state lives for this user."""
    from composer import state_root

    found = state_root.find(environment)
    return Paths(found.lib, found.run)


def make_directory(path: str) -> str:
    """Make a directory and its parents, each closed to others: makedirs' mode is that of the last alone."""
    if not os.path.isdir(path):
        parent = os.path.dirname(path)
        if parent and not os.path.isdir(parent):
            make_directory(parent)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass  # made in the same moment by another
    return path


@contextlib.contextmanager
def host_lock() -> Iterator[None]:
    """Hold the lock of `files.lock_host`."""
    fd = files.lock_host()
    try:
        yield
    finally:
        os.close(fd)


def list_directory(path: str) -> list[str]:
    """Return the names of the objects in a directory, without what is half made or half removed."""
    try:
        return sorted(name for name in os.listdir(path) if not name.startswith("."))
    except FileNotFoundError:
        return []


def config_of(bundle: str) -> dict[str, Any]:
    """Return a container's OCI configuration. Raises BackendError where it is damaged, NotFound without a container."""
    found = records.config(bundle)
    if found is None:
        if not os.path.isdir(bundle):
            raise NotFound("the container was removed")
        raise BackendError(
            f"cannot use container {os.path.basename(bundle)[:12]}: its file config.json is damaged",
            hint="recreate it with composer up --force-recreate, or remove it",
        )
    return found


def read_object(path: str) -> dict[str, Any] | None:
    return files.read_json(path)


def remove_directory(path: str) -> None:
    """Remove a directory unless somebody has taken it away, or uses it."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EBUSY):
            raise


def sweep_run_state(paths: Paths, project: str) -> None:
    """Remove the run state and the locks of a project without containers, unless somebody is using them."""
    from composer.runtime.base import claims

    directory, place = paths.project(project), paths.supervision(project)
    files.clear_run_state(directory)
    remove_directory(directory)
    try:
        lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not any(claims.is_claimed(paths.root, project, role) for role in ("keeper", "supervisor")):
            for name in os.listdir(lock):
                files.remove_file(f"{place}/{name}")
            remove_directory(place)
    except BlockingIOError:
        pass  # another command is starting a supervisor
    finally:
        os.close(lock)


def mount_points() -> Iterator[tuple[str, list[str]]]:
    """Yield where something is mounted on this machine, with its optional fields (``shared:N``, ``master:N``)."""
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            fields = line.partition(b" - ")[0].split()
            point = _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), fields[4])
            yield os.fsdecode(point), [os.fsdecode(field) for field in fields[6:]]
