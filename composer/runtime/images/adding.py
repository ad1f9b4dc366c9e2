"""From layers and a configuration to an image in the store: the one place where images begin to exist."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from composer import dates
from composer.errors import ImageError
from composer.runtime.images import configuration, indexes, manifests
from composer.runtime.images.content import Content, Layer, canonical_json, layer_of_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_CONFIG = "application/vnd.oci.image.config.v1+json"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def import_rootfs(content: Content, path: str, config: Mapping[str, Any]) -> str:
    """Store a tarball as an image of one layer and return the image's id."""
    from composer.runtime.images.pipeline import file_chunks

    inner = _checked(config)
    try:
        with open(path, "rb", buffering=0) as file:
            layer = content.add_layer(file_chunks(file), ())
    except OSError as error:
        raise ImageError(f"cannot read '{path}': {error.strerror}") from error
    except ImageError as error:
        raise ImageError(f"cannot import '{path}': {error}", hint=error.hint) from error
    whole = {
        "architecture": configuration.architecture(),
        "os": "linux",
        "config": inner,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
    }
    return add_image(content, canonical_json(whole), [layer])


def import_chunks(content: Content, chunks: Iterator[bytes], made: Mapping[str, Any]) -> str:
    """Store a tarball, as it comes, as an image of one layer; return its id. ``made``: see `Store.import_chunks`."""
    layer = content.add_layer(chunks, ())
    entry = {key: made[key] for key in ("created", "comment") if made.get(key)}
    whole = {
        "architecture": made.get("architecture") or configuration.architecture(),
        "os": made.get("os") or "linux",
        **({"variant": made["variant"]} if made.get("variant") else {}),
        "created": made["created"],
        "config": checked_changes(made["config"]),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        "history": [entry],
    }
    return add_image(content, canonical_json(whole), [layer])


def commit(content: Content, base: str, chunks: Iterator[bytes], made: Mapping[str, Any]) -> str:
    """Store an image of another and one more layer; return its id. ``made``: config, created, author, comment."""
    record = content.record(base)
    if record is None:
        raise ImageError(f"image {base} is no longer in the store")
    below = [layer_of_record(layer) for layer in record["layers"]]
    layer = content.add_layer(chunks, below)
    whole = json.loads(content.read(base))
    entry = {key: made[key] for key in ("created", "created_by", "author", "comment") if made.get(key)}
    whole = {
        **{key: value for key, value in whole.items() if not key.startswith("container")},
        **{key: made[key] for key in ("created", "author") if made[key]},
        "config": made["config"],
        "rootfs": {"type": "layers", "diff_ids": [*whole["rootfs"]["diff_ids"], layer.diff_id]},
        "history": [*(whole.get("history") or ()), entry],
    }
    return add_image(content, canonical_json(whole), [*below, layer])


def add_image(
    content: Content,
    config: bytes,
    layers: Sequence[Layer],
    manifest: bytes | None = None,
    *,
    has_programs: bool = False,
) -> str:
    """Write the image's record, after everything that it names; return its id, the configuration's digest.

    ``has_programs``: the layers are over the programs of this machine.
    """
    whole = configuration.checked(json.loads(config))
    id = content.put(config)
    manifest = manifest or canonical_json(_manifest(id, len(config), layers))
    record: dict[str, Any] = {
        "config": configuration.tolerant(whole.get("config")),
        "layers": [layer._asdict() for layer in layers],
        "manifest": content.put(manifest),
        "created": str(whole.get("created") or dates.utc(time.time())),
        "platform": indexes.platform_of(whole),
    }
    if has_programs:
        record["programs"] = True
    content.write_record(id, record)
    return id


def _manifest(id: str, config_bytes: int, layers: Sequence[Layer]) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": id, "size": config_bytes},
        "layers": [
            {"mediaType": layer.media_type, "digest": layer.blob, "size": layer.blob_bytes}
            for layer in layers
        ],
    }


# ------------------------------------------------------------------ a configuration that a person wrote


def _checked(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with defaults. Raises ImageError for a key or value that an image cannot have."""
    checked = checked_changes(config)
    if not any(entry.startswith("PATH=") for entry in checked.get("Env", ())):
        checked["Env"] = [_PATH, *checked.get("Env", ())]
    if not checked.get("Cmd") and not checked.get("Entrypoint"):
        checked["Cmd"] = ["/bin/sh"]
    return checked


def checked_changes(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is set of a configuration. Raises ImageError for a key or value that an image cannot have."""
    checked: dict[str, Any] = {}
    for key, value in config.items():
        if key not in _CHANGEABLE:
            raise ImageError(
                f"unknown key '{key}' of an image configuration",
                hint=f"use {', '.join(sorted(_CHANGEABLE))}",
            )
        shape, words = _CHANGEABLE[key]
        if value is None:
            continue
        plain = list(value) if isinstance(value, tuple) else value
        if not shape(plain):
            raise ImageError(f"{key} of the image's configuration must be {words}")
        checked[key] = plain
    return checked


_CHANGEABLE = {
    **{
        key: configuration.CONFIG[key]
        for key in "Env ExposedPorts Healthcheck Labels Shell StopSignal User Volumes WorkingDir".split()
    },
    "Cmd": configuration.STRINGS,
    "Entrypoint": configuration.STRINGS,
}
