"""Snapshots of the built-in runtime in the engine's words, and the reverse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine.observed import ObservedSnapshot, SnapshotPart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.engine.wanted import SnapshotSpec
    from composer.runtime.base.record_types import SnapshotRecord
    from composer.runtime.engine.core import Core
    from composer.runtime.snapshots.store import Wish


def all_of(core: Core) -> list[ObservedSnapshot]:
    """Return the snapshots that have a name, oldest first."""
    from composer.runtime.snapshots.store import Snapshots

    store = Snapshots(core.paths, core.volumes)
    found = sorted(store.all(), key=lambda record: (record["created_ns"], record["id"]))
    users = store.users() if found else {}
    return [observed(record, users.get(record["id"], ())) for record in found]


def observed(record: SnapshotRecord, users: Sequence[str] = ()) -> ObservedSnapshot:
    parts = tuple(SnapshotPart(part["kind"], part["source"], part["about"]) for part in record["parts"])
    return ObservedSnapshot(
        record["id"],
        record["name"],
        record["project"],
        record["created_ns"],
        record["quiet"],
        record["way"],
        record["size_bytes"],
        parts,
        tuple(users),
    )


def wish_of(spec: SnapshotSpec) -> Wish:
    from composer.runtime.snapshots.store import Wish

    parts = [{"kind": part.kind, "source": part.source, "about": dict(part.about)} for part in spec.parts]
    return Wish(spec.name, spec.project, spec.quiet, parts)  # type: ignore[arg-type]
