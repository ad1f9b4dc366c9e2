"""Trees of files, as BuildKit's clients send and take them (fsutil).

    sender ──► stat of each entry, in order ──► an empty stat          receiver
           ◄── the numbers of the files that it wants ◄──
           ──► contents, each ended by an empty piece ──►
           ◄── fin ◄── fin ──►

A sender's names are not believed: each is looked up below the tree's root, through no link.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote_plus

from composer.errors import BuildFailed
from composer.runtime.base import syscalls, trees

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from composer.api.buildkit import grpc

STAT, REQUEST, DATA, FIN, ERROR = range(5)
_MOST_ENTRIES = 2_000_000
_AHEAD = 64
_PIECE_BYTES = 1 << 15
_DIRECTORY, _LINK, _DEVICE, _PIPE, _SOCKET = 1 << 31, 1 << 27, 1 << 26, 1 << 25, 1 << 24
_SETUID, _SETGID, _CHARACTER, _STICKY = 1 << 23, 1 << 22, 1 << 21, 1 << 20
_KINDS = _DIRECTORY | _LINK | _DEVICE | _PIPE | _SOCKET
_BELOW = syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_BENEATH


def metadata(name: str, patterns: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return what says which of a client's directories is wanted, and what of it."""
    found: dict[str, list[str]] = {"dir-name": [name]}
    for key, values in patterns.items():
        if all(value.isascii() and value.isprintable() for value in values):
            found[key] = list(values)
        else:
            found[f"{key}-encoded"] = ["1"]
            found[key] = [quote_plus(value) for value in values]
    return {key: values for key, values in found.items() if values}


# ------------------------------------------------------------------ receiving


def receive(call: grpc.Call, directory: str) -> None:
    """Make a directory the tree that a client sends. Raises BuildFailed, Failed or Reset.

    What is there already is taken for the same where its kind, mode, size and time are, as BuildKit does; what the
    client does not name is removed. A file gets its time last, so one that a kill left half written is fetched again.
    """
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _Receiving(call, root).run()
    except OSError as error:
        where = f" '{error.filename}'" if error.filename else ""
        raise BuildFailed(
            f"cannot write the build context{where}: {(error.strerror or str(error)).lower()}"
        ) from error
    finally:
        os.close(root)


class _Coming(NamedTuple):
    """A file whose contents were asked for. ``fd`` is -1 until the first of them is there."""

    found: dict[str, Any]
    fd: int = -1


class _Receiving:
    def __init__(self, call: grpc.Call, root: int) -> None:
        self._call, self._root = call, root
        self._count = 0
        self._wanted: deque[tuple[int, dict[str, Any]]] = deque()
        self._coming: dict[int, _Coming] = {}
        self._hard_links: list[dict[str, Any]] = []
        self._directories: list[dict[str, Any]] = []
        self._is_new = not os.listdir(root)
        self._named: set[str] = set()

    def run(self) -> None:
        try:
            while (found := self._next(STAT)["stat"]) is not None:
                self._take(found)
            while self._wanted or self._coming:
                self._ask()
                packet = self._next(DATA)
                self._add(packet["ID"], packet["data"])
        finally:
            for one in self._coming.values():
                if one.fd >= 0:
                    os.close(one.fd)
        if not self._is_new:
            self._remove_others("")
        for found in self._hard_links:
            self._link(found)
        for found in reversed(self._directories):
            with self._above(found["path"]) as (above, base):
                os.chmod(base, _mode(found), dir_fd=above)
                _set_time(base, above, found)
        self._call.send({"type": FIN})
        self._next(FIN)
        self._call.end()

    def _next(self, kind: int) -> dict[str, Any]:
        packet = self._call.receive()
        if packet is None:
            raise BuildFailed("the client broke off while it sent the build context")
        if packet["type"] == ERROR:
            raise BuildFailed(f"the client failed: {packet['data'].decode(errors='replace')}")
        if packet["type"] != kind:
            raise BuildFailed("the client does not keep to the protocol while it sends the build context")
        return packet

    def _take(self, found: dict[str, Any]) -> None:
        """Make what has no contents; note the files, which are asked for later."""
        number, self._count = self._count, self._count + 1
        if self._count > _MOST_ENTRIES:
            raise BuildFailed(f"the build context has too many files (limit: {_MOST_ENTRIES})")
        mode = found["mode"]
        if not self._is_new and self._is_there(found):
            return
        if mode & _DIRECTORY:
            with self._above(found["path"]) as (above, base):
                os.mkdir(base, 0o700, dir_fd=above)
            self._directories.append(found)
        elif mode & _LINK:
            with self._above(found["path"]) as (above, base):
                os.symlink(found["linkname"], base, dir_fd=above)
                _set_time(base, above, found)
        elif mode & _PIPE:
            with self._above(found["path"]) as (above, base):
                os.mkfifo(base, _mode(found), dir_fd=above)
        elif mode & _KINDS:
            return  # devices and sockets are no part of a context
        elif found["linkname"]:
            self._hard_links.append(found)
        else:
            self._wanted.append((number, found))

    def _is_there(self, found: dict[str, Any]) -> bool:
        """Tell whether an entry is as it was sent before; remove what is in its place where it is not."""
        with self._above(found["path"]) as (above, base):
            self._named.add(found["path"].strip("/"))
            try:
                state = os.lstat(base, dir_fd=above)
            except FileNotFoundError:
                return False
            link = os.readlink(base, dir_fd=above) if stat.S_ISLNK(state.st_mode) else ""
            have = _stat(found["path"], state, link)
            if found["mode"] & _DIRECTORY and stat.S_ISDIR(state.st_mode):
                self._directories.append(found)
                return True
            keys = ("mode", "linkname") if link else ("mode", "size", "modTime", "linkname")
            is_same = all(have[key] == found[key] for key in keys)
            if is_same and state.st_nlink == 1 and not stat.S_ISFIFO(state.st_mode):
                return True
            _remove(above, base, state)
            return False

    def _remove_others(self, above: str) -> None:
        """Remove what the client has not named."""
        fd = syscalls.openat2(
            self._root, above or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, resolve=_BELOW
        )
        try:
            for name in os.listdir(fd):
                path = f"{above}/{name}" if above else name
                state = os.lstat(name, dir_fd=fd)
                if path not in self._named:
                    _remove(fd, name, state)
                elif stat.S_ISDIR(state.st_mode):
                    self._remove_others(path)
        finally:
            os.close(fd)

    def _ask(self) -> None:
        """Ask for some files in advance, so that the client need not wait for us."""
        while self._wanted and len(self._coming) < _AHEAD:
            number, found = self._wanted.popleft()
            self._coming[number] = _Coming(found)
            self._call.send({"type": REQUEST, "ID": number})

    def _add(self, number: int, data: bytes) -> None:
        """Write a piece of a file; an empty one is its end."""
        coming = self._coming.get(number)
        if coming is None:
            raise BuildFailed("the client sends a file that was not asked for")
        if coming.fd < 0:
            with self._above(coming.found["path"]) as (above, base):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                coming = coming._replace(fd=os.open(base, flags, 0o600, dir_fd=above))
            self._coming[number] = coming
        view = memoryview(data)
        while view:
            view = view[os.write(coming.fd, view) :]
        if not data:
            os.fchmod(coming.fd, _mode(coming.found))
            os.utime(coming.fd, ns=(coming.found["modTime"],) * 2)
            os.close(coming.fd)
            del self._coming[number]

    def _link(self, found: dict[str, Any]) -> None:
        with (
            self._above(found["linkname"]) as (target_above, target),
            self._above(found["path"]) as (above, base),
        ):
            os.link(target, base, src_dir_fd=target_above, dst_dir_fd=above, follow_symlinks=False)

    @contextlib.contextmanager
    def _above(self, path: str) -> Iterator[tuple[int, str]]:
        """Yield the directory that a name is in, open, and the last part of the name. Raises BuildFailed."""
        parts = path.strip("/").split("/")
        if "\0" in path or any(part in ("", ".", "..") for part in parts):
            raise BuildFailed(f"the client sends a file with an invalid name: {path[:200]!r}")
        above = "/".join(parts[:-1]) or "."
        fd = syscalls.openat2(self._root, above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, resolve=_BELOW)
        try:
            yield fd, parts[-1]
        finally:
            os.close(fd)


def _remove(above: int, base: str, state: os.stat_result) -> None:
    if stat.S_ISDIR(state.st_mode):
        trees.remove_tree(f"/proc/self/fd/{above}/{base}")
    else:
        os.unlink(base, dir_fd=above)


def _mode(found: dict[str, Any]) -> int:
    """Return the permissions of an entry, which come in Go's bits."""
    mode = found["mode"]
    made: int = mode & 0o777
    for bit, own in ((_SETUID, stat.S_ISUID), (_SETGID, stat.S_ISGID), (_STICKY, stat.S_ISVTX)):
        made |= own if mode & bit else 0
    return made


def _set_time(base: str, above: int, found: dict[str, Any]) -> None:
    os.utime(base, ns=(found["modTime"],) * 2, dir_fd=above, follow_symlinks=False)


# ------------------------------------------------------------------ sending


def send(call: grpc.Call, directory: str) -> None:
    """Send a tree to a client, with the owner of nothing in it: what the client gets is the client's."""
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        names: list[str] = []
        for path, found in _walked(root, ""):
            names.append(path if stat.S_ISREG(found["state"]) else "")
            call.send({"type": STAT, "stat": found["stat"]})
        call.send({"type": STAT})
        while (packet := call.receive()) is not None:
            if packet["type"] == ERROR:
                raise BuildFailed(f"the client failed: {packet['data'].decode(errors='replace')}")
            if packet["type"] == FIN:
                call.send({"type": FIN})
                call.end()
                continue
            if packet["type"] == REQUEST:
                _send_file(call, root, packet["ID"], names)
    finally:
        os.close(root)


def _send_file(call: grpc.Call, root: int, number: int, names: Sequence[str]) -> None:
    if number >= len(names) or not names[number]:
        raise BuildFailed("the client asks for a file that there is not")
    fd = syscalls.openat2(root, names[number], os.O_RDONLY | os.O_CLOEXEC, resolve=_BELOW)
    with open(fd, "rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            call.send({"type": DATA, "ID": number, "data": piece})
    call.send({"type": DATA, "ID": number})


def _walked(root: int, above: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all entries below a directory in the order of their paths, a directory before what is in it."""
    fd = syscalls.openat2(root, above or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, resolve=_BELOW)
    try:
        for name in sorted(os.listdir(fd)):
            state = os.lstat(name, dir_fd=fd)
            link = os.readlink(name, dir_fd=fd) if stat.S_ISLNK(state.st_mode) else ""
            path = f"{above}/{name}" if above else name
            yield path, {"state": state.st_mode, "stat": _stat(path, state, link)}
            if stat.S_ISDIR(state.st_mode):
                yield from _walked(root, path)
    finally:
        os.close(fd)


def _stat(path: str, state: os.stat_result, link: str) -> dict[str, Any]:
    mode = state.st_mode & 0o777
    kinds = {stat.S_IFDIR: _DIRECTORY, stat.S_IFLNK: _LINK, stat.S_IFIFO: _PIPE, stat.S_IFSOCK: _SOCKET}
    mode |= kinds.get(stat.S_IFMT(state.st_mode), 0)
    for bit, own in ((_SETUID, stat.S_ISUID), (_SETGID, stat.S_ISGID), (_STICKY, stat.S_ISVTX)):
        mode |= bit if state.st_mode & own else 0
    size = state.st_size if stat.S_ISREG(state.st_mode) else 0
    return {"path": path, "mode": mode, "size": size, "modTime": state.st_mtime_ns, "linkname": link}
