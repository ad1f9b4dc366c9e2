"""What earlier builds made, by what it was made from: found, made once however many want it, and kept.

    <root>/build/steps/<key>.json       a step that was carried out: the snapshot that it left, what it was, how long
                                        it took. Its modification time is that of its last use
    <root>/build/snapshots/<id>         the files of a step as a layer for overlayfs; a link into the image store once
                                        an image has it
    <root>/build/snapshots/<id>.json    its digest and sizes, once somebody has asked
    <root>/build/locks/<key>            held by who carries the step out, so that others wait for the result
    <root>/build/mounts/<key>/          the directories of RUN --mount=type=cache
    <root>/build/leases/<name>          held by a build: what it names is in use

A key is a digest of everything that decides about the result: the files below, the instruction, and what it reads.
A step's record is written last, so that a kill leaves a snapshot that nobody knows, and never a record without one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.runtime.base import files, locking, shapes, state, trees

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

VERSION = 1


class Snapshot(NamedTuple):
    """The files of one step, for overlayfs, above those of the steps before. ``created_ns`` counts from 1970."""

    id: str
    directory: str
    created_ns: int


class Step(NamedTuple):
    """A step that was carried out before. ``what`` is its instruction, ``seconds`` how long it took."""

    key: str
    snapshot: Snapshot
    what: str
    seconds: float
    used_ns: int
    base: str
    """The key of the step before; empty at the beginning of a stage."""
    extra: Mapping[str, Any]


_is_step = shapes.like(
    snapshot=shapes.is_text, created_ns=shapes.is_number, what=shapes.is_text, base=shapes.is_text
)


def key_of(kind: str, *parts: Any) -> str:
    """Return the key of a step: 64 hexadecimal digits. ``parts`` are JSON values; their order counts."""
    text = json.dumps([VERSION, kind, *parts], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Cache:
    """The build cache of a state directory; ``root`` is ``<root>/build``. Safe beside other processes."""

    def __init__(self, root: str) -> None:
        self.root = root

    def prepare(self) -> None:
        """Make the directories, closed to others."""
        for part in ("steps", "snapshots", "locks", "mounts", "leases"):
            state.make_directory(f"{self.root}/{part}")

    # -------------------------------------------------------------- steps

    def carrying_out(self, key: str) -> AbstractContextManager[None]:
        """Hold a step's lock: who wants the same step at the same time waits, and then finds it."""
        return locking.locked(f"{self.root}/locks/{key}", removes=True)

    def trying(self, key: str) -> AbstractContextManager[bool]:
        """Hold a step's lock where nobody has it; yield whether that is so."""
        return locking.trying(f"{self.root}/locks/{key}", removes=True)

    def find(self, key: str) -> Step | None:
        """Return a step that was carried out, and note that it was wanted now."""
        found = self.peek(key)
        if found is not None:
            with contextlib.suppress(FileNotFoundError):
                os.utime(f"{self.root}/steps/{key}.json")
        return found

    def steps(self) -> Iterator[Step]:
        """Yield every step, in no order."""
        for name in state.list_directory(f"{self.root}/steps"):
            found = self.peek(name.removesuffix(".json")) if name.endswith(".json") else None
            if found is not None:
                yield found

    def peek(self, key: str) -> Step | None:
        """Return a step that was carried out, without any effect."""
        path = f"{self.root}/steps/{key}.json"
        record = files.read_json(path)
        if record is None or record.get("version") != VERSION or not _is_step(record):
            return None
        snapshot = self.snapshot(record["snapshot"], record["created_ns"])
        if not os.path.isdir(snapshot.directory):
            return None
        try:
            used_ns = os.stat(path).st_mtime_ns
        except FileNotFoundError:
            return None  # pruned in this moment
        return Step(
            key,
            snapshot,
            record["what"],
            float(record.get("seconds") or 0),
            used_ns,
            record["base"],
            record.get("extra") or {},
        )

    def keep(
        self,
        key: str,
        snapshot: Snapshot,
        *,
        what: str,
        base: str,
        seconds: float,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Write down what a step left. ``extra`` is for whoever finds it, JSON."""
        record = {
            "version": VERSION,
            "snapshot": snapshot.id,
            "created_ns": snapshot.created_ns,
            "what": what,
            "base": base,
            "seconds": seconds,
            "extra": extra or {},
        }
        files.write_json(f"{self.root}/steps/{key}.json", record)

    def forget(self, key: str) -> None:
        files.remove_file(f"{self.root}/steps/{key}.json")

    # -------------------------------------------------------------- snapshots

    def snapshot(self, id: str, created_ns: int) -> Snapshot:
        return Snapshot(id, f"{self.root}/snapshots/{id}", created_ns)

    @contextlib.contextmanager
    def making(self) -> Iterator[str]:
        """Yield a directory with an empty ``files`` (the layer to be) and ``work``; it goes at the end of the block."""
        from composer.runtime.base import making

        with making.temporary_directory(f"{self.root}/snapshots") as directory:
            for name, mode in (("files", 0o755), ("work", 0o700)):
                os.mkdir(f"{directory}/{name}", mode)
                os.chmod(f"{directory}/{name}", mode)
            yield directory

    def take(
        self, directory: str, hold: Callable[[Iterable[str]], None], *, created_ns: int | None = None
    ) -> Snapshot:
        """Make a directory on the same file system a snapshot, by rename.

        ``hold`` is told its name before (`Lease.add`): what no step has and nobody holds is swept at any moment.
        """
        found = self.snapshot(os.urandom(16).hex(), time.time_ns() if created_ns is None else created_ns)
        hold([found.directory])
        os.rename(directory, found.directory)
        return found

    def facts(self, id: str) -> dict[str, Any]:
        """Return what is known of a snapshot beside its files: ``diff_id``, ``plain_bytes``, ``size_bytes``."""
        return files.read_json(f"{self.root}/snapshots/{id}.json") or {}

    def write_facts(self, id: str, facts: Mapping[str, Any]) -> None:
        files.write_json(f"{self.root}/snapshots/{id}.json", facts)

    def remove_snapshot(self, id: str) -> None:
        path = f"{self.root}/snapshots/{id}"
        if os.path.islink(path):
            files.remove_file(path)
        else:
            trees.put_away(path)
        files.remove_file(f"{path}.json")

    # -------------------------------------------------------------- directories of cache mounts

    def mount(self, id: str) -> str:
        """Return the directory of a cache mount, by its id."""
        return f"{self.root}/mounts/{hashlib.sha256(os.fsencode(id)).hexdigest()}"
