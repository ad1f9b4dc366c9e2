"""Checks beyond the JSON Schema: mutually exclusive attributes, undefined names, cycles.

`check_model` looks at every resource of the merged tree, `check_project` at the enabled services of the canonical
one. Each check is a row of a table. A node with an earlier error gets no further ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.errors import CycleError, Mark
from composer.schema.problems import did_you_mean
from composer.schema.shortforms import is_ip
from composer.schema.tree import NOWHERE, WORKLOADS, Map, Rules, Seq, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from composer.schema.problems import Problems
    from composer.schema.tree import Path, Rule


# ------------------------------------------------------------------ the merged tree


def check_model(tree: Map, problems: Problems) -> None:
    """Check what holds for every resource, used or not."""
    walk(tree, _ModelChecks(problems).rules(), (), NOWHERE)


class _ModelChecks:
    """The checks of single attributes, and the paths at which they stand."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    def volume(self, value: Any, path: Path, mark: Mark) -> Any:
        if isinstance(value, Map) and _is_true(value.get("external")):
            for key in value:
                if key not in ("external", "name") and not key.startswith("x-"):
                    self._problems.error(
                        f"conflicting attributes 'external' and '{key}' of volume '{path[-1]}'",
                        value.name(key),
                        (*path, key),
                        hint=f"remove '{key}': external volumes are not created by composer",
                    )
        return value

    def file_object(self, *sources: str) -> Rule:
        def rule(value: Any, path: Path, mark: Mark) -> Any:
            if isinstance(value, Map):
                _check_file_object(value, path, mark, sources, self._problems)
            return value

        return rule

    def port(self, value: Any, path: Path, mark: Mark) -> Any:
        if isinstance(value, Map):
            host_ip = value.get("host_ip")
            if isinstance(host_ip, str) and not is_ip(host_ip):
                self._problems.error(
                    f"'{host_ip}' is not an IP address", value.mark("host_ip"), (*path, "host_ip")
                )
            if value.get("target") is None and not self._problems.within(path):
                self._problems.error(
                    f"target is required for each port of service '{path[1]}'",
                    mark,
                    path,
                    hint="set it to the container port",
                )
        return value

    def mount(self, value: Any, path: Path, mark: Mark) -> Any:
        if isinstance(value, Map) and not self._problems.within(path):
            if value.get("target") is None:
                self._problems.error(
                    f"target is required for each volume of service '{path[1]}'",
                    mark,
                    path,
                    hint="set it to the path in the container",
                )
            if value.get("type") == "bind" and value.get("source") is None:
                self._problems.error(
                    f"source is required for each bind mount of service '{path[1]}'",
                    mark,
                    path,
                    hint="set it to a path on the host",
                )
        return value

    def mapped(self, value: Any, path: Path, mark: Mark) -> Any:
        if isinstance(value, Map) and value.get("target") is None and not self._problems.within(path):
            self._problems.error(
                f"target is required for each device of service '{path[1]}'",
                mark,
                path,
                hint="set it to the path in the container",
            )
        return value

    def watch(self, value: Any, path: Path, mark: Mark) -> Any:
        if value == "":
            self._problems.error(
                "'path' must not be empty", mark, path, hint="set it to the file or directory to watch"
            )
        return value

    def device(self, value: Any, path: Path, mark: Mark) -> Any:
        if isinstance(value, Map) and "count" in value and "device_ids" in value:
            self._problems.error(
                "'count' and 'device_ids' are mutually exclusive",
                value.name("count"),
                path,
                hint="set either the number of devices or their IDs",
            )
        return value

    def rules(self) -> Rules:
        return Rules(
            {
                ("volumes", "*"): self.volume,
                ("configs", "*"): self.file_object("file", "environment", "content"),
                ("secrets", "*"): self.file_object("file", "environment"),
                **{
                    (section, "*", *pattern.split(".")): rule
                    for section in WORKLOADS
                    for pattern, rule in {
                        "ports.*": self.port,
                        "devices.*": self.mapped,
                        "volumes.*": self.mount,
                        "develop.watch.*.path": self.watch,
                        "deploy.resources.reservations.devices.*": self.device,
                        "gpus.*": self.device,
                    }.items()
                },
            }
        )


def _is_true(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _quoted(names: list[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)


def _check_file_object(
    value: Map, path: Path, mark: Mark, sources: tuple[str, ...], problems: Problems
) -> None:
    kind = str(path[0]).removesuffix("s")
    found = [key for key in sources if key in value]
    words = " or ".join((", ".join(sources[:-1]), sources[-1]))
    if len(found) > 1:
        problems.error(
            f"{_quoted(found)} of {kind} '{path[-1]}' are mutually exclusive",
            value.name(found[1]),
            (*path, found[1]),
            hint=f"keep only one of {words}",
        )
    if _is_true(value.get("external")):
        for key in value:
            if key not in ("external", "name") and not key.startswith("x-"):
                problems.warn(
                    f"'{key}' of {kind} '{path[-1]}' is ignored, because it is external",
                    value.name(key),
                    hint=f"remove '{key}', or 'external'",
                )
    elif (not found or (kind == "secret" and value.get("environment") == "")) and not problems.within(path):
        problems.error(
            f"{kind} '{path[-1]}' must declare {words}", mark, path, hint=f"set {words}, or 'external: true'"
        )


# ------------------------------------------------------------------ the canonical project


class Consistency:
    """Checks the enabled services, or jobs, of a canonical tree against each other and against the resources."""

    def __init__(
        self,
        tree: Map,
        disabled: Mapping[str, Map],
        problems: Problems,
        section: str = "services",
        concerned: frozenset[str] | None = None,
    ) -> None:
        self._concerned = concerned
        self._tree = tree
        self._section = section
        self._kind = section.removesuffix("s")
        self._members: Map = tree.get(section) or Map()
        self._services: Map = tree.get("services") or Map()
        self._disabled = disabled
        self._problems = problems

    def check(self) -> None:
        """Report everything that does not fit."""
        for name in self._members:
            self.check_service(name)
        if self._section == "services":
            self._container_names()
            self._cycles()

    def check_service(self, name: str) -> None:
        """Report what does not fit about one service."""
        for check in _SERVICE_CHECKS:
            check(self, name, self._members[name])

    def fail(self, message: str, service: str, *below: str | int, hint: str | None = None) -> None:
        """Report an error of a service at an attribute, unless that service was found to be wrong before."""
        path: Path = (self._section, service, *below)
        tree: Any = self._members[service]
        at = self._members.name(service)
        for part in below:
            if isinstance(tree, Map) and part in tree:
                at = tree.mark(str(part))
            elif isinstance(tree, Seq) and isinstance(part, int):
                at = tree.mark(part)
            else:
                break
            tree = tree[part]
        if not at.file and below:
            at = self._members.name(service)
        self._problems.error(message, at, path, hint=hint)

    def broken(self, service: str, *below: str) -> bool:
        """Tell whether an error was reported there before."""
        return self._problems.within((self._section, service, *below))

    def image(self, name: str, service: Map) -> None:
        if any(key in service for key in ("image", "build", "provider")) or any(
            self.broken(name, key) for key in ("image", "build", "provider", "extends")
        ):
            return
        if self._problems.elsewhere(self._members.name(name).file, ("image", "build", "provider")):
            return  # the service that it extends was to bring one
        if self._problems.suggested((self._section, name), ("'image'", "'build'", "'build:'")):
            return
        self.fail(
            f"{self._kind} '{name}' has neither an image nor a build context specified",
            name,
            hint="set 'image: NAME' or 'build: DIRECTORY'",
        )

    def build(self, name: str, service: Map) -> None:
        build = service.get("build")
        if not isinstance(build, Map):
            return
        if "dockerfile" in build and "dockerfile_inline" in build:
            self.fail(
                "'dockerfile' and 'dockerfile_inline' are mutually exclusive",
                name,
                "build",
                "dockerfile",
                hint="keep only one of them",
            )
        for key, context in (build.get("additional_contexts") or {}).items():
            if isinstance(context, str) and context.startswith("service:"):
                self._build_context(name, key, context.removeprefix("service:"))
        platform, platforms = service.get("platform"), build.get("platforms")
        if platforms and platform and platform not in platforms:
            self.fail(
                f"build.platforms does not include the service's platform '{platform}'", name, "build", "platforms",
                hint=f"add {platform}",
            )  # fmt: skip
        for index, secret in enumerate(build.get("secrets") or ()):
            self._resource("secrets", secret.get("source"), name, "build", "secrets", index)

    def _build_context(self, name: str, key: str, wanted: str) -> None:
        other = self._services.get(wanted)
        if other is None:
            self.unknown_service(name, wanted, "build", "additional_contexts", key)
        elif "build" not in other:
            self.fail(
                f"build context '{key}' refers to service '{wanted}', which has no build section",
                name,
                "build",
                "additional_contexts",
                key,
            )

    def unknown_service(self, name: str, wanted: str, *below: str | int) -> None:
        """Report a reference to a service that is not there, or is not enabled."""
        if wanted in self._disabled:
            profiles = self._disabled[wanted].get("profiles") or ()
            self.fail(
                f"{self._kind} '{name}' depends on service '{wanted}', which is not enabled by any active profile",
                name, *below,
                hint=f"enable it with --profile {profiles[0]}" if profiles else None,
            )  # fmt: skip
            return
        if self._problems.within(("services", wanted)):
            return
        hint = did_you_mean(wanted, [other for other in self._services if other != name])
        self.fail(f"{self._kind} '{name}' depends on undefined service '{wanted}'", name, *below, hint=hint)

    def depends_on(self, name: str, service: Map) -> None:
        for wanted, dependency in (service.get("depends_on") or {}).items():
            if wanted in self._services or (wanted in self._disabled and not dependency.get("required")):
                continue
            self.unknown_service(name, wanted, "depends_on", wanted)

    def networks(self, name: str, service: Map) -> None:
        networks = service.get("networks") or {}
        if networks and "network_mode" in service:
            self.fail(
                "'network_mode' and 'networks' are mutually exclusive",
                name,
                "network_mode",
                hint="keep only one of them",
            )
        for network in networks:
            self._resource("networks", network, name, "networks", network)

    def namespaces(self, name: str, service: Map) -> None:
        # what ipc, pid and the like name is a dependency by now, or nothing (--no-normalize)
        mode = service.get("network_mode")
        if isinstance(mode, str) and mode.startswith("service:"):
            wanted = mode.removeprefix("service:")
            if wanted not in self._services and wanted not in (service.get("depends_on") or {}):
                self.unknown_service(name, wanted, "network_mode")

    def volumes(self, name: str, service: Map) -> None:
        for index, volume in enumerate(service.get("volumes") or ()):
            if volume.get("type") == "volume" and volume.get("source"):
                self._resource("volumes", volume["source"], name, "volumes", index)

    def file_mounts(self, name: str, service: Map) -> None:
        for section in ("secrets", "configs"):
            for index, item in enumerate(service.get(section) or ()):
                self._resource(section, item.get("source"), name, section, index)
        for model in service.get("models") or ():
            self._resource("models", model, name, "models", model)

    def _resource(self, section: str, wanted: Any, name: str, *below: str | int) -> None:
        known = self._tree.get(section) or {}
        kind = section.removesuffix("s")
        if not wanted:
            self.fail(
                f"source is required for each {kind} of {self._kind} '{name}'",
                name,
                *below,
                hint="set 'source'",
            )
            return
        if wanted in known or self._problems.within((section, wanted)):
            return
        hint = did_you_mean(wanted, known) or f"declare it at the top level, under '{section}:'"
        if section == "volumes" and "/" in wanted:
            hint = f"for a directory, use './{wanted}'; for a named volume, declare it under 'volumes:'"
        self.fail(f"{self._kind} '{name}' refers to undefined {kind} '{wanted}'", name, *below, hint=hint)

    def healthcheck(self, name: str, service: Map) -> None:
        test = (service.get("healthcheck") or {}).get("test")
        if test and test[0] not in ("NONE", "CMD", "CMD-SHELL"):
            self.fail(
                f"healthcheck.test must start with NONE, CMD or CMD-SHELL, not '{test[0]}'",
                name, "healthcheck", "test",
                hint=f'use ["CMD", "{test[0]}", …]',
            )  # fmt: skip

    def scale(self, name: str, service: Map) -> None:
        replicas = (service.get("deploy") or {}).get("replicas")
        scale = service.get("scale")
        if scale is not None and replicas is not None and scale != replicas:
            self.fail(
                f"'scale' ({scale}) and 'deploy.replicas' ({replicas}) have different values",
                name,
                "scale",
                hint="keep only one of them",
            )
        for count, below in ((scale, ("scale",)), (replicas, ("deploy", "replicas"))):
            if count is not None and count < 0:
                self.fail(f"'{below[-1]}' must not be negative", name, *below)
            if count is not None and count > 1 and "container_name" in service:
                self.fail(
                    f"cannot scale {self._kind} '{name}' to {count} containers: container_name must be unique",
                    name, *below,
                    hint="remove container_name: each replica needs its own name",
                )  # fmt: skip

    def _container_names(self) -> None:
        taken: dict[str, str] = {}
        for name, service in self._services.items():
            if self._concerned is not None and name not in self._concerned:
                continue  # it is not going to be beside the others
            wanted = service.get("container_name")
            if wanted is not None and taken.setdefault(wanted, name) != name:
                self.fail(
                    f"container name \"{wanted}\" is already in use by service '{taken[wanted]}'",
                    name,
                    "container_name",
                    hint="use a different container_name for each service",
                )

    def limits(self, name: str, service: Map) -> None:
        resources = (service.get("deploy") or {}).get("resources") or {}
        for attribute, group, key in (
            ("cpus", "limits", "cpus"),
            ("mem_limit", "limits", "memory"),
            ("mem_reservation", "reservations", "memory"),
            ("pids_limit", "limits", "pids"),
        ):
            own, values = service.get(attribute), resources.get(group)
            if not own or values is None:
                continue
            deployed = values.get(key)
            if deployed is None:
                self.fail(
                    f"'{attribute}' is set beside 'deploy.resources.{group}', which lacks '{key}'", name, attribute,
                    hint=f"set deploy.resources.{group}.{key} instead",
                )  # fmt: skip
            elif own != deployed:
                self.fail(
                    f"'{attribute}' and 'deploy.resources.{group}.{key}' have different values", name, attribute,
                    hint="keep only one of them",
                )  # fmt: skip

    def watch(self, name: str, service: Map) -> None:
        for index, rule in enumerate((service.get("develop") or {}).get("watch") or ()):
            if rule.get("action") != "rebuild" and rule.get("action") != "restart" and not rule.get("target"):
                self.fail(
                    f"target is required for watch action '{rule.get('action')}'", name, "develop", "watch", index,
                    hint="set it to the path in the container",
                )  # fmt: skip

    def mounts(self, name: str, service: Map) -> None:
        taken: dict[str, str] = {}
        for index, text in enumerate(service.get("tmpfs") or ()):
            target = str(text).partition(":")[0]
            self._take(taken, target, f"tmpfs[{index}]", name, "tmpfs", index)
        for index, volume in enumerate(service.get("volumes") or ()):
            self._take(taken, str(volume.get("target")), f"volumes[{index}]", name, "volumes", index)

    def _take(self, taken: dict[str, str], target: str, words: str, name: str, *below: str | int) -> None:
        if target in taken:
            self.fail(f"'{target}' is mounted twice, by {taken[target]} and {words}", name, *below)
        taken.setdefault(target, words)

    def _cycles(self) -> None:
        edges = {name: list(service.get("depends_on") or ()) for name, service in self._services.items()}
        ring = find_cycle(edges)
        if ring is None:
            return
        report_cycle(self._services, ring, self._problems)


def report_cycle(services: Map, ring: Sequence[str], problems: Problems) -> None:
    """Report services that wait for each other, with the place of every wait."""
    following = [*ring[1:], ring[0]]
    marks = [services[name]["depends_on"].mark(other) for name, other in zip(ring, following, strict=True)]
    problems.error(
        f"dependency cycle detected: {' → '.join([*ring, ring[0]])}",
        marks[0],
        ("services", ring[0], "depends_on"),
        kind=CycleError,
        chain=tuple(marks[1:]),
        hint="remove one of these dependencies",
    )


def find_cycle(edges: Mapping[str, Iterable[str]]) -> list[str] | None:
    """Return the names of one cycle in order, starting at the smallest; None when there is none."""
    state: dict[str, int] = {}
    for root in sorted(edges):
        if state.get(root):
            continue
        trail: list[tuple[str, list[str]]] = [(root, sorted(edges[root]))]
        state[root] = 1
        while trail:
            name, rest = trail[-1]
            if not rest:
                state[name] = 2
                trail.pop()
                continue
            following = rest.pop(0)
            if state.get(following) == 1:
                names = [entry[0] for entry in trail]
                ring = names[names.index(following) :]
                start = ring.index(min(ring))
                return ring[start:] + ring[:start]
            if not state.get(following) and following in edges:
                state[following] = 1
                trail.append((following, sorted(edges[following])))
    return None


_SERVICE_CHECKS: tuple[Callable[[Consistency, str, Map], None], ...] = (
    Consistency.image,
    Consistency.build,
    Consistency.depends_on,
    Consistency.networks,
    Consistency.namespaces,
    Consistency.volumes,
    Consistency.file_mounts,
    Consistency.healthcheck,
    Consistency.scale,
    Consistency.limits,
    Consistency.watch,
    Consistency.mounts,
)
