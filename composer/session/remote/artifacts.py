"""How Docker Compose puts a project into a registry: the facts of the format, and no transport.

A manifest with one layer for each compose file, which the reader joins to one file of several documents; further
layers are files that services extend, by the names that the compose file has for them, and env files.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os.path
from typing import Any, NamedTuple

from composer.errors import ProjectError

PROJECT = "application/vnd.docker.compose.project"
"""The artifact's type, where the registry knows OCI 1.1."""
FILE = "application/vnd.docker.compose.file+yaml"
ENV_FILE = "application/vnd.docker.compose.envfile"
EMPTY_CONFIG = "application/vnd.docker.compose.config.empty.v1+json"
"""The configuration's type, by which an artifact of OCI 1.0 is known."""
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
INDEXES = (INDEX, "application/vnd.docker.distribution.manifest.list.v2+json")
NAME, ENV_NAME = "com.docker.compose.file", "com.docker.compose.envfile"
EXTENDED, VERSION = "com.docker.compose.extends", "com.docker.compose.version"

EMPTY = b"{}"
MAIN = "compose.yaml"
MAX_LAYERS = 256
MAX_FILE_BYTES = 8 << 20
MAX_BYTES = 64 << 20


class Layer(NamedTuple):
    """A file of an artifact. ``name`` is empty for a compose file: it becomes a part of `MAIN`."""

    digest: str
    size_bytes: int
    media_type: str
    name: str
    is_named: bool
    """Whether it says what it is called: a document of its own begins then."""


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


# ------------------------------------------------------------------ reading


def project_in(index: bytes, shown: str) -> str:
    """Return the digest of the project's manifest in an index. Raises ProjectError."""
    entries = _object(index, shown).get("manifests")
    found = [
        entry.get("digest")
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and entry.get("artifactType") == PROJECT
    ]
    if not found or not isinstance(found[-1], str):
        raise ProjectError(
            f"OCI index {shown} doesn't refer to compose artifacts",
            hint="name an artifact that was made with composer publish",
        )
    return found[-1]


def layers_of(manifest: bytes, shown: str) -> list[Layer]:
    """Return the files of an artifact. Raises ProjectError for what is none, or is dangerous."""
    document = _object(manifest, shown)
    kind, config = document.get("artifactType") or "", document.get("config")
    media_type = config.get("mediaType") if isinstance(config, dict) else None
    if kind not in ("", PROJECT) or (not kind and media_type != EMPTY_CONFIG):
        raise ProjectError(
            f"{shown} is not a compose project OCI artifact, but {kind or media_type or 'something else'}",
            hint="name an artifact that was made with composer publish",
        )
    entries = document.get("layers")
    if not isinstance(entries, list) or len(entries) > MAX_LAYERS:
        raise _invalid(shown, f"it must have a list of at most {MAX_LAYERS} layers")
    found = [layer for entry in entries if (layer := _layer(entry, shown)) is not None]
    if sum(layer.size_bytes for layer in found) > MAX_BYTES:
        raise _invalid(shown, f"its files have more than {MAX_BYTES >> 20} MiB")
    if not any(layer.media_type == FILE and not layer.name for layer in found):
        raise _invalid(shown, "it has no compose file")
    return found


def _layer(entry: Any, shown: str) -> Layer | None:
    """Return a layer; None for one of a type that says nothing to us."""
    if not isinstance(entry, dict):
        raise _invalid(shown, "a layer is no object")
    media_type, digest, size = entry.get("mediaType"), entry.get("digest"), entry.get("size")
    notes = entry.get("annotations")
    notes = notes if isinstance(notes, dict) else {}
    if media_type not in (FILE, ENV_FILE):
        return None
    if not isinstance(digest, str) or not isinstance(size, int) or size < 0:
        raise _invalid(shown, "a layer has no digest or no size")
    if size > MAX_FILE_BYTES:
        raise _invalid(shown, f"a file has more than {MAX_FILE_BYTES >> 20} MiB")
    name = ""
    if media_type == ENV_FILE:
        if ENV_NAME not in notes:
            raise _invalid(shown, f'missing annotation {ENV_NAME} in layer "{digest}"')
        name = _file_name(notes[ENV_NAME], shown)
        if name == MAIN:
            raise _invalid(shown, f"an env file has the name {MAIN}")
    elif EXTENDED in notes:
        name = _file_name(notes.get(NAME), shown)
    return Layer(digest, size, media_type, name, NAME in notes)


def _file_name(name: Any, shown: str) -> str:
    """Return the name of a file in the artifact's directory. Raises ProjectError for one that is elsewhere."""
    if (
        not isinstance(name, str)
        or name in ("", ".", "..")
        or any(letter in "/\\" or not letter.isprintable() for letter in name)
        or len(name.encode()) > 255
    ):
        raise _invalid(shown, f"{name!r} is no name of a file in it")
    return name


def _object(data: bytes, shown: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _invalid(shown, "its manifest is no JSON object")
    return found


def _invalid(shown: str, why: str) -> ProjectError:
    return ProjectError(
        f"invalid OCI artifact {shown}: {why}",
        hint="publish it again, or do not use it: somebody made it by hand",
    )


# ------------------------------------------------------------------ writing


class File(NamedTuple):
    """A file that is published."""

    name: str
    data: bytes
    media_type: str = FILE
    is_extended: bool = False

    def descriptor(self, version: str) -> dict[str, Any]:
        """Return what the manifest says of it."""
        key = ENV_NAME if self.media_type == ENV_FILE else NAME
        return {
            "mediaType": self.media_type,
            "digest": digest_of(self.data),
            "size": len(self.data),
            "annotations": {
                VERSION: version,
                key: os.path.basename(self.name),
                **({EXTENDED: "true"} if self.is_extended else {}),
            },
        }


def manifest(files: list[File], oci_version: str, version: str, created: str) -> bytes:
    """Return the manifest of an artifact, in the form of OCI ``1.0`` or ``1.1``."""
    config = {
        "mediaType": OCI_EMPTY if oci_version == "1.1" else EMPTY_CONFIG,
        "digest": digest_of(EMPTY),
        "size": len(EMPTY),
        "data": base64.b64encode(EMPTY).decode(),
    }
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            **({"artifactType": PROJECT} if oci_version == "1.1" else {}),
            "config": config,
            "layers": [file.descriptor(version) for file in files],
            "annotations": {"org.opencontainers.image.created": created},
        }
    ).encode()


def index(images: list[dict[str, Any]], subject: bytes, version: str) -> bytes:
    """Return the index of a published application: its images, and the artifact that they are of."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": images,
            "subject": {
                "mediaType": MANIFEST,
                "digest": digest_of(subject),
                "size": len(subject),
                "annotations": {VERSION: version},
                "artifactType": PROJECT,
            },
            "annotations": {VERSION: version},
        }
    ).encode()
