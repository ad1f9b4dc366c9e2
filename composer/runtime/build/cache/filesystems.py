"""The files of a stage at some moment: layers of images and snapshots of steps, one over the other."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.runtime.base import making, syscalls
from composer.runtime.build.cache.cache import Snapshot, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from composer.runtime.images.content import Content, Layer


MOST_LAYERS = 490
"""An overlay has at most 500 layers (OVL_MAX_STACK), of which a container needs some for itself."""


class Filesystem(NamedTuple):
    """``layers`` from the lowest up. ``key`` names the contents: equal keys, equal files.

    ``programs`` are directories of this machine (``/usr``) below the layers, in a stage that is built FROM host.
    """

    key: str
    layers: tuple[Layer | Snapshot, ...] = ()
    programs: tuple[str, ...] = ()

    def over(self, key: str, snapshot: Snapshot) -> Filesystem:
        """Return these files with those of one more step over them."""
        return self._replace(key=key, layers=(*self.layers, snapshot))


EMPTY = Filesystem(key_of("scratch"))


def of_image(layers: Sequence[Layer]) -> Filesystem:
    return Filesystem(key_of("image", layers[-1].chain_id), tuple(layers)) if layers else EMPTY


class Mounter:
    """Makes the files of a stage visible: overlays that are mounted nowhere, and go with their descriptor."""

    def __init__(self, content: Content, empty: str) -> None:
        """``empty`` is an empty directory: an overlay to be read needs two layers, one with nothing needs one."""
        self._content, self._empty = content, empty

    def directories(self, files: Filesystem) -> list[str]:
        """Return the layers' directories, topmost first; an empty one where there are none."""
        found = [
            layer.directory if isinstance(layer, Snapshot) else self._content.layer(layer.chain_id)
            for layer in reversed(files.layers)
        ]
        return found or [self._empty]

    @contextlib.contextmanager
    def reading(self, files: Filesystem) -> Iterator[int]:
        """Yield a descriptor of the root of these files, to look names up from."""
        if not files.layers:
            fd = os.open(self._empty, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                yield fd
            finally:
                os.close(fd)
            return
        if files.programs:
            from composer.runtime.build.cache import programs

            with (
                making.temporary_directory(f"{os.path.dirname(self._empty)}/snapshots") as scratch,
                programs.mounted(self._empty, self.directories(files), files.programs, scratch) as fd,
            ):
                yield fd
            return
        # at least two, or the kernel has nothing to overlay
        with _mounted(
            self._empty, [("lowerdir+", one) for one in (*self.directories(files), self._empty)]
        ) as fd:
            yield fd

    @contextlib.contextmanager
    def writing(self, files: Filesystem, upper: str, work: str) -> Iterator[int]:
        """Yield a descriptor of the root of these files; what changes goes into ``upper``."""
        if files.programs:
            from composer.runtime.build.cache import programs

            with programs.mounted(self._empty, self.directories(files), files.programs, work, upper) as fd:
                yield fd
            programs.merge(f"{work}/programs", upper, files.programs)
            return
        options = [("lowerdir+", one) for one in self.directories(files)]
        with _mounted(self._empty, [*options, ("upperdir", upper), ("workdir", work)]) as fd:
            yield fd


@contextlib.contextmanager
def _mounted(place: str, options: list[tuple[str, str]]) -> Iterator[int]:
    try:
        fd = syscalls.overlay_mount(options)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        # before Linux 6.5 layers are given by mount(2) alone, which wants a place
        from composer.runtime.objects import roots

        with roots.held(lambda: _mount_in_place(place, options)) as fd:
            yield fd
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _mount_in_place(place: str, options: list[tuple[str, str]]) -> int:
    """Mount an overlay in a mount namespace of this process's own; return its root's descriptor."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount(None, "/", None, syscalls.MS_SLAVE | syscalls.MS_REC)
    found: dict[str, str] = dict(options)
    lower = [value for key, value in options if key == "lowerdir+"]
    overlay: dict[str, Any] = {"lower": lower}
    if "upperdir" in found:
        overlay = {"lower": lower, "upper": found["upperdir"], "work": found["workdir"]}
    from composer.runtime.container import rootfs

    rootfs.mount_overlay(place, overlay)
    return os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
