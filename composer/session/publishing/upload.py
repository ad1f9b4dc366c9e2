"""An artifact into a registry: its files, its manifest and, for an application, an index of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer import references
from composer.errors import ImageError, ProjectError, PushFailed
from composer.registry import settings
from composer.registry.push import ManifestRefused, Outgoing, Repository
from composer.registry.registry import Registries
from composer.session.publishing.copying import copied
from composer.session.remote import artifacts
from composer.session.remote.oci import with_insecure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from composer.references import Reference
    from composer.session.remote.artifacts import File

VERSIONS = ("1.0", "1.1")


def reference_of(text: str) -> Reference:
    """Return where to publish to. Raises ProjectError for what is no name with a tag."""
    try:
        reference = references.parse(text)
    except ImageError as error:
        hint = "leave out oci://" if text.startswith("oci://") else "write HOST/NAME:TAG"
        raise ProjectError(str(error), hint=hint) from error
    if reference.digest:
        raise ProjectError(f"cannot publish to the digest of '{text}'", hint="write HOST/NAME:TAG")
    return reference


class Publication:
    """What is published, and where. ``version`` is what annotations say of us, ``created`` the time in RFC 3339."""

    def __init__(
        self,
        reference: Reference,
        environment: Mapping[str, str],
        *,
        version: str,
        created: str,
        insecure: bool = False,
    ) -> None:
        self._reference, self._version, self._created = reference, version, created
        found = with_insecure(settings.read(environment), (reference.host,) if insecure else ())
        self._registries = Registries(found)
        self._repository = Repository(self._registries.of(reference), reference)

    def close(self) -> None:
        self._registries.close()

    def send(self, files: Sequence[File], oci_version: str = "", images: Sequence[str] = ()) -> str:
        """Send the files, and copies of ``images`` for an application; return the digest. Raises PushFailed.

        Without a version OCI 1.1 is tried, and 1.0 where the registry does not know it.
        """
        try:
            for data in (artifacts.EMPTY, *(file.data for file in files)):
                self._send_blob(data)
            manifest = self._send_manifest(list(files), oci_version)
            if images:
                self._send_index(manifest, images)
        except ImageError as error:
            raise PushFailed(
                f"cannot publish '{self._reference.familiar()}': {error}", hint=error.hint
            ) from error
        return artifacts.digest_of(manifest)

    def _send_blob(self, data: bytes) -> None:
        digest = artifacts.digest_of(data)

        def read(start: int, end: int) -> Iterator[bytes]:
            yield data[start:end]

        if not self._repository.has(digest):
            self._repository.send(Outgoing(digest, len(data), read), lambda moved: None)

    def _send_manifest(self, files: list[File], oci_version: str) -> bytes:
        for version in (oci_version,) if oci_version else reversed(VERSIONS):
            manifest = artifacts.manifest(files, version, self._version, self._created)
            try:
                self._repository.put_manifest(manifest, artifacts.MANIFEST, self._reference.tag)
            except ManifestRefused:
                if oci_version or version == VERSIONS[0]:
                    raise
            else:
                return manifest
        raise AssertionError("the last version is sent, or raises")

    def _send_index(self, manifest: bytes, images: Sequence[str]) -> None:
        found: list[dict[str, Any]] = []
        for image in images:
            source = references.parse(image)
            found.append(copied(self._registries.of(source), source, self._repository, self._reference))
        index = artifacts.index(found, manifest, self._version)
        self._repository.put_manifest(index, artifacts.INDEX, artifacts.digest_of(index))
