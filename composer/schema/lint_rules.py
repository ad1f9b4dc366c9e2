"""The rules of ``composer lint``: what is valid, and yet seldom what somebody wants.

A rule is a generator over the loaded model; it yields the words, the place and the remedy. It never looks at
images, at the network or at the machine, so the same files get the same advice everywhere. docs/lint.md has the
table, which a test holds to `RULES`.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import references, unusable
from composer.patterns import pattern
from composer.schema.profiles import used_resources
from composer.schema.tree import Map, Seq, dotted, mark_at
from composer.sysctls import find_faults
from composer.units import parse_duration_ns
from composer.values import (
    MOUNT_HINT,
    interval_problem,
    mac_problem,
    mount_problems,
    name_problem,
    protocol_problem,
    subnet_problem,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from composer.errors import Mark
    from composer.schema.model import Project


class Advice(NamedTuple):
    """What a rule found."""

    message: str
    at: Mark | None
    hint: str | None = None


class Model(NamedTuple):
    """What rules look at: every service, enabled or not, and the resources before unused ones were left out.

    ``compose_files`` are the names of files in marks that are compose files, as env files are not.
    """

    services: Mapping[str, Map]
    tree: Map
    compose_files: frozenset[str]

    def is_literal(self, mark: Mark) -> bool:
        """Tell whether a value stands in a compose file as it is, and came from no variable and no env file."""
        return not mark.why and mark.file in self.compose_files


class Rule(NamedTuple):
    """``reason`` is one line for the table; ``check`` is None for what the loader itself finds."""

    id: str
    severity: str
    reason: str
    check: Callable[[Model], Iterator[Advice]] | None = None


def model_of(project: Project, compose_files: frozenset[str]) -> Model:
    services = {**(project.whole.get("services") or {}), **project.disabled}
    return Model(services, project.whole, compose_files)


def _map(tree: Map, key: str) -> Map:
    child = tree.get(key)
    return child if isinstance(child, Map) else Map()


def _seq(tree: Map, key: str) -> Seq:
    child = tree.get(key)
    return child if isinstance(child, Seq) else Seq()


def _floating(model: Model) -> Iterator[tuple[str, Map]]:
    """Yield the services whose image is whatever ``latest`` is today; a built one's name is only a name."""
    for name, service in model.services.items():
        image = service.get("image")
        if (
            image
            and image not in ("host", "scratch")
            and "build" not in service
            and references.is_latest(image)
        ):
            yield name, service


def unpinned_image(model: Model) -> Iterator[Advice]:
    for name, service in _floating(model):
        if service.get("pull_policy") != "never":
            yield Advice(
                f"image '{service['image']}' of service '{name}' is not pinned to a version",
                service.mark("image"),
                "specify a version (image:1.2) or a digest (image@sha256:…)",
            )


def latest_never_pulled(model: Model) -> Iterator[Advice]:
    for name, service in _floating(model):
        if service.get("pull_policy") == "never":
            yield Advice(
                f"service '{name}' runs whichever version of '{service['image']}' is on this machine: "
                "tag latest with pull_policy never",
                service.mark("image"),
                "specify a version",
            )


_SECRET_KEY = pattern(
    r"(?:PASSWORD|PASSWD|PASSPHRASE"
    r"|(?:^|_)(?:PASS|SECRET|SECRET_KEY_BASE|TOKEN|CREDENTIALS?)"
    r"|(?:^|_)(?:API|SECRET|PRIVATE|ACCESS|ENCRYPTION|SIGNING)_?KEY"
    r"|_PWD)$",
    re.IGNORECASE,
)
_SECRET_URL = pattern(r"^[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)
_SWITCH = pattern(r"(?:true|false|yes|no|on|off|none|null|[01])$", re.IGNORECASE)


def _is_secret(key: str, value: Any) -> bool:
    if not isinstance(value, str) or not value or value.startswith("/") or _SWITCH.match(value):
        return False
    return bool(_SECRET_KEY.search(key) or _SECRET_URL.match(value))


def secret_in_environment(model: Model) -> Iterator[Advice]:
    for name, service in model.services.items():
        places = {
            "environment": _map(service, "environment"),
            "build args": _map(_map(service, "build"), "args"),
        }
        for where, values in places.items():
            for key, value in values.items():
                if _is_secret(key, value) and model.is_literal(values.mark(key)):
                    yield Advice(
                        f"'{key}' in {where} of service '{name}' looks like a hard-coded secret",
                        values.mark(key),
                        "use 'secrets:', or a variable (${…}) whose value is kept outside the repository",
                    )


DATABASES = {
    1433: "SQL Server",
    3306: "MySQL",
    5432: "PostgreSQL",
    5672: "AMQP",
    6379: "Redis",
    9200: "Elasticsearch",
    11211: "memcached",
    27017: "MongoDB",
}
"""Container ports that speak to a store of data, often without a password. IANA's names where it has one."""


def published_database(model: Model) -> Iterator[Advice]:
    for name, service in model.services.items():
        ports = _seq(service, "ports")
        for index, port in enumerate(ports):
            product = DATABASES.get(port.get("target"))
            if product and port.get("host_ip", "") in ("", "0.0.0.0", "::", "[::]"):
                yield Advice(
                    f"port {port['target']} ({product}) of service '{name}' "
                    "is published on all network interfaces",
                    ports.mark(index),
                    f"use 127.0.0.1:{port.get('published') or ''}:{port['target']}, or remove it: "
                    "services reach each other without published ports",
                )


def health_unknown(model: Model) -> Iterator[Advice]:
    for name, service in model.services.items():
        depends = _map(service, "depends_on")
        for needed, how in depends.items():
            if how.get("condition") != "service_healthy" or needed not in model.services:
                continue
            check = model.services[needed].get("healthcheck") or {}
            at = mark_at(depends, (needed, "condition")) or service.mark("depends_on")
            if check.get("disable") or (check.get("test") or [""])[0] == "NONE":
                yield Advice(
                    f"service '{name}' waits for '{needed}' to be healthy, but its health check is disabled",
                    at,
                    f"add a healthcheck to '{needed}', or use condition: service_started",
                )
            elif not check.get("test"):
                yield Advice(
                    f"service '{name}' waits for '{needed}' to be healthy, but no health check is defined for "
                    f"'{needed}' (its image may have one)",
                    at,
                    f"add a healthcheck to '{needed}', unless its image has one",
                )


def _unused(section: str) -> Callable[[Model], Iterator[Advice]]:
    def rule(model: Model) -> Iterator[Advice]:
        jobs = (model.tree.get("jobs") or {}).values()
        used = used_resources([*model.services.values(), *jobs])[section]
        if section == "configs":
            used |= {_map(one, "credential_spec").get("config", "") for one in model.services.values()}
        resources = _map(model.tree, section)
        for name in resources:
            place = resources.name(name)
            if name not in used and place.file:
                yield Advice(f"{section[:-1]} '{name}' is not used by any service", place, "remove it")

    return rule


def container_name_replicas(model: Model) -> Iterator[Advice]:
    for name, service in model.services.items():
        if "container_name" not in service:
            continue
        for path in (("deploy", "replicas"), ("scale",)):
            owner = _map(service, "deploy") if len(path) == 2 else service
            if path[-1] in owner:
                yield Advice(
                    f"service '{name}' sets {'.'.join(path)} and container_name, so it cannot have "
                    "more than one container",
                    owner.mark(path[-1]),
                    "remove container_name: each replica needs its own name",
                )


_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")


def docker_socket(model: Model) -> Iterator[Advice]:
    hint = "do not mount it into exposed services: access to the socket is equivalent to root on the host"
    for name, service in model.services.items():
        volumes = _seq(service, "volumes")
        for index, volume in enumerate(volumes):
            if volume.get("type") == "bind" and volume.get("source") in _SOCKETS:
                yield Advice(f"service '{name}' has access to the Docker socket", volumes.mark(index), hint)
        if service.get("use_api_socket"):
            yield Advice(
                f"service '{name}' has access to the Docker socket", service.mark("use_api_socket"), hint
            )


def privileged(model: Model) -> Iterator[Advice]:
    for name, service in model.services.items():
        if service.get("privileged"):
            yield Advice(
                f"service '{name}' is privileged: it has full access to the host",
                service.mark("privileged"),
                "add only the capabilities (cap_add) and devices that it needs",
            )


def machine_sysctl(model: Model) -> Iterator[Advice]:
    for service in model.services.values():
        for key, reason, hint in find_faults(service):
            yield Advice(reason, mark_at(service, ("sysctls", key)), hint)


def refused_value(model: Model) -> Iterator[Advice]:
    for name, service in model.services.items():
        for mistake in unusable.mistakes(service):
            words = f"{dotted(mistake.path)} of service '{name}': {mistake.reason}"
            yield Advice(words, mark_at(service, mistake.path), mistake.hint)


def unusable_value(model: Model) -> Iterator[Advice]:
    for name, service in model.services.items():
        yield from _unusable_of(name, service)
    for name, mistake in unusable.conflicts(_map(model.tree, "services"), lambda service: True):
        at = mark_at(model.services[name], mistake.path)
        yield Advice(f"{dotted(mistake.path)} of service '{name}': {mistake.reason}", at, mistake.hint)
    for name, network in _map(model.tree, "networks").items():
        for config in _seq(_map(network, "ipam"), "config") if isinstance(network, Map) else ():
            problem = subnet_problem(str(config.get("subnet") or ""))
            if problem is not None:
                yield Advice(f"network '{name}': {problem}", config.mark("subnet"), "use a private subnet")


def missing_file(model: Model) -> Iterator[Advice]:
    for name, service in model.services.items():
        build = _map(service, "build")
        context = str(build.get("context") or "")
        if not os.path.isabs(context):
            continue  # there is none, or it is from elsewhere
        if not os.path.isdir(context):
            words = f"the build context of service '{name}' does not exist: {context}"
            yield Advice(words, build.mark("context"), "correct the path")
            continue
        dockerfile = os.path.join(context, str(build.get("dockerfile") or "Dockerfile"))
        if not build.get("dockerfile_inline") and not os.path.exists(dockerfile):
            at = build.mark("dockerfile" if "dockerfile" in build else "context")
            yield Advice(
                f"the Dockerfile of service '{name}' does not exist: {dockerfile}", at, "correct the path"
            )
    for section in ("secrets", "configs"):
        for name, one in _map(model.tree, section).items():
            path = str(one.get("file") or "") if isinstance(one, Map) else ""
            if os.path.isabs(path) and not os.path.exists(path):
                words = f"the file of {section[:-1]} '{name}' does not exist: {path}"
                yield Advice(words, one.mark("file"), "create it, or correct the path")


_INTERVALS = ("interval", "start_interval")


def _nanoseconds(value: Any) -> int:
    return parse_duration_ns(str(value)) if value else 0


def _unusable_of(name: str, service: Map) -> Iterator[Advice]:
    check, ports = _map(service, "healthcheck"), _seq(service, "ports")
    endpoints = [one for one in _map(service, "networks").values() if isinstance(one, Map)]
    found = [
        (service, "container_name", name_problem(service.get("container_name") or "")),
        *((check, key, interval_problem(_nanoseconds(check.get(key)))) for key in _INTERVALS),
        *((port, "protocol", protocol_problem(port.get("protocol") or "tcp")) for port in ports),
        *(
            (place, "mac_address", mac_problem(place["mac_address"]))
            for place in (service, *endpoints)
            if place.get("mac_address")
        ),
    ]
    for place, key, problem in found:
        if problem is not None:
            remedy = "remove it, or correct the value"
            yield Advice(f"{key} of service '{name}': {problem}", place.mark(key), remedy)


def mount_target(model: Model) -> Iterator[Advice]:
    for name, service in model.services.items():
        for path, target, reason in mount_problems(service):
            yield Advice(
                f"service '{name}' cannot start with a mount at {target}: {reason}",
                mark_at(service, path),
                MOUNT_HINT,
            )


_TABLE = (
    Rule("yaml", "error", "the file is not valid YAML for Compose"),
    Rule("interpolation", "error", "a variable cannot be interpolated"),
    Rule("schema", "error", "a value has the wrong type, or an attribute is unknown"),
    Rule("merge", "error", "two files cannot be merged"),
    Rule("cycle", "error", "circular depends_on, extends or include"),
    Rule("config", "error", "any other error that prevents the project from loading"),
    Rule("loading", "warning", "accepted, but probably not what was intended"),
    Rule("obsolete-version", "warning", "the attribute version is obsolete and ignored"),
    Rule("unknown-rule", "warning", "an unknown rule is disabled"),
    Rule("mount-target", "warning", "a mount over / or inside /proc is not allowed", mount_target),
    Rule(
        "refused-value",
        "error",
        "a value that Compose accepts, and plan, up and run refuse",
        refused_value,
    ),
    Rule(
        "unusable-value",
        "warning",
        "a value that Compose accepts, but no container can use",
        unusable_value,
    ),
    Rule(
        "missing-file",
        "warning",
        "a build context, a Dockerfile, a config or a secret is not on this machine",
        missing_file,
    ),
    Rule(
        "unpinned-image",
        "advice",
        "no tag, or latest: the next pull may bring a different version",
        unpinned_image,
    ),
    Rule(
        "latest-never-pulled",
        "advice",
        "latest is never pulled: each machine may run a different version",
        latest_never_pulled,
    ),
    Rule(
        "secret-in-environment",
        "advice",
        "a password or token in a compose file is in every copy of the repository",
        secret_in_environment,
    ),
    Rule(
        "published-database",
        "advice",
        "a database is published on all network interfaces",
        published_database,
    ),
    Rule(
        "health-unknown",
        "advice",
        "service_healthy is required, but no health check is defined",
        health_unknown,
    ),
    Rule("unused-network", "advice", "a network is not used by any service", _unused("networks")),
    Rule("unused-volume", "advice", "a volume is not used by any service", _unused("volumes")),
    Rule("unused-config", "advice", "a config is not used by any service", _unused("configs")),
    Rule("unused-secret", "advice", "a secret is not used by any service", _unused("secrets")),
    Rule(
        "container-name-replicas",
        "advice",
        "container_name prevents scaling to more than one container",
        container_name_replicas,
    ),
    Rule(
        "docker-socket",
        "advice",
        "access to the Docker socket is equivalent to root on the host",
        docker_socket,
    ),
    Rule(
        "machine-sysctl",
        "warning",
        "a kernel setting of the whole host: up does not set it",
        machine_sysctl,
    ),
    Rule("privileged", "advice", "a privileged container is not isolated from the host", privileged),
)

RULES = {rule.id: rule for rule in _TABLE}
