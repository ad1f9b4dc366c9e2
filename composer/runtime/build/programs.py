"""FROM host: the programs of this machine below the layers of a build.

/usr and its like are each an overlay of their own, as in a container of ``image: host``: what the layers have there,
over the directory of this machine. What is written there goes into a layer as everything else does.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from composer.runtime.base import syscalls
from composer.runtime.container import programs, rootfs
from composer.runtime.objects import roots
from composer.runtime.objects.mounting import layers_of_programs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def mounted(
    place: str, layers: Sequence[str], names: Sequence[str], scratch: str, upper: str | None = None
) -> Iterator[int]:
    """Yield the root of layers (topmost first) with the programs ``names`` below them; with ``upper`` to be written to.

    ``place`` is an empty directory to mount at, ``scratch`` one of ours for what overlays need.
    """
    for name in names:
        for kind in ("upper", "work"):
            os.makedirs(f"{scratch}/programs{name}/{kind}", 0o755, exist_ok=True)
    os.makedirs(f"{scratch}/root", 0o700, exist_ok=True)
    with roots.held(lambda: _mount(place, layers, names, scratch, upper)) as fd:
        yield fd


def _mount(place: str, layers: Sequence[str], names: Sequence[str], scratch: str, upper: str | None) -> int:
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount(None, "/", None, syscalls.MS_SLAVE | syscalls.MS_REC)
    over = {} if upper is None else {"upper": upper, "work": f"{scratch}/root"}
    # an overlay of one layer needs another below it
    rootfs.mount_overlay(
        place, {"lower": [*layers, f"{scratch}/root"] if upper is None else list(layers), **over}
    )
    root = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in names:
        options = [f"lowerdir={name}", f"upperdir={scratch}/programs{name}/upper"]
        options += [f"workdir={scratch}/programs{name}/work", *layers_of_programs(name, layers)]
        target = rootfs.make_directory(root, name)
        try:
            mounted, _ = programs.mount(root, target, name, options)
            os.close(mounted)
        finally:
            os.close(target)
    return syscalls.clone_tree(root, recursive=True)


def merge(written: str, upper: str, names: Sequence[str]) -> None:
    """Put what was written over the programs, in ``written/<name>/upper``, into the layer."""
    for name in names:
        source, target = f"{written}{name}/upper", f"{upper}{name}"
        if not os.path.isdir(source) or not os.listdir(source):
            continue
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(target)  # a copy of the empty directory that the skeleton has
        os.rename(source, target)
