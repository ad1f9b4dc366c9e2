"""What a container's own files are against its image's: what was changed, added or deleted (`docker diff`).

The container's layer alone tells it, with a look at the image's layers below. overlayfs marks what is gone by devices
0:0, and a directory that was removed and made again by an attribute. Like Docker, a directory counts as changed by its
mode and owner, and because something in it has changed; what was deleted, and what a new directory has, is named once
or in full: the deleted directory alone, every new file.
https://docs.kernel.org/filesystems/overlayfs.html
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import BackendError
from composer.runtime.base import records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CHANGED, ADDED, DELETED = 0, 1, 2
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_DEPTH = 500
_OPAQUE, _REDIRECT, _CAPABILITY = "trusted.overlay.opaque", "trusted.overlay.redirect", "security.capability"
_ETC = frozenset(("/etc/hosts", "/etc/hostname", "/etc/resolv.conf"))

Change = tuple[int, str]


class Layers(NamedTuple):
    """A container's layer over those of its image, topmost first, seen at ``target`` in the container."""

    target: str
    upper: str
    lower: tuple[str, ...]


class _Level(NamedTuple):
    """A directory that is being looked at; ``below`` are those that the image has in its place, topmost first."""

    fd: int
    path: str
    below: tuple[str, ...]
    names: Iterator[str]


def changes(config: Mapping[str, Any]) -> list[Change]:
    """Return the changes of a container by its configuration, sorted by path. Raises BackendError."""
    found = {path: kind for layers in layers_of(config) for kind, path in _Comparison(layers).run()}
    _leave_out_mount_points(found, config)
    for path in list(found):
        while (path := os.path.dirname(path)) != "/":
            found.setdefault(path, CHANGED)
    return sorted(((kind, path) for path, kind in found.items()), key=lambda change: change[1])


def layers_of(config: Mapping[str, Any]) -> Iterator[Layers]:
    """Yield where a container writes its own files: its root, and programs of the host with a layer over them."""
    overlay = records.extras(config)["overlay"]
    yield Layers("/", overlay["upper"], tuple(overlay["lower"]))
    for mount in config["mounts"]:
        if mount["type"] == "overlay":
            options = [option.partition("=")[::2] for option in mount["options"]]
            upper = next(value for key, value in options if key == "upperdir")
            lower = [value for key in ("layer", "lowerdir") for name, value in options if name == key]
            yield Layers(mount["destination"], upper, tuple(lower))


def _leave_out_mount_points(found: dict[str, int], config: Mapping[str, Any]) -> None:
    """Remove what a start made to mount over it, with the directory that was made for that alone.

    Docker makes it in a layer between the image and the container, and shows none of it.
    """
    mounted = {mount["destination"] for mount in config["mounts"]}
    for path in (*(_ETC & mounted), "/etc", "/dev", "/proc", "/sys"):
        if found.get(path) != ADDED:
            continue
        if any(other.startswith(f"{path}/") for other in found):
            found[path] = CHANGED
        else:
            del found[path]


class _Comparison:
    """One walk through a container's layer. Directories of it are held open: its programs may be changing them."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._stack: list[_Level] = []

    def run(self) -> Iterator[Change]:
        layers = self._layers
        try:
            top = os.open(layers.upper, _DIRECTORY)
        except OSError as error:
            raise _unreadable(layers.target, error) from error
        prefix = "" if layers.target == "/" else layers.target.rstrip("/")
        below = tuple(layer for layer in layers.lower if os.path.isdir(layer))
        self._stack.append(_Level(top, prefix, below, iter(sorted(os.listdir(top)))))
        try:
            while self._stack:
                level = self._stack[-1]
                name = next(level.names, None)
                if name is None:
                    os.close(level.fd)
                    self._stack.pop()
                else:
                    yield from self._one(level, name)
        finally:
            for level in self._stack:
                os.close(level.fd)
            self._stack.clear()

    def _one(self, level: _Level, name: str) -> Iterator[Change]:
        path = f"{level.path}/{name}"
        try:
            now = os.lstat(name, dir_fd=level.fd)
        except FileNotFoundError:
            return  # it went while we were on our way
        before, below = _look_below(level.below, name)
        if _is_whiteout(now):
            if before is not None:
                yield DELETED, path
            return
        if before is None:
            yield ADDED, path
        elif _differs(before, now) or _has_other_capability(level, name, now):
            yield CHANGED, path
        if stat.S_ISDIR(now.st_mode):
            yield from self._enter(level, name, path, below)

    def _enter(self, level: _Level, name: str, path: str, below: tuple[str, ...]) -> Iterator[Change]:
        """Go into a directory; yield what it lost where it was removed and made again."""
        if len(self._stack) >= _MAX_DEPTH:
            raise BackendError(
                f"cannot compare '{path[:80]}…': it is nested more than {_MAX_DEPTH} directories deep"
            )
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=level.fd)
        except (FileNotFoundError, NotADirectoryError):
            return  # it is another thing by now
        except OSError as error:
            raise _unreadable(path, error) from error
        if _attribute(fd, _REDIRECT) is not None:
            os.close(fd)
            raise BackendError(
                f"cannot compare '{path}': it is stored as a reference to another layer",
                hint="set redirect_dir of this kernel's overlay module to N",
            )
        names = sorted(os.listdir(fd))
        self._stack.append(_Level(fd, path, below, iter(names)))
        if _attribute(fd, _OPAQUE) == b"y":  # what is there again is compared with what was there
            yield from ((DELETED, f"{path}/{lost}") for lost in _names(below) if lost not in names)


def _look_below(below: Sequence[str], name: str) -> tuple[os.stat_result | None, tuple[str, ...]]:
    """Return what the image has of a name: its state, and where it is a directory, the directories that make it."""
    found: os.stat_result | None = None
    directories: list[str] = []
    for layer in below:
        path = f"{layer}/{name}"
        try:
            state = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise _unreadable(path, error) from error
        if _is_whiteout(state):
            break
        found = found or state
        if not stat.S_ISDIR(state.st_mode):
            break  # a file hides what is below it, and is hidden by a directory above it
        directories.append(path)
        if _attribute(path, _OPAQUE) == b"y":
            break
    return found, tuple(directories)


def _names(below: Sequence[str]) -> list[str]:
    """Return what is in a directory of the image."""
    names = {name for layer in below for name in os.listdir(layer)}
    return sorted(name for name in names if _look_below(below, name)[0] is not None)


def _is_whiteout(state: os.stat_result) -> bool:
    return stat.S_ISCHR(state.st_mode) and state.st_rdev == 0


def _differs(before: os.stat_result, now: os.stat_result) -> bool:
    def facts(state: os.stat_result) -> tuple[int, ...]:
        plain = (state.st_mode, state.st_uid, state.st_gid, state.st_rdev)
        # the size and time of a directory change with its entries, which are compared themselves
        return plain if stat.S_ISDIR(state.st_mode) else (*plain, state.st_size, state.st_mtime_ns)

    return facts(before) != facts(now)


def _has_other_capability(level: _Level, name: str, now: os.stat_result) -> bool:
    """Tell whether a program has other capabilities than in the image."""
    if not stat.S_ISREG(now.st_mode):
        return False
    below = next((f"{layer}/{name}" for layer in level.below if os.path.lexists(f"{layer}/{name}")), "")
    try:
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=level.fd)
    except FileNotFoundError:
        return False
    try:
        # by the descriptor's own link: a path could lead elsewhere by now
        return _attribute(f"/proc/self/fd/{fd}", _CAPABILITY) != _attribute(below, _CAPABILITY)
    finally:
        os.close(fd)


def _attribute(place: int | str, key: str) -> bytes | None:
    try:
        return os.getxattr(place, key)
    except OSError:
        return None  # it has none


def _unreadable(path: str, error: OSError) -> BackendError:
    return BackendError(f"cannot read '{path}': {(error.strerror or str(error)).lower()}")
