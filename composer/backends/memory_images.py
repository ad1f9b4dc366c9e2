"""The images of the memory backend: names for ids, from a registry that has whatever it is said to have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.backends.memory_parts import Part
from composer.engine.observed import Advance, ImageStep, ObservedImage, RemovedImage
from composer.errors import Conflict, ImageError, NotFound, PullFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from composer.engine.wanted import BuildSpec, CommitSpec


class Images(Part):
    """The part of `MemoryBackend` that is about images."""

    _images: dict[str, ObservedImage]
    _untagged: dict[str, ObservedImage]
    _registry: frozenset[str] | None

    commits: list[tuple[str, CommitSpec]]
    """What was committed: the container's name, and how."""

    def add_image(
        self, reference: str, *, id: str = "", volumes: tuple[str, ...] = (), has_healthcheck: bool = False
    ) -> ObservedImage:
        """Put an image into the store, replacing what has this reference."""
        with self.changed:
            image = ObservedImage(
                id or f"sha256:{self._new_id('image', reference)}",
                (reference,),
                volumes=volumes,
                has_healthcheck=has_healthcheck,
            )
            if reference in self._images:
                self._untagged[self._images[reference].id] = self._images[reference]
            self._images[reference] = image
            return image

    def find_image(self, reference: str) -> ObservedImage | None:
        with self.changed:
            by_id = (i for i in self._images.values() if i.id == reference)
            return self._images.get(reference) or next(by_id, None)

    def images(self) -> Sequence[ObservedImage]:
        with self.changed:
            return list(self._images.values())

    def pull_image(
        self, reference: str, *, progress: Callable[[Advance], None] | None = None
    ) -> ObservedImage:
        with self.changed:
            self._called("pull_image", reference)
            if self._registry is not None and reference not in self._registry:
                raise PullFailed(f"image '{reference}' does not exist", hint="check its name and tag")
            if progress:
                progress(Advance("pulled", 1, 1, "layers"))
            image = self._images.get(reference) or self.add_image(reference)
            self._emit("image", "pull", reference)
            return image

    def build_image(
        self, spec: BuildSpec, *, progress: Callable[[Advance], None] | None = None
    ) -> ObservedImage:
        self._called("build_image", spec.reference)
        return self.add_image(spec.reference)

    def push_image(
        self,
        reference: str,
        *,
        progress: Callable[[Advance], None] | None = None,
        compression: str = "",
    ) -> str:
        with self.changed:
            self._called("push_image", reference)
            if reference not in self._images:
                raise NotFound(f"no such image: {reference}")
            return ""

    def image_history(self, reference: str) -> Sequence[ImageStep]:
        found = self.find_image(reference)
        if found is None:
            raise NotFound(f"no such image: {reference}")
        return [ImageStep(found.created, "", found.size_bytes, id=found.id)]

    def remove_image(self, reference: str, *, force: bool = False) -> RemovedImage:
        with self.changed:
            self._called("remove_image", reference)
            image = self._images.get(reference)
            users = [c.seen.name for c in self.by_id.values() if image and c.seen.image_id == image.id]
            if users and not force:
                raise Conflict(f"image '{reference}' is in use by container '{users[0]}'")
            if self._images.pop(reference, None):
                self._emit("image", "delete", reference)
            if image is None or any(one.id == image.id for one in self._images.values()):
                return RemovedImage((reference,) if image else ())
            return RemovedImage((reference,), (image.id,))

    def tag_image(self, reference: str, name: str) -> None:
        with self.changed:
            self._called("tag_image", name)
            found = self.find_image(reference) or self._untagged.get(reference)
            if found is None:
                raise NotFound(f"no such image: {reference}")
            self._images[name] = found._replace(references=(*found.references, name))

    def import_image(self, path: str, reference: str, config: Mapping[str, Any]) -> ObservedImage:
        import hashlib

        volumes = tuple(config.get("Volumes") or ())
        try:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ImageError(f"cannot read '{path}': {(error.strerror or '').lower()}") from error
        with self.changed:
            self._called("import_image", reference)
            image = self.add_image(reference, id=f"sha256:{digest}", volumes=volumes)
            self._emit("image", "import", reference)
            return image

    def commit_container(self, id: str, spec: CommitSpec) -> ObservedImage:
        with self.changed:
            container = self._find(id)
            self._called("commit_container", container.seen.name)
            self.commits.append((container.seen.name, spec))
            image = self.add_image(spec.reference or f"<none>@{self._new_id('commit', container.seen.name)}")
            self._emit("container", "commit", container)
            return image

    def load_images(self, path: str) -> Sequence[ObservedImage]:
        import json
        import tarfile

        try:
            with tarfile.open(path) as archive:
                member = archive.extractfile("manifest.json")
                manifest = json.load(member) if member else []
        except (OSError, KeyError, ValueError, tarfile.TarError) as error:
            raise ImageError(f"'{path}' is not an image archive: {error}") from error
        references = [reference for entry in manifest for reference in entry.get("RepoTags") or ()]
        return [self.add_image(reference) for reference in references]
