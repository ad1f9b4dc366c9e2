"""Protocols for images: find, pull, build, push, tag, load and save, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from composer.engine.observed import Advance, ImageStep, ObservedImage, RemovedImage
    from composer.engine.wanted import BuildSpec

    Report = Callable[[Advance], None]


class ImageObserver(Protocol):
    """Reads images."""

    def find_image(self, reference: str) -> ObservedImage | None: ...
    def images(self) -> Sequence[ObservedImage]: ...
    def image_history(self, reference: str) -> Sequence[ImageStep]:
        """Return how an image was made, the last step first. Raises NotFound."""
        ...


class Images(ImageObserver, Protocol):
    """Changes images. ``progress`` is called from any thread."""

    def pull_image(self, reference: str, *, progress: Report | None = None) -> ObservedImage: ...
    def build_image(self, spec: BuildSpec, *, progress: Report | None = None) -> ObservedImage | None:
        """Build an image; return None where only outputs were wanted.

        Raises BuildFailed, with the end of the builder's output as notes.
        """
        ...

    def look_at_build(self, spec: BuildSpec) -> str | None:
        """Return why a build would make another image than there is; empty where it would not, None if unknown.

        Nothing is built or pulled. Raises BuildFailed where the build would fail at once.
        """
        ...

    def push_image(self, reference: str, *, progress: Report | None = None, compression: str = "") -> str:
        """Push an image to the registry of its name; return its digest there, where the backend knows it.

        ``compression`` (gzip or zstd) is that of layers which are not compressed yet; empty for the backend's own.
        Raises ImageError, and Unsupported for a compression that the backend cannot choose.
        """
        ...

    def remove_image(self, reference: str, *, force: bool = False) -> RemovedImage: ...
    def tag_image(self, reference: str, name: str) -> None: ...
    def import_image(self, path: str, reference: str, config: Mapping[str, Any]) -> ObservedImage:
        """Create an image with one layer from a root filesystem tarball.

        ``config`` has keys of the OCI image configuration: Cmd, Entrypoint, Env, WorkingDir, User, Volumes, ….
        """
        ...

    def load_images(self, path: str) -> Sequence[ObservedImage]:
        """Read images from a docker-archive or an OCI layout (directory or tar)."""
        ...

    # What follows only where the backend has `Capability.KEEPS_IMAGES`.

    def resolve_image(self, reference: str) -> str:
        """Return the digest that a reference currently has in its registry. Raises PullFailed."""
        ...

    def save_images(self, references: Sequence[str], path: str) -> None:
        """Save images to one tar archive, which is both an OCI layout and a docker-archive."""
        ...

    def prune_images(self, *, unused: bool = False) -> tuple[Sequence[str], int]:
        """Remove dangling images, or with ``unused`` all images without containers; return ids and bytes freed."""
        ...

    def prune_builds(
        self, *, everything: bool = False, most_bytes: int | None = None, unused_for_s: float = 0.0
    ) -> tuple[Sequence[str], int]:
        """Remove entries of the build cache, the least recently used first; return ids and bytes freed.

        Without ``everything``, entries that images share and cache mounts stay. With ``most_bytes`` it ends when the
        cache is not larger. What was used within the last ``unused_for_s`` seconds stays.
        """
        ...
