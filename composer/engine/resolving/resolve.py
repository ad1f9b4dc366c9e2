"""From a canonical service to what a backend is asked to create: real names, absolute paths, contents.

Pure. The only module that turns Compose's keys into the names of networks, volumes and containers; it does
not know what exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.engine import labels
from composer.engine.wanted import (
    BuildSpec,
    ContainerSpec,
    EndpointSpec,
    ExecSpec,
    FileSpec,
    MountSpec,
    NetworkSpec,
    VolumeSpec,
)
from composer.errors import ConfigError, ProjectError
from composer.schema.model import LookedUp
from composer.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.engine.options import OneOff
    from composer.schema.model import Project

    Tree = Mapping[str, Any]

_RESOLVED = frozenset(
    # these reach the backend as mounts, endpoints, files, labels and names, or concern only the engine
    [
        "build",
        "configs",
        "container_name",
        "depends_on",
        "develop",
        "image",
        "labels",
        "network_mode",
        "networks",
        "profiles",
        "provider",
        "pull_policy",
        "scale",
        "secrets",
        "tmpfs",
        "volumes",
        "attach",
        "post_start",
        "pre_stop",
        "links",
        "external_links",
        "label_file",
        "env_file",
        "models",
    ]
)


_NOT_OF_HOOKS = frozenset(
    ("ports", "expose", "healthcheck", "restart", "command", "entrypoint", "pre_start", "hostname")
)
"""What a pre_start hook's container does not have from its service."""


def container_name(project: Project, service: str, tree: Tree, number: int) -> str:
    return tree.get("container_name") or project.separator.join((project.name, service, str(number)))


def image_of(project: Project, service: str, tree: Tree) -> str:
    """Return the image's reference; a service that is only built gets Docker Compose's name for it."""
    return tree.get("image") or project.separator.join((project.name, service))


def real_name(project: Project, section: str, key: str) -> str:
    """Return what a network, volume, config or secret is called outside of the project."""
    return entry_of(project, section, key).get("name") or f"{project.name}_{key}"


def entry_of(project: Project, section: str, key: str) -> Tree:
    """Return what is written of a network, volume, config or secret, also of one that no selected service uses."""
    for tree in (project.tree, project.whole):
        entry: Tree | None = (tree.get(section) or {}).get(key)
        if entry:
            return entry
    return {}


def is_external(entry: Tree | None) -> bool:
    return bool((entry or {}).get("external"))


def replicas(service: str, tree: Tree, scale: Mapping[str, int]) -> int:
    """Return how many containers a service should have. Raises ProjectError with a fixed name and more than one."""
    if service in scale:
        count = scale[service]
    elif tree.get("scale") is not None:
        count = int(tree["scale"])
    else:
        wanted = (tree.get("deploy") or {}).get("replicas")
        count = 1 if wanted is None else int(wanted)
    if count > 1 and tree.get("container_name"):
        raise ProjectError(
            f"cannot scale service '{service}' to {count} containers: container_name "
            f"'{tree['container_name']}' must be unique",
            hint="remove container_name, or scale the service to 1",
        )
    return count


def network_spec(project: Project, key: str, labels: Mapping[str, str]) -> NetworkSpec:
    entry: Tree = (project.tree.get("networks") or {}).get(key) or {}
    attributes = {k: v for k, v in entry.items() if k not in ("name", "external", "labels")}
    return NetworkSpec(real_name(project, "networks", key), {**_labels(entry), **labels}, attributes)


def volume_spec(project: Project, key: str, labels: Mapping[str, str]) -> VolumeSpec:
    entry = entry_of(project, "volumes", key)
    attributes = {k: v for k, v in entry.items() if k not in ("name", "external", "labels")}
    return VolumeSpec(real_name(project, "volumes", key), {**_labels(entry), **labels}, attributes)


def _labels(entry: Tree) -> dict[str, str]:
    return {k: str(v) for k, v in (entry.get("labels") or {}).items()}


def container_spec(
    project: Project,
    service: str,
    number: int,
    *,
    labels: Mapping[str, str],
    image_id: str | None = None,
    firsts: Mapping[str, int],
    carried: Mapping[str, str] | None = None,
) -> ContainerSpec:
    """Return what the backend is asked to create.

    ``firsts`` has the number of each service's first container, where that is not 1: whoever shares with a service
    or links to it means that one. ``carried`` maps a target to the anonymous volume of the container that is replaced.
    """
    tree: Tree = project.tree["services"][service]
    name = container_name(project, service, tree, number)
    network_mode = _shared(project, firsts, tree.get("network_mode"))
    return ContainerSpec(
        name=name,
        project=project.name,
        service=service,
        number=number,
        image=image_of(project, service, tree),
        labels={**_labels(tree), **labels},
        attributes=_attributes(project, firsts, tree),
        mounts=tuple(mounts(project, tree, carried or {})),
        endpoints=() if network_mode else tuple(endpoints(project, firsts, service, tree, name)),
        files=tuple(files(project, service, tree)),
        network_mode=network_mode,
        image_id=image_id,
    )


def _attributes(project: Project, firsts: Mapping[str, int], tree: Tree) -> dict[str, Any]:
    attributes = {k: v for k, v in tree.items() if k not in _RESOLVED and v is not None}
    for key in ("pid", "ipc"):
        if key in attributes:
            attributes[key] = _shared(project, firsts, attributes[key])
    if tree.get("volumes_from"):
        attributes["volumes_from"] = [
            _volumes_from(project, firsts, str(entry)) for entry in tree["volumes_from"]
        ]
    return in_compose_names(attributes)


def in_compose_names(attributes: Tree) -> dict[str, Any]:
    """Return attributes of a service as backends know them: the canonical form has some of Go's names."""
    found = dict(attributes)
    if found.get("blkio_config"):
        found["blkio_config"] = {k: _lowered(v) for k, v in found["blkio_config"].items()}
    return found


def _lowered(value: Any) -> Any:
    """Give the disks' entries their Compose names back: the canonical form has Go's, ``Path`` and ``Rate``."""
    if not isinstance(value, (list, tuple)):
        return value
    return [{key.lower(): item for key, item in entry.items()} for entry in value]


def _shared(project: Project, firsts: Mapping[str, int], mode: str | None) -> str | None:
    """``service:db`` → ``container:app-db-1``: the first replica, as in Docker Compose."""
    kind, _, name = (mode or "").partition(":")
    return f"container:{_first_container(project, firsts, name)}" if kind == "service" else mode


def _first_container(project: Project, firsts: Mapping[str, int], service: str) -> str:
    tree = project.tree["services"].get(service) or project.disabled.get(service) or {}
    return container_name(project, service, tree, firsts.get(service, 1))


def _volumes_from(project: Project, firsts: Mapping[str, int], entry: str) -> str:
    parts = entry.split(":")
    if parts[0] == "container":
        return ":".join(parts[1:])
    name, *access = parts[1:] if parts[0] == "service" else parts
    return ":".join([_first_container(project, firsts, name), *access])


def mounts(project: Project, tree: Tree, carried: Mapping[str, str]) -> Iterator[MountSpec]:
    """Yield the mounts of a service; ``carried`` volumes of the image's own VOLUMEs come last."""
    targets = set()
    for entry in tree.get("volumes") or ():
        kind, source, target = entry["type"], entry.get("source"), entry["target"]
        targets.add(target)
        is_carried = kind == "volume" and not source and target in carried
        if kind == "volume":
            source = real_name(project, "volumes", source) if source else carried.get(target)
        options = entry.get(kind) or {}
        yield MountSpec(kind, source or None, target, bool(entry.get("read_only")), options, is_carried)
    for text in _strings(tree.get("tmpfs")):
        target, _, options = text.partition(":")
        targets.add(target)
        yield MountSpec("tmpfs", None, target, options=tmpfs_options(options))
    for target in sorted(carried.keys() - targets):
        yield MountSpec("volume", carried[target], target, anonymous=True)


def tmpfs_options(text: str) -> dict[str, Any]:
    """``size=64m,mode=1777,noexec`` → the long syntax's ``size`` and ``mode``, the rest under ``options``."""
    found: dict[str, Any] = {}
    rest = []
    for part in filter(None, text.split(",")):
        key, _, value = part.partition("=")
        if key == "size":
            found["size"] = value
        elif key == "mode" and value and not value.strip("01234567"):
            found["mode"] = int(value, 8)
        else:
            rest.append(part)
    if rest:
        found["options"] = tuple(rest)
    return found


def _strings(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def endpoints(
    project: Project, firsts: Mapping[str, int], service: str, tree: Tree, name: str
) -> Iterator[EndpointSpec]:
    """Yield the networks of a service in the order of its interfaces: highest priority first, then by name."""
    joined: Tree = tree.get("networks") or {}
    links = _links(project, firsts, tree)
    for key in sorted(joined, key=lambda k: (-int((joined[k] or {}).get("priority") or 0), k)):
        wanted = dict(joined[key] or {})
        declared = wanted.pop("aliases", None) or ()
        if links:
            wanted["links"] = links
        own = [name] if wanted.pop("use_service_name_alias", None) is False else [name, service]
        aliases = tuple(dict.fromkeys([*own, *declared]))
        yield EndpointSpec(real_name(project, "networks", key), aliases, wanted)


def _links(project: Project, firsts: Mapping[str, int], tree: Tree) -> list[str]:
    """``container:alias`` for each link, under the names that Docker Compose gives: alias, and the container's."""
    found = []
    for link in tree.get("links") or ():
        service, _, alias = str(link).partition(":")
        target = _first_container(project, firsts, service)
        found += [f"{target}:{alias or service}", f"{target}:{target}"]
    for link in tree.get("external_links") or ():
        target, _, alias = str(link).partition(":")
        found.append(f"{target}:{alias or target}")
    return list(dict.fromkeys(found))


def files(project: Project, service: str, tree: Tree) -> Iterator[FileSpec]:
    """Yield the configs and secrets of a service. Raises ConfigError for a source that cannot be had."""
    for kind in ("config", "secret"):
        for index, grant in enumerate(tree.get(f"{kind}s") or ()):
            key = grant["source"]
            entry: Tree = (project.tree.get(f"{kind}s") or {}).get(key) or {}
            target = grant.get("target") or (f"/{key}" if kind == "config" else f"/run/secrets/{key}")
            if kind == "secret" and not target.startswith("/"):
                target = f"/run/secrets/{target}"
            source, content = file_source(project, kind, key, entry, ("services", service, f"{kind}s", index))
            mode = grant.get("mode")
            yield FileSpec(
                kind,
                key,
                target,
                source=source,
                content=content,
                uid=grant.get("uid"),
                gid=grant.get("gid"),
                mode=int(mode, 8) if isinstance(mode, str) else mode,
            )


def file_source(
    project: Project, kind: str, key: str, entry: Tree, path: tuple[str | int, ...]
) -> tuple[str | None, bytes | None]:
    """Return the host file of a config or secret, or its content."""
    if entry.get("file"):
        return entry["file"], None
    if entry.get("content") is not None:
        return None, str(entry["content"]).encode()
    if entry.get("environment"):
        name = entry["environment"]
        value = name.value if isinstance(name, LookedUp) else project.environment.get(name)
        if value is None:
            raise ConfigError(
                f"environment variable '{entry['environment']}' required by {kind} '{key}' is not set",
                at=project.mark((f"{kind}s", key, "environment")),
                path=(f"{kind}s", key, "environment"),
                hint="set it in the shell or in the .env file",
            )
        return None, value.encode()
    raise ConfigError(
        f"unsupported external {kind} '{key}'",
        at=project.mark(path),
        path=path,
        hint=f"set file, content or environment for the {kind}",
    )


def build_spec(project: Project, service: str) -> BuildSpec:
    """Return what builds a service's image. A context of another service is that service's image."""
    tree: Tree = project.declared[service]
    attributes = dict(tree["build"])
    if attributes.get("additional_contexts"):
        attributes["additional_contexts"] = {
            key: _build_context(project, str(source))
            for key, source in attributes["additional_contexts"].items()
        }
    secrets = []
    for index, grant in enumerate(attributes.pop("secrets", None) or ()):
        key = grant["source"]
        entry: Tree = (project.tree.get("secrets") or {}).get(key) or {}
        path = ("services", service, "build", "secrets", index)
        source, content = file_source(project, "secret", key, entry, path)
        secrets.append(FileSpec("secret", key, grant.get("target") or key, source=source, content=content))
    return BuildSpec(
        image_of(project, service, tree),
        service,
        attributes,
        {labels.PROJECT: project.name, labels.SERVICE: service, labels.VERSION: __version__},
        tuple(secrets),
        tree.get("platform"),
    )


def _build_context(project: Project, source: str) -> str:
    kind, _, name = source.partition(":")
    if kind != "service":
        return source
    return f"docker-image://{image_of(project, name, project.declared.get(name) or {})}"


def hooks(tree: Tree, attribute: str) -> tuple[ExecSpec, ...]:
    """Return the commands of ``post_start`` or ``pre_stop``."""
    return tuple(
        ExecSpec(
            command=tuple(_strings(hook.get("command"))),
            environment=_environment(hook.get("environment")),
            user=hook.get("user"),
            working_dir=hook.get("working_dir"),
            interactive=False,
            privileged=bool(hook.get("privileged")),
        )
        for hook in tree.get(attribute) or ()
    )


def oneoff_spec(
    project: Project,
    oneoff: OneOff,
    *,
    labels: Mapping[str, str],
    image_id: str | None,
    firsts: Mapping[str, int],
) -> ContainerSpec:
    """Return the container of a ``run``: not restarted, not found by the service's name, with no port unless asked."""
    base = container_spec(project, oneoff.service, 1, labels=labels, image_id=image_id, firsts=firsts)
    attributes = {k: v for k, v in base.attributes.items() if k not in ("restart", "ports")}
    ports = [*(base.attributes.get("ports") or () if oneoff.service_ports else ()), *oneoff.ports]
    attributes.update(oneoff.attributes)
    attributes["environment"] = {**(base.attributes.get("environment") or {}), **oneoff.environment}
    if ports:
        attributes["ports"] = ports
    targets = {mount.target for mount in oneoff.mounts}
    own = (oneoff.name,)
    return base._replace(
        name=oneoff.name,
        labels={**base.labels, **oneoff.labels},
        attributes=attributes,
        mounts=(*(m for m in base.mounts if m.target not in targets), *oneoff.mounts),
        endpoints=tuple(
            e._replace(aliases=(*own, *e.aliases[1:]) if oneoff.use_aliases else own) for e in base.endpoints
        ),
        oneoff=True,
        auto_remove=oneoff.auto_remove,
    )


def pre_start_specs(
    project: Project,
    service: str,
    number: int,
    *,
    labels: Mapping[str, str],
    hook_label: str,
    firsts: Mapping[str, int],
) -> Iterator[tuple[bool, ContainerSpec]]:
    """Yield the containers of a service's pre_start hooks, in order, each with whether every replica runs it.

    They are the service's containers with the hook's command, image and so on, in the same networks, but under none
    of its names, with no published port, health check or restart.
    """
    tree: Tree = project.tree["services"][service]
    base = container_spec(project, service, number, labels=labels, firsts=firsts)
    inherited = {k: v for k, v in base.attributes.items() if k not in _NOT_OF_HOOKS}
    for index, hook in enumerate(tree.get("pre_start") or ()):
        per_replica = bool(hook.get("per_replica"))
        own = {k: v for k, v in hook.items() if k not in ("per_replica", "image")}
        environment = {**(inherited.get("environment") or {}), **(own.pop("environment", None) or {})}
        parts = (project.name, service, "pre_start", str(index + 1), *((str(number),) if per_replica else ()))
        name = project.separator.join(parts)
        yield (
            per_replica,
            base._replace(
                name=name,
                image=hook.get("image") or base.image,
                labels={**base.labels, hook_label: "pre_start"},
                attributes={**inherited, **own, "environment": environment},
                endpoints=tuple(e._replace(aliases=(name,), attributes={}) for e in base.endpoints),
                oneoff=True,
            ),
        )


def _environment(value: Any) -> tuple[str, ...]:
    if isinstance(value, dict):
        return tuple(f"{k}={v}" for k, v in value.items() if v is not None)
    return tuple(value or ())
