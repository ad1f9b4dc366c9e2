"""What a build's result becomes: an image in the store, or files and archives that are sent to the client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from composer.api.buildkit import filesync
from composer.api.images import finding
from composer.errors import BuildFailed
from composer.runtime.build import outputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from composer.api.buildkit.sessions import Session

_PIECE_BYTES = 1 << 20
_STORED = ("moby", "image")
_KNOWN = frozenset(("name", "push", "dest", "tar", "platform-split"))
_IGNORED = frozenset(
    (
        # how layers would be packed for a registry: images of the store are packed when they are pushed
        "compression",
        "compression-level",
        "force-compression",
        "oci-mediatypes",
        "unpack",
        "store",
        "name-canonical",
        "dangling-name-prefix",
        "buildinfo",
        "buildinfo-attrs",
        "attestation-prefix",
    )
)


class Export(NamedTuple):
    """One output. ``number`` is by what the client knows it; ``path`` is where it is until it is sent."""

    number: int
    type: str
    names: tuple[str, ...]
    path: str
    is_pushed: bool

    @property
    def output(self) -> outputs.Output:
        return outputs.Output(outputs.IMAGE if self.type in _STORED else self.type, self.path)


def planned(wanted: Sequence[Mapping[str, Any]], scratch: str) -> list[Export]:
    """Return the outputs that a client wants. Raises BuildFailed."""
    return [_planned(number, one["Type"], one["Attrs"], scratch) for number, one in enumerate(wanted)]


def _planned(number: int, kind: str, attributes: Mapping[str, str], scratch: str) -> Export:
    known = (*_STORED, *outputs.FILES, *outputs.ARCHIVES)
    if kind not in known:
        raise BuildFailed(f"output type '{kind}' is not supported", hint=f"use {', '.join(known)}")
    unknown = sorted(attributes.keys() - _KNOWN - _IGNORED)
    if unknown:
        raise BuildFailed(
            f"the attribute '{unknown[0]}' of output '{kind}' is not supported", hint="remove it"
        )
    names = [part.strip() for part in attributes.get("name", "").split(",") if part.strip()]
    if kind in outputs.ARCHIVES and attributes.get("tar") == "false":
        raise BuildFailed(f"output '{kind}' with tar=false is not supported", hint="leave tar=false out")
    return Export(
        number,
        kind,
        tuple(finding.reference(name).familiar() for name in names),
        "" if kind in _STORED else f"{scratch}/output-{number}",
        attributes.get("push") == "true",
    )


def send(export: Export, session: Session) -> None:
    """Send an output to the client, if it is no image of the store. Raises BuildFailed, Failed or Reset."""
    if not export.path:
        return
    is_tree = export.type == outputs.LOCAL
    metadata = {"buildkit-attachable-exporter-id": [str(export.number)]}
    with session.open_export(metadata, is_tree=is_tree) as call:
        if is_tree:
            filesync.send(call, export.path)
            return
        with open(export.path, "rb", buffering=0) as file:
            while piece := file.read(_PIECE_BYTES):
                call.send({"data": piece})
        call.end()
        while call.receive() is not None:
            continue
    os.unlink(export.path)
