"""What a build can give instead of an image in the store: files in a directory, an archive of them or of the image."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

from composer.errors import BuildFailed
from composer.runtime.build.context.copying import copy
from composer.runtime.build.context.selecting import select
from composer.runtime.build.context.trees import Tree
from composer.runtime.images import packing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from composer.runtime.build.filesystems import Filesystem, Mounter

LOCAL, TAR, OCI, DOCKER, IMAGE = "local", "tar", "oci", "docker", "image"
FILES = (LOCAL, TAR)
ARCHIVES = (OCI, DOCKER)


class Output(NamedTuple):
    """An output: ``type`` is local, tar, oci, docker or image; ``target`` is an absolute path, or ``-``."""

    type: str
    target: str = ""

    @property
    def is_stored(self) -> bool:
        """Tell whether the image stays in the store, too."""
        return self.type == IMAGE or (self.type == DOCKER and not self.target)


def parse(text: str, directory: str) -> Output:
    """Read ``type=tar,dest=FILE``, or a path alone: a directory, ``-`` for a tar. Paths are relative to ``directory``.

    Raises BuildFailed.
    """
    if "=" not in text:
        return (
            Output(TAR, "-")
            if text == "-"
            else Output(LOCAL, os.path.normpath(os.path.join(directory, text)))
        )
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    kind, target = fields.get("type", ""), fields.get("dest", "")
    if kind not in (*FILES, *ARCHIVES, IMAGE):
        raise BuildFailed(
            f"invalid output '{text}': type '{kind}' is not supported",
            hint="use local, tar, oci, docker or image",
        )
    if kind == LOCAL and target in ("", "-"):
        raise BuildFailed(f"invalid output '{text}': dest is missing", hint="add dest=DIRECTORY")
    if kind in (TAR, OCI) and not target:
        target = "-"
    if target and target != "-":
        target = os.path.normpath(os.path.join(directory, target))
    return Output(kind, target)


def write_files(output: Output, mounter: Mounter, files: Filesystem, standard_output: BinaryIO) -> None:
    """Write the files of a stage. Raises BuildFailed."""
    with mounter.reading(files) as root:
        if output.type == LOCAL:
            _write_directory(root, output.target)
            return
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
        try:
            with _opened(output, standard_output) as file:
                for piece in packing.pack(fd):
                    file.write(piece)
        finally:
            os.close(fd)


def _write_directory(root: int, target: str) -> None:
    try:
        os.makedirs(target, exist_ok=True)
        fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise BuildFailed(f"cannot write to '{target}': {(error.strerror or str(error)).lower()}") from error
    try:
        tree = Tree(root)
        # what the user gets is the user's
        owner = (os.getuid(), os.getgid())
        copy(tree, select(tree, ["/"], "/", step="--output"), fd, owner=owner, wants_digest=False)
    finally:
        os.close(fd)


def write_image(output: Output, save: Callable[[str], None], standard_output: BinaryIO) -> None:
    """Write the archive of an image. ``save`` writes it to a path. Raises BuildFailed."""
    if output.target != "-":
        save(output.target)
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="composer-output-") as directory:
        path = f"{directory}/image.tar"
        save(path)
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                standard_output.write(piece)


@contextlib.contextmanager
def _opened(output: Output, standard_output: BinaryIO) -> Iterator[BinaryIO]:
    """Yield the file to write to; one that is named appears whole, or not at all."""
    if output.target == "-":
        yield standard_output
        return
    from composer.archives import whole_file

    try:
        with whole_file(output.target) as file:
            yield file
    except OSError as error:
        raise BuildFailed(
            f"cannot write '{output.target}': {(error.strerror or str(error)).lower()}"
        ) from error
