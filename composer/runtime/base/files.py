"""Small state files: one JSON object each, written by rename, so that a reader never sees half of one.

A kill needs no fsync (the page cache survives it); what must survive a power cut asks for it.
"""

from __future__ import annotations

import _thread
import errno
import fcntl
import json
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


NOBODY = "@nobody"
"""The owner of all objects that have none; see `records.NOBODY`."""

_USUAL_BYTES = 1 << 16
_LISTENS = "listens."
"""Begins the names of files beside nobody's journal, one for each server, with its PID."""

MOVED_EVENTS = 256
"""As many as Docker Engine keeps."""
KEPT_EVENT_BYTES, _DROPPED_EVENT_BYTES = 2 << 20, 512 << 10
"""So much of a journal's end is kept, some 5,000 events; what is before it goes in parts of this size."""
_PAGE = 4096


def read_json(path: str) -> dict[str, Any] | None:
    """Return the object in ``path``; None when there is no such file, or when a power cut left it torn."""
    try:
        fd = os.open(
            path, os.O_RDONLY | os.O_CLOEXEC
        )  # a third of the time of a file object: ps reads hundreds
        try:
            data = os.read(fd, _USUAL_BYTES)
            if len(data) == _USUAL_BYTES:
                with open(fd, "rb", closefd=False) as rest:
                    data += rest.read()
        finally:
            os.close(fd)
        value = json.loads(data)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def write_json(path: str, value: Mapping[str, Any], *, durable: bool = False) -> None:
    """Replace ``path`` with ``value``; with ``durable`` it is on the disk when this returns."""
    write_bytes(path, json.dumps(value, separators=(",", ":")).encode(), durable=durable)


def write_bytes(path: str, data: bytes, *, mode: int = 0o600, durable: bool = False) -> None:
    """Replace ``path`` with ``data`` by rename; ``mode`` is exact, whatever the umask."""
    # of this thread: two of one process that write the same file would tear each other's
    temporary = f"{path}.{os.getpid()}.{_thread.get_ident():x}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
        if durable:
            os.fsync(fd)
    except OSError:
        remove_file(temporary)  # the disk is full: do not make it fuller
        raise
    finally:
        os.close(fd)
    os.rename(temporary, path)
    if durable:
        directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def remove_file(path: str) -> None:
    """Remove a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # somebody else removed it, which is what was wanted


def boot_id() -> str:
    """Return what tells this boot of the machine from every other."""
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        return file.read().strip()


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None when it does not exist.

    (pid, start time, boot id) names a process for ever; a pid alone is soon somebody else's. A zombie counts
    as gone: it runs nothing any more.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def lock_host() -> int:
    """Wait for the one lock for what all projects of this host share: subnets, bridges, the firewall's table.

    It is a lock on the network namespace itself, so its reach is exactly that of what it guards, whatever
    ``COMPOSER_ROOT`` says, and it leaves no file behind. Closing the descriptor gives it back.
    """
    fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except BaseException:
        os.close(fd)
        raise
    return fd


def append_event(directory: str, kind: str, action: str, id: str, attributes: Mapping[str, str]) -> None:
    """Append an event to a project's journal: one line, one write, so that lines of several writers never mix.

    Where the project has no journal (nothing of it runs, nobody listens to it alone), whoever listens to all is told
    through nobody's.

    A journal's begin becomes a hole after a while, so that it does not grow for ever: positions stay what they are, and
    nobody who appends or reads has to be told.
    """
    event = {"time_ns": time.time_ns(), "kind": kind, "action": action, "id": id, "attributes": attributes}
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        fd = os.open(f"{directory}/events", flags, 0o600)
    except FileNotFoundError:
        try:
            fd = os.open(f"{os.path.dirname(directory)}/{NOBODY}/events", flags, 0o600)
        except FileNotFoundError:
            return  # nobody listens
    try:
        written = os.write(fd, json.dumps(event, separators=(",", ":")).encode() + b"\n")
        end = os.lseek(fd, 0, os.SEEK_CUR)
        if end // _DROPPED_EVENT_BYTES != (end - written) // _DROPPED_EVENT_BYTES:
            _drop(fd, end - KEPT_EVENT_BYTES)
    finally:
        os.close(fd)


def _drop(fd: int, end: int) -> None:
    """Make a hole of a file up to a place. Where the file system has no holes, it stays."""
    if end < _PAGE:
        return
    from composer.runtime.base import syscalls

    try:
        syscalls.punch_hole(fd, end - end % _PAGE)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise


def skip_hole(fd: int) -> bool:
    """Go to the next data of a file, from where reading is now; return whether a hole was passed over."""
    place = os.lseek(fd, 0, os.SEEK_CUR)
    try:
        found = os.lseek(fd, place, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return False  # there is no more data
    return found > place


def sweep_half_written(directory: str) -> None:
    """Remove what `write_bytes` was about to name when its process was killed."""
    for name in os.listdir(directory):
        parts = name.rsplit(".", 3)
        if (
            parts[-1] == "tmp"
            and len(parts) == 4
            and parts[1].isdecimal()
            and start_time(int(parts[1])) is None
        ):
            remove_file(f"{directory}/{name}")


def listen(directory: str) -> str:
    """Keep nobody's journal from now on, for whoever asks a server later; return the file that says so.

    Who ends removes the file, and then sweeps. What a killed server has left goes with the next one.
    """
    for name in os.listdir(directory):
        if name.startswith(_LISTENS) and not os.path.exists(f"/proc/{name[len(_LISTENS) :]}"):
            remove_file(f"{directory}/{name}")
    path = f"{directory}/{_LISTENS}{os.getpid()}"
    for made in (path, f"{directory}/events"):
        os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return path


def clear_run_state(directory: str) -> None:
    """Remove what a project without containers leaves in its run directory; its last events go to nobody's journal."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    if os.path.basename(directory) != NOBODY:
        move_events(directory)
    elif any(name.startswith(_LISTENS) for name in names):
        names = [name for name in names if name != "events" and not name.startswith(_LISTENS)]
    for name in names:
        remove_file(f"{directory}/{name}")


def move_events(directory: str) -> None:
    """Keep the last events of a project that ends in nobody's journal, where there is one: for who asks later.

    They are marked: whoever has listened all the time has them already.
    """
    try:
        target = os.open(
            f"{os.path.dirname(directory)}/{NOBODY}/events", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        )
    except FileNotFoundError:
        return  # nobody has listened to nobody
    try:
        with open(f"{directory}/events", "rb", buffering=0) as file:
            skip_hole(file.fileno())
            lines = file.read().splitlines()[-MOVED_EVENTS:]
    except FileNotFoundError:
        lines = []
    try:
        for line in lines:
            if line.startswith(b"{"):
                os.write(target, b'{"moved":true,' + line[1:] + b"\n")
    finally:
        os.close(target)


def whole(chunks: Iterable[bytes], most_bytes: int) -> bytes:
    """Return all bytes of a stream that somebody else wrote. Raises ValueError where there are more."""
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) > most_bytes:
            raise ValueError(f"it exceeds {most_bytes >> 20} MiB")
    return bytes(found)
