"""What a build can give instead of an image in the store: files in a directory, an archive of them or of the image."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from composer.errors import BuildFailed
from composer.runtime.build.context.copying import copy
from composer.runtime.build.context.selecting import select
from composer.runtime.build.context.trees import Tree
from composer.runtime.images import packing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from composer.runtime.build.cache.filesystems import Filesystem, Mounter

LOCAL, TAR, OCI, DOCKER, IMAGE = "local", "tar", "oci", "docker", "image"
FILES = (LOCAL, TAR)
ARCHIVES = (OCI, DOCKER)


class Output(NamedTuple):
    """An output: ``type`` is local, tar, oci, docker or image; ``target`` is an absolute path."""

    type: str
    target: str = ""

    @property
    def is_stored(self) -> bool:
        """Tell whether the image stays in the store, too."""
        return self.type == IMAGE or (self.type == DOCKER and not self.target)


def parse(text: str) -> Output:
    """Read ``type=tar,dest=FILE``. Raises BuildFailed."""
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    kind, target = fields.get("type", ""), fields.get("dest", "")
    if kind not in (*FILES, *ARCHIVES, IMAGE):
        raise BuildFailed(
            f"invalid output '{text}': type '{kind}' is not supported",
            hint="use local, tar, oci, docker or image",
        )
    if not target and kind in (*FILES, OCI):
        raise BuildFailed(f"invalid output '{text}': dest is missing", hint="add dest=PATH")
    return Output(kind, target)


def check_portable(output: Output, files: Filesystem) -> None:
    """Refuse to write files elsewhere that are over the programs of this machine. Raises BuildFailed."""
    if files.programs and not output.is_stored:
        raise BuildFailed(
            f"cannot write the output '{output.type}': the image is FROM host, and its programs are this machine's",
            hint="end with a stage FROM scratch, and COPY --from what was made",
        )


def write_files(output: Output, mounter: Mounter, trees: Sequence[tuple[str, Filesystem]]) -> None:
    """Write the files of a stage; of several, given with names, each into a directory. Raises BuildFailed."""
    if output.type == LOCAL:
        for name, files in trees:
            with mounter.reading(files) as root:
                _write_directory(root, os.path.join(output.target, name) if name else output.target)
        return
    from composer.archives import whole_file

    try:
        with whole_file(output.target) as file:
            for piece in _packed(mounter, trees):
                file.write(piece)
    except OSError as error:
        raise _unwritable(output.target, error) from error


def _packed(mounter: Mounter, trees: Sequence[tuple[str, Filesystem]]) -> Iterator[bytes]:
    if len(trees) > 1:
        yield from packing.pack_all(_opened(mounter, trees))
        return
    for _, fd in _opened(mounter, trees):
        yield from packing.pack(fd)


def _opened(mounter: Mounter, trees: Sequence[tuple[str, Filesystem]]) -> Iterator[tuple[str, int]]:
    for name, files in trees:
        with mounter.reading(files) as root:
            fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
            try:
                yield name, fd
            finally:
                os.close(fd)


def _write_directory(root: int, target: str) -> None:
    try:
        os.makedirs(target, exist_ok=True)
        fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        tree = Tree(root)
        # what the user gets is the user's
        owner = (os.getuid(), os.getgid())
        copy(tree, select(tree, ["/"], "/", step="--output"), fd, owner=owner, wants_digest=False)
    finally:
        os.close(fd)


def _unwritable(target: str, error: OSError) -> BuildFailed:
    return BuildFailed(f"cannot write '{target}': {(error.strerror or str(error)).lower()}")
