"""Default values, and values that one attribute implies for another.

`set_defaults` runs on each file's tree before checks; `normalize` once on the whole: the default network, the
names of resources, dependencies that ``links``, ``network_mode: service:x`` and ``volumes_from`` imply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.errors import Mark
from composer.schema.canonical import tree_of
from composer.schema.shortforms import clean_target
from composer.schema.tree import INVALID, NOWHERE, WORKLOADS, Map, Rules, Seq, walk

if TYPE_CHECKING:
    from composer.schema.interpolate import Variables
    from composer.schema.tree import Path

_DEFAULT = Mark("", why="default")


def _default(mark: Mark, why: str = "default") -> Mark:
    return mark._replace(why=why) if mark.file else Mark("", why=why)


def _build(value: Any, path: Path, mark: Mark) -> Any:
    if not isinstance(value, Map) or "context" in value:
        return value
    new = value.copy()
    new.put("context", ".", _default(mark))
    return new


def _secret(value: Any, path: Path, mark: Mark) -> Any:
    if not isinstance(value, Map) or value.get("target") is not None or "source" not in value:
        return value
    new = value.copy()
    new.put("target", f"/run/secrets/{value['source']}", _default(mark))
    return new


def _port(value: Any, path: Path, mark: Mark) -> Any:
    if not isinstance(value, Map):
        return value
    new = value.copy()
    for key, default in (("mode", "ingress"), ("protocol", "tcp")):
        if key not in value:
            new.put(key, default, _default(mark))
    return new


def _device_request(value: Any, path: Path, mark: Mark) -> Any:
    if not isinstance(value, Map) or "count" in value or "device_ids" in value:
        return value
    new = value.copy()
    new.put("count", "all", _default(mark))
    return new


_RULES = Rules(
    {
        (section, "*", *pattern.split(".")): rule
        for section in WORKLOADS
        for pattern, rule in {
            "build": _build,
            "secrets.*": _secret,
            "ports.*": _port,
            "deploy.resources.reservations.devices.*": _device_request,
            "gpus.*": _device_request,
        }.items()
    }
)


def _bind(value: Any, path: Path, mark: Mark) -> Any:
    if not isinstance(value, Map) or "create_host_path" in value:
        return value
    new = value.copy()
    new.put("create_host_path", True, _default(mark))
    return new


_BIND_RULES = Rules({(section, "*", "volumes", "*", "bind"): _bind for section in WORKLOADS})


def set_defaults(tree: Map, *, binds: bool = False) -> Map:
    """Return the tree with the defaults of attributes that a user began to write.

    With ``binds`` those of mounts too, which only ``--no-interpolate`` prints: elsewhere the tree tells what was
    written from what was not.
    """
    new: Map = walk(tree, _RULES, (), NOWHERE)
    if binds:
        new = walk(new, _BIND_RULES, (), NOWHERE)
    return new


# ------------------------------------------------------------------ the whole project


def normalize(tree: Map, name: str, variables: Variables) -> Map:
    """Return the tree with everything implied written out."""
    new = tree.copy()
    for section in WORKLOADS:
        services = tree.get(section)
        if isinstance(services, Map):
            changed = services.copy()
            for service_name, service in services.items():
                if isinstance(service, Map):
                    changed[service_name] = _service(service, services.mark(service_name), variables)
            new[section] = changed
    _default_network(new)
    for section in ("networks", "volumes", "configs", "secrets"):
        if isinstance(new.get(section), Map):
            new[section] = _named(new[section], name)
    return new


def _service(service: Map, mark: Mark, variables: Variables) -> Map:
    new = service.copy()
    if service.get("pull_policy") == "if_not_present":
        new["pull_policy"] = "missing"
    build = service.get("build")
    if isinstance(build, Map):
        new["build"] = _normal_build(build, service.mark("build"), variables)
    environment = service.get("environment")
    if environment is not None:
        new["environment"] = resolve_values(environment, variables, keep=True)
    if isinstance(service.get("volumes"), Seq):
        new["volumes"] = _clean_targets(service["volumes"])
    _imply_dependencies(new, mark)
    if isinstance(service.get("pre_start"), Seq) and service.get("image"):
        new["pre_start"] = _with_image(service["pre_start"], service)
    if "provider" not in new and "network_mode" not in new and not new.get("networks"):
        networks = Map()
        networks.put("default", None, _default(mark))
        new.put("networks", networks, _default(mark))
    return new


def _normal_build(build: Map, mark: Mark, variables: Variables) -> Map:
    new = build.copy()
    if build.get("context") is None:
        new.put("context", ".", _default(mark))
    if build.get("dockerfile") is None and build.get("dockerfile_inline") is None:
        new.put("dockerfile", "Dockerfile", _default(mark))
    if build.get("args") is not None:
        new["args"] = resolve_values(build["args"], variables, keep=False)
    return new


def resolve_values(value: Any, variables: Variables, *, keep: bool) -> Any:
    """Return variables, a mapping or ``K=V`` items, in which bare keys took their value from the environment.

    Keys that nothing sets stay bare with ``keep``, and go away without.
    """
    if isinstance(value, Seq):
        return _resolve_items(value, variables, keep=keep)
    pairs = value
    if not isinstance(pairs, Map):
        return value
    new = Map()
    for key, text in pairs.items():
        if text is not None:
            new.take(key, pairs)
        elif key in variables.values:
            mark = pairs.mark(key)
            new.put(key, variables.values[key], mark._replace(why=variables.why(key)), pairs.names.get(key))
        elif keep:
            new.take(key, pairs)
    return new


def _resolve_items(items: Seq, variables: Variables, *, keep: bool) -> Seq:
    new = Seq()
    for index, item in enumerate(items):
        mark = items.mark(index)
        if not isinstance(item, str) or "=" in item:
            new.add(item, mark)
        elif item in variables.values:
            new.add(f"{item}={variables.values[item]}", mark._replace(why=variables.why(item)))
        elif keep:
            new.add(item, mark)
    return new


def _clean_targets(volumes: Seq) -> Seq:
    new = volumes.copy()
    for index, volume in enumerate(volumes):
        if isinstance(volume, Map) and isinstance(volume.get("target"), str):
            changed = volume.copy()
            changed["target"] = clean_target(volume["target"]) or "."  # as Go cleans an empty path
            new[index] = changed
    return new


def _with_image(hooks: Seq, service: Map) -> Seq:
    """Return ``pre_start`` hooks that run in the service's image where they name none."""
    new = hooks.copy()
    for index, hook in enumerate(hooks):
        if isinstance(hook, Map) and "image" not in hook:
            changed = new[index] = hook.copy()
            changed.put("image", service["image"], _default(service.mark("image"), "the service's image"))
    return new


def _imply_dependencies(service: Map, mark: Mark) -> None:
    """Add to ``depends_on`` what other attributes cannot do without."""
    implied: dict[str, tuple[bool, str]] = {}
    for link in _texts(service.get("links")):
        parts = link.split(":")
        implied.setdefault(parts[0] if len(parts) == 2 else link, (True, "links"))
    for attribute in ("network_mode", "ipc", "pid", "uts", "cgroup"):
        value = service.get(attribute)
        if isinstance(value, str) and value.startswith("service:"):
            implied.setdefault(value.removeprefix("service:"), (True, attribute))
    for source in _texts(service.get("volumes_from")):
        if not source.startswith("container:"):
            implied.setdefault(source.split(":")[0], (False, "volumes_from"))
    depends = service.get("depends_on")
    depends = depends.copy() if isinstance(depends, Map) else Map()
    for name, (restart, attribute) in implied.items():
        if name not in depends:
            at = _default(service.mark(attribute), f"implied by {attribute}")
            values = {"condition": "service_started", "restart": restart, "required": True}
            depends.put(name, tree_of(values, at), at)
    if depends:
        where = service.mark("depends_on") if "depends_on" in service else _default(mark, "implied")
        service.put("depends_on", depends, where)


def share_scale(service: Map) -> Map:
    """Return a canonical service whose ``deploy`` says how many replicas ``scale`` asks for, as Compose's does."""
    deploy, scale = service.get("deploy"), service.get("scale")
    if not isinstance(deploy, Map) or scale is None or "replicas" in deploy:
        return service
    new, new_deploy = service.copy(), Map()
    if "mode" in deploy:
        new_deploy.take("mode", deploy)
    new_deploy.put("replicas", scale, _default(service.mark("scale"), "scale"))
    for key in deploy:
        new_deploy.take(key, deploy)
    new["deploy"] = new_deploy
    return new


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _default_network(tree: Map) -> None:
    used = any(
        isinstance(service, Map)
        and "provider" not in service
        and "network_mode" not in service
        and isinstance(service.get("networks"), Map)
        and "default" in service["networks"]
        for section in WORKLOADS
        for service in (tree.get(section) or {}).values()
    )
    networks = tree.get("networks")
    networks = networks.copy() if isinstance(networks, Map) else Map()
    if used and "default" not in networks:
        networks.put("default", Map(), _DEFAULT)
    if networks:
        tree.put("networks", networks, tree.marks.get("networks", _DEFAULT))


def _named(resources: Map, project: str) -> Map:
    new = resources.copy()
    for key, resource in resources.items():
        if resource is INVALID:
            continue
        changed = resource.copy() if isinstance(resource, Map) else Map()
        if changed.get("name") is None:
            external = changed.get("external") is True or str(changed.get("external")).lower() == "true"
            changed.put("name", key if external else f"{project}_{key}", _default(resources.mark(key)))
        new[key] = changed
    return new
