"""The images of one state directory: found by name or id, added from archives, removed when nothing needs them.

Adding ends with one small file, so an image is there whole or not at all; what was left behind by a kill is
unreachable, and goes with the next removal. Finding reads two files and takes no lock.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from composer import references
from composer.errors import Conflict, ImageError, NotFound, PushFailed
from composer.runtime.images import host, indexes
from composer.runtime.images.configuration import Image
from composer.runtime.images.content import Content, Named, hex_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from composer.runtime.images.manifests import Step
    from composer.runtime.images.progress import Advance, Watcher
    from composer.runtime.images.pull import Puller
    from composer.runtime.images.push import Pusher
    from composer.runtime.images.removal import Removed


class Store:
    """Images below ``root``. Containers are in the directory beside it, and keep the layers that they use."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._content = Content(root)

    # -------------------------------------------------------------- looking

    def find(self, name: str) -> Image | None:
        """Return the image of a reference, an id, or at least twelve digits of one; None when there is none."""
        if name == host.REFERENCE or name == host.digest():
            return self._host()
        names = self._content.names()
        id = self._id_of(name, names)
        found = self._image(id, names) if id else None
        if found is None:
            return None
        own = names.get(_full(name))
        if own is not None:
            return self._with_index(found._replace(tagged_ns=own.tagged_ns), own)
        indexed = [one for one in names.values() if one.id == found.id and one.index_digest]
        meant = [one for one in indexed if hex_of(one.index_digest).startswith(name.removeprefix("sha256:"))]
        return self._with_index(found, next(iter((*meant, *indexed)), None))

    def _with_index(self, image: Image, named: Named | None) -> Image:
        """Return an image with those of other platforms that a name of it keeps."""
        if named is None or not named.index_digest:
            return image
        records = {id: record for id in named.ids if (record := self._content.record(id)) is not None}
        sizes = {
            layer["chain_id"]: layer["size_bytes"]
            for record in records.values()
            for layer in record["layers"]
        }
        return image._replace(
            index_digest=named.index_digest,
            others=tuple(
                _image_of(self._content, id, records[id], {}) for id in named.others if id in records
            ),
            others_bytes=sum(sizes.values()) - image.size_bytes,
        )

    def history(self, name: str) -> list[Step]:
        """Return how an image was made, the last step first. Raises NotFound."""
        from composer.runtime.images import manifests

        names = self._content.names()
        id = self._id_of(name, names)
        record = self._content.record(id) if id else None
        if id is None or record is None:
            raise NotFound(f"no such image: {name}", hint="list them with composer image ls")
        return manifests.history(self._content.read(id), record["layers"], id)

    def read(self, digest: str) -> bytes:
        """Return a configuration, a manifest or an index. Raises FileNotFoundError."""
        return self._content.read(digest)

    def images(self) -> Sequence[Image]:
        """Return all stored images, those without a name too. The host is none of them.

        Those that an image keeps for other platforms are with it, and not beside it.
        """
        names = self._content.names()
        kept = {id for entry in names.values() for id in entry.others} - {
            entry.id for entry in names.values()
        }
        indexed = {entry.id: entry for entry in names.values() if entry.index_digest}
        found = (
            _image_of(self._content, id, record, names)
            for id, record in self._content.records()
            if id not in kept
        )
        return [self._with_index(one, indexed.get(one.id)) for one in found]

    def _id_of(self, name: str, names: Mapping[str, Named]) -> str | None:
        digits = references.id_prefix(name)
        if digits is None or not name.startswith("sha256:"):
            full = _full(name)
            if full in names:
                return names[full].id
            if "@" in full:
                return _pulled_by_tag(full, names)
        if digits is None:
            return None
        of_index = {
            entry.index_digest: entry.id
            for entry in names.values()
            if hex_of(entry.index_digest).startswith(digits)
        }
        if len(digits) == 64:
            return of_index.get(f"sha256:{digits}") or f"sha256:{digits}"
        ids = {id: id for id, _ in self._content.records() if hex_of(id).startswith(digits)}
        found = [*of_index.values(), *ids]
        if len(found) > 1:
            raise Conflict(f"'{name}' matches {len(found)} images", hint="use a longer ID prefix")
        return found[0] if found else None

    def _image(self, id: str, names: Mapping[str, Named]) -> Image | None:
        record = self._content.record(id)
        return _image_of(self._content, id, record, names) if record is not None else None

    def _host(self) -> Image:
        layer = host.skeleton(f"{self._root}/host")
        return Image(
            host.digest(),
            (host.REFERENCE,),
            (layer,),
            host.config(),
            programs=tuple(host.program_directories()),
            platform=indexes.platform_of({}),
        )

    def using(self) -> AbstractContextManager[None]:
        """Keep every image from being removed, while a container is made that will keep its own from then on."""
        return self._content.adding()

    def excluding(self, *, wait: bool = True) -> AbstractContextManager[None]:
        """Wait until nobody adds an image or makes a container, and keep everybody from it.

        Without ``wait`` it raises BlockingIOError while somebody does.
        """
        return self._content.removing(wait=wait)

    # -------------------------------------------------------------- adding

    def puller(self, environment: Mapping[str, str]) -> Puller:
        """Return what `pull` needs, with what the user has configured. Raises ProjectError."""
        from composer.registry import settings
        from composer.runtime.images.pull import Puller

        return Puller(self._content, settings.read(environment))

    def pusher(self, environment: Mapping[str, str]) -> Pusher:
        """Return what `push` needs, with what the user has configured. Raises ProjectError."""
        from composer.registry import settings
        from composer.runtime.images.push import Pusher

        return Pusher(self._content, settings.read(environment))

    def import_rootfs(self, path: str, name: str, config: Mapping[str, Any]) -> Image:
        """Make an image of one layer from a tarball, plain or compressed. ``config`` is Docker's.

        The id depends on the tarball and the configuration alone: importing the same again changes nothing.
        """
        from composer.runtime.images.adding import import_rootfs

        full = _taggable(name)
        with self._content.adding():
            id = import_rootfs(self._content, path, config)
            self._content.change_names({full: Named(id, tagged_ns=time.time_ns())})
        return self._must_have(id)

    def import_chunks(self, chunks: Iterator[bytes], name: str, made: Mapping[str, Any]) -> Image:
        """Make an image of one layer from a tarball, plain or compressed, as it comes. ``name`` may be empty.

        ``made``: config, created, comment, and architecture, os and variant where they are not this machine's.
        """
        from composer.runtime.images.adding import import_chunks

        full = _taggable(name) if name else ""
        with self._content.adding():
            id = import_chunks(self._content, chunks, made)
            if full:
                self._content.change_names({full: Named(id, tagged_ns=time.time_ns())})
        return self._must_have(id)

    def commit(self, base: Image, chunks: Iterator[bytes], made: Mapping[str, Any], name: str) -> Image:
        """Make an image of another and one more layer. ``made``: config, created, author, comment."""
        from composer.runtime.images.adding import commit

        full = _taggable(name) if name else ""
        with self._content.adding():
            id = commit(self._content, base.id, chunks, made)
            if full:
                self._content.change_names({full: Named(id, tagged_ns=time.time_ns())})
        return self._must_have(id)

    def load(self, path: str) -> list[Image]:
        """Read the images of a docker-archive or an OCI layout, packed or not. Raises ImageError."""
        return [image for image, _ in self.load_named(path)]

    def load_named(self, path: str, platform: str = "") -> list[tuple[Image, list[str]]]:
        """Read the images of an archive, or those for one platform; return each with the names that it has there."""
        from composer.runtime.images.loading import load

        with self._content.adding():
            entries = []
            for one in load(self._content, path):
                ids = [id for id in one.ids if platform in ("", indexes.platform_of_image(self._content, id))]
                if not ids:
                    raise ImageError(f"no image in the archive is for platform {platform}")
                index = one.index_data if len(ids) == len(one.ids) else b""
                named = indexes.named(self._content, ids, tagged_ns=time.time_ns(), index=index)
                entries.append((one.names, named))
            self._content.change_names({name: entry for names, entry in entries for name in names})
        return [
            (
                self._with_index(self._must_have(entry.id), entry),
                [references.parse(name).familiar() for name in names],
            )
            for names, entry in entries
        ]

    def pull(
        self,
        name: str,
        puller: Puller,
        tell: Callable[[Advance], None] | None = None,
        *,
        platform: str = "",
        watcher: Watcher | None = None,
    ) -> Image:
        """Get an image from its registry, or find that it is what the registry has. Raises PullFailed.

        One for another ``platform`` than this machine's is kept beside what the name stands for, if that is anything.
        """
        full = _full(name)
        wanted = references.parse(full)
        platform = indexes.checked(platform) if platform else ""
        with self._content.adding():
            known = self._content.names().get(full)
            if known is not None and known.digest and (has := self._for(known, platform)) is not None:
                digest = wanted.digest or puller.resolve(wanted)
                if digest == known.digest:
                    self._content.change_name(full, lambda now: _renewed(now or known, digest))
                    return self._must_have(has)
            id, digest = puller.pull(wanted, tell, platform=platform, watcher=watcher)
            self._content.change_name(full, lambda now: self._pulled(now, id, digest))
        return self._must_have(id)

    def _for(self, named: Named, platform: str) -> str | None:
        """Return the image of a name for a platform, or for this machine; None where it is not in the store."""
        for id in named.ids:
            found = self._image(id, {})
            if found is not None and (
                found.platform == platform if platform else indexes.is_native(found.platform)
            ):
                return id
        return None

    def _pulled(self, now: Named | None, id: str, digest: str) -> Named:
        """Return what a name stands for now that an image came from its registry, which calls it ``digest``.

        This machine's image takes the name, and those for other platforms from the same index stay with it. One for
        another platform is added to what is there.
        """
        if now is None or self._content.record(now.id) is None:
            return Named(id, digest, time.time_ns())
        if id == now.id:
            return _renewed(now, digest)
        if id in now.others:
            return now
        is_foreign = not indexes.is_native(indexes.platform_of_image(self._content, id))
        if is_foreign or now.digest == digest:
            found = indexes.joined(self._content, now, id)
            return _renewed(found, digest) if found.id == id else found
        return Named(id, digest, time.time_ns())

    def push(
        self,
        name: str,
        pusher: Pusher,
        tell: Callable[[Advance], None] | None = None,
        *,
        compression: str = "gzip",
        watcher: Watcher | None = None,
    ) -> str:
        """Send an image to the registry of its name; return its digest there. Raises NotFound or PushFailed.

        ``compression``: gzip or zstd, for layers that are not compressed yet.
        """
        wanted = references.parse(name)
        if wanted.digest:
            raise PushFailed(f"cannot push '{name}': a digest reference cannot be pushed", hint="use a tag")
        full = str(wanted)
        with self._content.adding():
            known = self._content.names().get(full)
            if known is None:
                if name == host.REFERENCE:
                    raise PushFailed("image 'host' cannot be pushed: it is not stored")
                raise NotFound(
                    f"an image does not exist locally with the tag: {wanted.familiar()}",
                    hint="list them with composer image ls, and name one with composer image tag",
                )
            digest = pusher.push(known, wanted, tell, kind=compression, watcher=watcher)
            # It is called the same here, since when it was: only what the registry calls it is new.
            self._content.change_name(
                full, lambda now: known._replace(digest=digest) if now == known else now
            )
        return digest

    def tag(self, name: str, new: str) -> None:
        """Give an image another name, which is taken away from the image that had it."""
        full = _taggable(new)
        with self._content.adding():
            found = self.find(name)
            if found is None:
                raise NotFound(f"no such image: {name}")
            if found.id == host.digest():
                raise ImageError("image 'host' cannot be tagged: it is not stored")
            self._content.change_names({full: _meant(name, found)._replace(tagged_ns=time.time_ns())})

    def tag_all(self, ids: Sequence[str], names: Sequence[str]) -> str:
        """Give images of several platforms names that they share; return the digest of their index."""
        with self._content.adding():
            named = indexes.named(self._content, ids, tagged_ns=time.time_ns())
            self._content.change_names({_taggable(name): named for name in names})
        return named.index_digest

    def save(self, names: Sequence[str], path: str) -> None:
        """Write images to one archive that `docker load`, skopeo and `load` read."""
        from composer.runtime.images.saving import save

        with self._content.adding():
            save(self._content, self._chosen(names, ""), path)

    def write(self, names: Sequence[str], open_file: Callable[[], BinaryIO], *, platform: str = "") -> None:
        """Write images, or those for one platform, as `save` does, to a file that is opened when all are found."""
        from composer.runtime.images.saving import write

        with self._content.adding():
            chosen = self._chosen(names, platform)
            write(self._content, chosen, open_file())

    def _chosen(self, names: Sequence[str], platform: str) -> list[tuple[Named, tuple[str, ...]]]:
        """Return what is to be saved, each with its names in the archive. Raises NotFound or ImageError."""
        chosen: list[tuple[Named, tuple[str, ...]]] = []
        for name in names:
            found = self.find(name)
            if found is None or found.id == host.digest():
                raise NotFound(f"no such image in the store: {name}")
            if found.programs:
                raise ImageError(
                    f"cannot save image '{name}': it was built FROM host, and its programs are this machine's",
                    hint="build it from another base image",
                )
            by_id = references.id_prefix(name) is not None and _full(name) not in self._content.names()
            meant = _meant(name, found)
            if platform:
                fitting = [one.id for one in (found, *found.others) if one.platform == platform]
                if not fitting:
                    raise ImageError(f"no suitable export target found for platform {platform}")
                meant = Named(fitting[0])
            chosen.append((meant, () if by_id else (_full(name),)))
        return chosen

    def save_as(self, ids: Sequence[str], names: Sequence[str], path: str) -> None:
        """Write an image, or those of several platforms, to such an archive under names that it need not have here."""
        from composer.runtime.images.saving import save

        with self._content.adding():
            entry = indexes.named(self._content, ids, tagged_ns=0)
            save(self._content, [(entry, tuple(_full(name) for name in names))], path)

    def _must_have(self, id: str) -> Image:
        found = self._image(id, self._content.names())
        if found is None:
            raise ImageError(f"image {id} was removed by another command while it was added")
        return found

    # -------------------------------------------------------------- removing

    def remove(self, name: str, *, keeps: bool = False, waits: bool = True) -> Removed:
        """Remove a name, and the image with its last one unless the caller ``keeps`` it; an id removes all names.

        A digest as the name takes away what the registry calls the image; a tag beside it stays. Raises NotFound.
        Without ``waits``, a pull that goes on is not waited for: then the files stay until the next `sweep`, and
        `Removed.is_swept` is False.
        """
        try:
            with self._content.removing(wait=waits):
                return self._remove(name, keeps=keeps, sweeps=True)
        except BlockingIOError:
            with self._content.adding():
                return self._remove(name, keeps=keeps, sweeps=False)

    def _remove(self, name: str, *, keeps: bool, sweeps: bool) -> Removed:
        from composer.runtime.images import removal

        names = self._content.names()
        id = self._id_of(name, names)
        if id is None or not os.path.exists(self._content.image(id)):
            raise NotFound(f"no such image: {name}")
        if not any(entry.id == id for entry in names.values()):
            _refuse_kept(id, name, names)
        return removal.remove(self._content, id, _without(name, id, names), keeps=keeps, sweeps=sweeps)

    def sweep(self) -> None:
        """Remove layers that no image needs any more, and no build."""
        from composer.runtime.images import removal

        with self._content.removing():
            removal.sweep(self._content)

    def prune(
        self, *, unused: bool = False, wanted: Callable[[str], bool] = lambda id: True
    ) -> tuple[list[str], int]:
        """Remove images without a name, or with ``unused`` all that no container uses; those that are ``wanted``.

        Returns the ids that are gone, and the bytes that the disk got back.
        """
        from composer.runtime.images import removal

        with self._content.removing():
            return removal.prune(self._content, unused=unused, wanted=wanted)


def _full(name: str) -> str:
    """Return a reference in full; what can be none (a short id with a prefix) stays as it is, and is not found."""
    try:
        parsed = references.parse(name)
    except ImageError:
        return name
    # as Docker has it: a tag beside a digest says nothing
    return str(parsed._replace(tag="") if parsed.digest else parsed)


def _meant(name: str, found: Image) -> Named:
    """Return what was asked for: an image alone by its own id, and with those of other platforms by its name."""
    digits = references.id_prefix(name)
    if digits is not None and hex_of(found.id).startswith(digits):
        return Named(found.id)
    return Named(found.id, index_digest=found.index_digest, others=tuple(one.id for one in found.others))


def _renewed(entry: Named, digest: str) -> Named:
    return entry._replace(digest=digest, tagged_ns=time.time_ns())


def _refuse_kept(id: str, name: str, names: Mapping[str, Named]) -> None:
    """Raise Conflict for an image that a name keeps for another platform: the name would lack a part."""
    keeping = sorted(references.parse(one).familiar() for one, entry in names.items() if id in entry.others)
    if keeping:
        raise Conflict(
            f"cannot remove image '{name}': it is the image of '{keeping[0]}' for another platform",
            hint=f"remove '{keeping[0]}', which removes the images of all of its platforms",
        )


def _without(name: str, id: str, names: Mapping[str, Named]) -> dict[str, Named | None]:
    """Return the names that a removal changes, and what stays of each."""
    full = _full(name)
    if full in names:
        return {full: None}
    mine = {one: entry for one, entry in names.items() if entry.id == id}
    if "@" not in full:
        digits = name.removeprefix("sha256:")
        indexed = {one: entry for one, entry in mine.items() if hex_of(entry.index_digest).startswith(digits)}
        return dict.fromkeys(mine if hex_of(id).startswith(digits) else indexed)
    wanted = references.parse(full)
    return {
        one: entry._replace(digest="")
        for one, entry in mine.items()
        if entry.digest == wanted.digest and references.parse(one)[:2] == wanted[:2]
    }


def _taggable(name: str) -> str:
    parsed = references.parse(name)
    if parsed.digest:
        raise ImageError(
            f"cannot tag '{name}': a digest reference cannot be assigned", hint="use a name and a tag"
        )
    if parsed.familiar() == f"{host.REFERENCE}:latest":
        raise ImageError(f"'{name}' is a reserved image name", hint="use another name")
    return str(parsed)


def _pulled_by_tag(full: str, names: Mapping[str, Named]) -> str | None:
    """Return the image that came under a tag of the same repository, and is what this digest names."""
    wanted = references.parse(full)
    for name, entry in names.items():
        if entry.digest == wanted.digest and references.parse(name)[:2] == wanted[:2]:
            return entry.id
    return None


def _platform(content: Content, id: str, record: Mapping[str, Any]) -> str:
    known = record.get("platform")
    if isinstance(known, str):
        return known
    try:
        # a record of before there were several platforms
        return indexes.platform_of_image(content, id)
    except (OSError, ValueError):
        return indexes.platform_of({})


def _image_of(content: Content, id: str, record: Mapping[str, Any], names: Mapping[str, Named]) -> Image:
    mine = {references.parse(name): entry for name, entry in names.items() if entry.id == id}
    digests = {
        name._replace(tag="", digest=entry.digest).familiar() for name, entry in mine.items() if entry.digest
    }
    return Image(
        id,
        tuple(name.familiar() for name in sorted(mine)),
        tuple(content.layer(layer["chain_id"]) for layer in reversed(record["layers"])),
        record["config"],
        programs=tuple(host.program_directories()) if record.get("programs") is True else (),
        size_bytes=sum(layer["size_bytes"] for layer in record["layers"]),
        created=record["created"],
        digests=tuple(sorted(digests)),
        tagged_ns=max((entry.tagged_ns for entry in mine.values()), default=0),
        platform=_platform(content, id, record),
        manifest=record["manifest"],
        diff_ids=tuple(layer["diff_id"] for layer in record["layers"]),
    )
