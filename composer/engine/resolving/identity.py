"""What a container is to its project: the hash and the labels that say from which configuration it was made.

Pure. Labels are Docker Compose's, and ours beside them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from composer.engine import labels
from composer.engine.resolving import compare
from composer.engine.resolving.extension import extension
from composer.engine.resolving.hashing import service_hash
from composer.graph import sharing
from composer.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from composer.engine.observe import World
    from composer.graph import Dependency
    from composer.schema.model import Project

    Tree = Mapping[str, Any]


def container_labels(
    project: Project,
    service: str,
    number: int,
    world: World,
    *,
    depends_on: Iterable[Dependency],
    image_id: str,
) -> dict[str, str]:
    """Return the labels of a container to create; the user's own are added by `resolve`."""
    tree: Tree = project.tree["services"][service]
    form = world.form()
    found = {
        labels.PROJECT: project.name,
        labels.SERVICE: service,
        labels.NUMBER: str(number),
        labels.ONEOFF: "False",
        labels.CONFIG_HASH: service_hash(hashed_tree(tree, world), form),
        labels.FORM: form.name,
        labels.DEPENDS_ON: labels.write_depends_on(depends_on),
        labels.WORKING_DIR: project.directory,
        labels.CONFIG_FILES: ",".join(project.files),
        labels.VERSION: __version__,
        labels.FIELDS: compare.fields_label(tree, world.key),
    }
    if project.env_files:
        found[labels.ENVIRONMENT_FILE] = ",".join(project.env_files)
    if image_id:
        found[labels.IMAGE] = image_id
    contents = contents_of(project, service, world)
    if contents:
        found[labels.CONTENTS] = json.dumps(contents, sort_keys=True, separators=(",", ":"))
    return found


def contents_of(project: Project, service: str, world: World) -> dict[str, str]:
    """Return the digests of what one service is made of beside its configuration.

    Keys are ``config:NAME``, ``secret:NAME``, ``file:PATH`` (x-composer.recreate_on) and ``image:REFERENCE``
    (mounts of type image).
    """
    tree: Tree = project.tree["services"][service]
    names = [
        f"{kind}:{grant['source']}" for kind in ("config", "secret") for grant in tree.get(f"{kind}s") or ()
    ]
    names += [f"file:{path}" for path in extension(project, service).recreate_on]
    names += [f"image:{m['source']}" for m in tree.get("volumes") or () if m["type"] == "image"]
    return {name: world.contents[name] for name in sorted(names) if name in world.contents}


def hashed_tree(tree: Tree, world: World) -> Tree:
    """Return the tree that Docker Compose hashes: shared services replaced by the id of their first container.

    What an interrupted ``up`` left of a replacement is none: neither the one that made room, nor one without its name.
    """
    if not sharing(tree):
        return tree
    ids: dict[str, str] = {}
    for container in sorted(world.observed.containers, key=labels.number_of):
        is_left_over = labels.is_retired(container) or labels.is_replacement(container)
        if not labels.is_oneoff(container) and not is_left_over:
            ids.setdefault(labels.service_of(container), container.id)
    return substitute_shared(tree, ids)


def substitute_shared(tree: Tree, ids: Mapping[str, str]) -> Tree:
    """Replace ``service:NAME`` by ``container:ID`` where the id is known."""
    changed: dict[str, Any] = {}
    for attribute in ("network_mode", "ipc", "pid"):
        kind, _, name = str(tree.get(attribute) or "").partition(":")
        if kind == "service" and name in ids:
            changed[attribute] = f"container:{ids[name]}"
    if tree.get("volumes_from"):
        changed["volumes_from"] = [_substitute_source(str(v), ids) for v in tree["volumes_from"]]
    return {**tree, **changed} if changed else tree


def _substitute_source(source: str, ids: Mapping[str, str]) -> str:
    if source.startswith("container:"):
        return source.removeprefix("container:")
    name, _, access = source.removeprefix("service:").partition(":")
    return ":".join(filter(None, (ids.get(name, name), access)))
