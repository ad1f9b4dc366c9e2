"""Compose files in registries: an artifact, unpacked into a directory of the cache.

A reference with a digest needs no network once it is there. Everything is checked before it is kept: digests and sizes
by the registry client, names by `artifacts`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from composer import references
from composer.errors import ImageError, ProjectError
from composer.references import without_login
from composer.registry import settings
from composer.registry.registry import Registries
from composer.schema.options import Fetched
from composer.session.remote import artifacts
from composer.session.remote.switches import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.references import Reference
    from composer.registry.registry import Registry
    from composer.session.remote.artifacts import Layer
    from composer.session.remote.cache import Cache


class OciFiles:
    """Gets compose files from registries. ``insecure`` are hosts that are spoken to without encryption."""

    def __init__(self, cache: Cache, environment: Mapping[str, str], insecure: Sequence[str] = ()) -> None:
        self._cache, self._environment, self._insecure = cache, environment, insecure

    def fetch(self, text: str) -> Fetched:
        """Return the compose file of an artifact. Raises ProjectError."""
        name, shown = text[len(PREFIX) :], without_login(text)
        try:
            reference = references.parse(name)
        except ImageError as error:
            said = str(error).replace(name, shown[len(PREFIX) :])
            raise ProjectError(
                said, hint="write oci://HOST/NAME:TAG; composer login keeps a password"
            ) from error
        root = self._cache.find(_key(reference.digest)) if reference.digest else None
        if root is None:
            root = self._pulled(reference)
        return Fetched(os.path.join(root, artifacts.MAIN), root, shown, f"{shown}/")

    def _pulled(self, reference: Reference) -> str:
        registries = Registries(with_insecure(settings.read(self._environment), self._insecure))
        shown = str(reference)
        try:
            registry = registries.of(reference)
            found = registry.manifest(reference)

            def unpack(directory: str) -> None:
                manifest = found
                if found.media_type in artifacts.INDEXES:
                    digest = artifacts.project_in(found.data, shown)
                    manifest = registry.manifest(references.parse(f"{_repository(reference)}@{digest}"))
                _unpack(registry, reference, artifacts.layers_of(manifest.data, shown), directory)

            return self._cache.get(_key(found.digest), unpack)
        except ImageError as error:
            raise ProjectError(f'failed to pull OCI resource "{shown}": {error}', hint=error.hint) from error
        finally:
            registries.close()


def _key(digest: str) -> str:
    return digest.replace(":", "-")


def _repository(reference: Reference) -> str:
    return f"{reference.host}/{reference.path}"


def with_insecure(found: settings.Settings, hosts: Sequence[str]) -> settings.Settings:
    """Return settings by which these registries may be spoken to without encryption."""
    more = {host: found.host(host)._replace(insecure=True) for host in hosts}
    return found._replace(hosts={**found.hosts, **more})


def _unpack(registry: Registry, reference: Reference, layers: list[Layer], directory: str) -> None:
    """Write the files of an artifact; several of one name are the documents of one file."""
    seen: set[tuple[str, str]] = set()
    for number, layer in enumerate(layers):
        name = layer.name or artifacts.MAIN
        if layer.name and (name, layer.digest) in seen:
            continue  # a file that several others extend, written down for each of them
        seen.add((name, layer.digest))
        references.parse(
            f"{_repository(reference)}@{layer.digest}"
        )  # a digest, and nothing else, goes into a URL
        data = registry.small_blob(reference, layer.digest, layer.size_bytes)
        is_yaml = layer.media_type == artifacts.FILE
        path = os.path.join(directory, name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_APPEND if is_yaml else os.O_TRUNC)
        with open(os.open(path, flags, 0o600), "wb") as file:
            file.write(b"\n---\n" if is_yaml and number and layer.is_named else b"")
            file.write(data)
