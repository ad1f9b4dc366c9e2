"""Images: seen, pulled, built, pushed, named, moved as archives, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from composer.engine.observed import Advance, ObservedImage
    from composer.engine.wanted import BuildSpec

    Report = Callable[[Advance], None]


class ImageObserver(Protocol):
    """What can be seen of images."""

    def find_image(self, reference: str) -> ObservedImage | None: ...
    def images(self) -> Sequence[ObservedImage]: ...


class Images(ImageObserver, Protocol):
    """What can be done to images. How far it is, is told to ``progress``, from any thread."""

    def pull_image(self, reference: str, *, progress: Report | None = None) -> ObservedImage: ...
    def build_image(self, spec: BuildSpec, *, progress: Report | None = None) -> ObservedImage:
        """Build an image. Raises BuildFailed, with the end of the builder's output as notes."""
        ...

    def push_image(self, reference: str, *, progress: Report | None = None) -> None:
        """Send an image to the registry that its name says. Raises ImageError."""
        ...

    def remove_image(self, reference: str, *, force: bool = False) -> None: ...
    def tag_image(self, reference: str, name: str) -> None: ...
    def import_image(self, path: str, reference: str, config: Mapping[str, Any]) -> ObservedImage:
        """Make an image of one layer from a tarball of a root filesystem.

        ``config`` has the OCI image configuration's words: Cmd, Entrypoint, Env, WorkingDir, User, Volumes, ….
        """
        ...

    def load_images(self, path: str) -> Sequence[ObservedImage]:
        """Read images from a docker-archive or an OCI layout (directory or tar)."""
        ...

    # What follows only where the backend has `Capability.KEEPS_IMAGES`.

    def resolve_image(self, reference: str) -> str:
        """Return the digest that the registry has for a reference now. Raises PullFailed."""
        ...

    def save_images(self, references: Sequence[str], path: str) -> None:
        """Write images to one tar that is an OCI layout and a docker-archive."""
        ...

    def prune_images(self, *, unused: bool = False) -> tuple[Sequence[str], int]:
        """Remove images without a name, or all that no container uses; return their ids and the bytes freed."""
        ...
