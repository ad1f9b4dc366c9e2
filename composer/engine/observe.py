"""What exists, as far as one project is concerned: the other input of `reconcile`.

Reads and changes nothing. Everything that a plan depends on and that is not in the project is read here, at one
moment, also the contents of configs and secrets: as keyed digests, never themselves.
"""

from __future__ import annotations

import errno
import functools
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.engine import labels
from composer.engine.observed import Capability, Observed, ObservedImage, ObservedNetwork, ObservedVolume
from composer.engine.resolving import compare, resolve
from composer.engine.resolving.extension import extension, place_of
from composer.engine.resolving.hashing import DEFAULT
from composer.engine.resolving.peers import form_for
from composer.errors import ConfigError
from composer.opening import NotRegular, open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.engine.backend import Observer
    from composer.engine.losses import Neighbour
    from composer.engine.resolving.bases import Bases
    from composer.engine.resolving.hashing import Form
    from composer.engine.wanted import Limitation
    from composer.schema.model import Project

_CHUNK_BYTES = 1 << 20


class World(NamedTuple):
    """What exists. ``images``, ``networks`` and ``volumes`` are by reference and by real name; absent is absent.

    ``contents`` maps ``config:name`` and ``secret:name`` to a keyed digest. ``key`` is what seals values in
    labels.
    """

    observed: Observed = Observed()
    images: Mapping[str, ObservedImage] = {}
    networks: Mapping[str, ObservedNetwork] = {}
    volumes: Mapping[str, ObservedVolume] = {}
    contents: Mapping[str, str] = {}
    limitations: Mapping[str, tuple[Limitation, ...]] = {}
    network_faults: Mapping[str, tuple[str, ...]] = {}
    network_limitations: Mapping[str, tuple[Limitation, ...]] = {}
    key: bytes = b""
    moves_ports: bool = False
    owns_files: bool = True
    bases: Mapping[str, tuple[str, ...]] = {}
    """The services from whose images one is built, by service, of those whose images are not here."""
    neighbours: tuple[Neighbour, ...] = ()
    """Volumes of other projects of this directory, where one of ours is missing."""
    form: Callable[[], Form] = lambda: DEFAULT
    """In which form the hashes of new containers are: found out when the first one is planned, then kept."""


def observe(observer: Observer, project: Project, key: bytes) -> World:
    """Return what exists of a project, and of what it refers to."""
    observed = observer.observe(project.name)
    services = project.tree.get("services") or {}
    images = _images(observer, project)
    bases = _bases(observer, project, images)
    volumes = _volumes(observer, project, observed)
    networks = _networks(observer, project, observed)
    return World(
        observed=observed,
        images=images,
        bases=bases,
        networks=networks,
        network_faults=observer.network_faults([network.id for network in networks.values()]),
        volumes=volumes,
        contents={**contents(project, key), **{f"image:{name}": image.id for name, image in images.items()}},
        limitations={name: _limitations(observer, tree) for name, tree in sorted(services.items())},
        network_limitations={
            name: tuple(observer.network_limitations(tree))
            for name, tree in sorted((project.tree.get("networks") or {}).items())
            if tree and not tree.get("external")
        },
        key=key,
        moves_ports=Capability.MOVES_PORTS in observer.capabilities,
        owns_files=Capability.OWNS_FILES in observer.capabilities,
        neighbours=_neighbours(observer, project, volumes),
        form=functools.cache(lambda: form_for(observed.containers, observer.compose_version)),
    )


def _neighbours(
    observer: Observer, project: Project, volumes: Mapping[str, ObservedVolume]
) -> tuple[Neighbour, ...]:
    """Return the volumes of other projects of the directory, where one of this project is missing."""
    if not any(
        resolve.real_name(project, "volumes", key) not in volumes and not resolve.is_external(entry)
        for key, entry in (project.tree.get("volumes") or {}).items()
    ):
        return ()
    from composer.engine.losses import neighbours

    return neighbours(observer, project)


def _limitations(observer: Observer, tree: Mapping[str, Any]) -> tuple[Limitation, ...]:
    return tuple(observer.limitations(resolve.in_compose_names(tree)))


def _images(observer: Observer, project: Project) -> dict[str, ObservedImage]:
    services = project.tree.get("services") or {}
    references = {resolve.image_of(project, name, tree) for name, tree in services.items()}
    references |= {
        mount["source"]
        for tree in services.values()
        for mount in tree.get("volumes") or ()
        if mount["type"] == "image" and mount.get("source")
    }
    references |= {
        hook["image"]
        for tree in services.values()
        for hook in tree.get("pre_start") or ()
        if hook.get("image")
    }
    found = ((reference, observer.find_image(reference)) for reference in sorted(references))
    return {reference: image for reference, image in found if image}


def _bases(
    observer: Observer, project: Project, images: dict[str, ObservedImage]
) -> dict[str, tuple[str, ...]]:
    """Return what the images that are not here are built from; add to ``images`` what is here of it."""
    found: dict[str, tuple[str, ...]] = {}
    known: Bases | None = None
    pending = [name for name, tree in (project.tree.get("services") or {}).items() if tree.get("build")]
    while pending:
        name = pending.pop()
        reference = resolve.image_of(project, name, project.declared[name])
        if name in found or reference in images:
            continue
        image = observer.find_image(reference)
        if image is not None:
            images[reference] = image
        elif project.declared[name].get("build"):
            if known is None:
                from composer.engine.resolving.bases import Bases

                known = Bases(project)
            found[name] = known.of(name)
            pending += found[name]
    return found


def _networks(observer: Observer, project: Project, observed: Observed) -> dict[str, ObservedNetwork]:
    known = {n.name: n for n in observed.networks if labels.NETWORK in n.labels}
    for key in sorted(project.tree.get("networks") or {}):
        name = resolve.real_name(project, "networks", key)
        network = known.get(name) or observer.find_network(name)
        if network:
            known[name] = network
    return known


def _volumes(observer: Observer, project: Project, observed: Observed) -> dict[str, ObservedVolume]:
    known = {v.name: v for v in observed.volumes if labels.VOLUME in v.labels}
    for key in sorted(project.tree.get("volumes") or {}):
        name = resolve.real_name(project, "volumes", key)
        volume = known.get(name) or observer.find_volume(name)
        if volume:
            known[name] = volume
    return known


def contents(project: Project, key: bytes) -> dict[str, str]:
    """Return the keyed digest of every config, secret and recreate_on file that a service uses.

    Raises ConfigError, pointing at the file's place, for one that cannot be read.
    """
    digests = {}
    for kind in ("config", "secret"):
        used = {
            grant["source"]
            for tree in (project.tree.get("services") or {}).values()
            for grant in tree.get(f"{kind}s") or ()
        }
        entries = project.tree.get(f"{kind}s") or {}
        for name in sorted(used & entries.keys()):
            if not resolve.is_external(entries[name]):
                digest = _digest(project, kind, name, key)
                if digest is not None:
                    digests[f"{kind}:{name}"] = digest
    for service in project.tree.get("services") or {}:
        for path in extension(project, service).recreate_on:
            if f"file:{path}" not in digests:
                digests[f"file:{path}"] = _digest_of_path(project, service, path, key)
    return digests


def _digest_of_path(project: Project, service: str, path: str, key: bytes) -> str:
    """Return the keyed digest of a file, or of the names and contents of all files below a directory."""
    at_home = path == "~" or path.startswith("~/")
    full = os.path.join(project.directory, f"{project.home}{path[1:]}" if at_home else path)
    try:
        if not os.path.isdir(full):
            return _digest_of_file(full, key) or ""
        pieces = []
        for directory, folders, names in os.walk(full):
            folders.sort()
            for name in sorted(names):
                found = _digest_of_file(os.path.join(directory, name), key)
                pieces += [os.path.relpath(os.path.join(directory, name), full), found or ""]
        return compare.keyed_digest(key, [piece.encode() + b"\0" for piece in pieces])
    except OSError as error:
        where = ("services", service, "x-composer", "recreate_on")
        raise ConfigError(
            f"cannot read '{path}' of recreate_on: {(error.strerror or str(error)).lower()}",
            at=place_of(project, where),
            path=where,
            hint="create the file, or correct its path",
        ) from None


def _digest(project: Project, kind: str, name: str, key: bytes) -> str | None:
    """Return the keyed digest of a config or secret; None for a directory or a pipe, which have no content."""
    path = (f"{kind}s", name)
    source, content = resolve.file_source(project, kind, name, project.tree[path[0]][name], path)
    if source is None:
        return compare.keyed_digest(key, [content or b""])
    try:
        return _digest_of_file(source, key)
    except IsADirectoryError:
        return None
    except OSError as error:
        raise ConfigError(
            f"cannot read the file of {kind} '{name}', '{source}': {(error.strerror or str(error)).lower()}",
            at=project.mark((*path, "file")),
            path=(*path, "file"),
            hint="create the file, or correct its path",
        ) from None


def _digest_of_file(path: str, key: bytes) -> str | None:
    """Return the keyed digest of a file's content; None for what is no regular file."""
    try:
        descriptor = open_regular(path)
    except NotRegular as error:
        if error.is_directory:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path) from None
        return None
    with open(descriptor, "rb") as file:
        return compare.keyed_digest(key, iter(lambda: file.read(_CHUNK_BYTES), b""))
