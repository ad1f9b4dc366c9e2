"""What registries have of the layers of this store: which blob a layer became, and in which repositories that is.

One file for each diff id, so that a layer has one whatever is underneath. It says what was so once: a registry may
have removed a blob since, so whoever uses this asks there first. Nothing depends on it but time: it is not flushed,
and what is damaged is as if it were not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.patterns import pattern
from composer.runtime.base import files
from composer.runtime.images.content import hex_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from composer.runtime.images.content import Content

_MOST_PLACES = 16
_DIGEST = pattern(r"sha256:[0-9a-f]{64}")


class Packed(NamedTuple):
    """The blob that a layer became by compression."""

    digest: str
    size_bytes: int


class Distributed:
    """The notes of one store. Safe for threads and processes."""

    def __init__(self, content: Content) -> None:
        self._content = content

    def packed(self, diff_id: str, kind: str) -> Packed | None:
        """Return the blob that a layer became under this compression, if it was ever compressed."""
        found = self._read(diff_id)["blobs"].get(kind)
        if isinstance(found, list) and len(found) == 2 and _is_digest(found[0]) and type(found[1]) is int:
            return Packed(*found)
        return None

    def places(self, diff_id: str, digest: str, host: str) -> list[str]:
        """Return the repositories of a registry that were seen with a blob, the latest first."""
        found = self._read(diff_id)["places"].get(digest)
        names = [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
        return [path for one, _, path in (name.partition("/") for name in reversed(names)) if one == host]

    def note_packed(self, diff_id: str, kind: str, packed: Packed) -> None:
        with self._content.distributing() as directory:
            found = self._read(diff_id)
            found["blobs"][kind] = list(packed)
            files.write_json(f"{directory}/{hex_of(diff_id)}.json", found)

    def note_place(self, blobs: Iterable[tuple[str, str]], host: str, path: str) -> None:
        """Note that a repository has these blobs, given as (diff id, digest)."""
        name = f"{host}/{path}"
        with self._content.distributing() as directory:
            for diff_id, digest in dict.fromkeys(blobs):
                found = self._read(diff_id)
                places = found["places"].get(digest)
                known = places if isinstance(places, list) else []
                if known and known[-1] == name:
                    continue
                found["places"][digest] = [*(one for one in known if one != name), name][-_MOST_PLACES:]
                files.write_json(f"{directory}/{hex_of(diff_id)}.json", found)

    def _read(self, diff_id: str) -> dict[str, dict[str, Any]]:
        found = files.read_json(f"{self._content.root}/distributed/{hex_of(diff_id)}.json") or {}
        parts = {key: found.get(key) for key in ("blobs", "places")}
        return {key: part if isinstance(part, dict) else {} for key, part in parts.items()}


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None
