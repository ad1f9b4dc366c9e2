"""What has to be agreed to before anything is sent: the sentences are Docker Compose's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from composer.session.publishing.gathering import Findings

    Services = Mapping[str, Mapping[str, Any]]


def check(services: Services, findings: Findings) -> None:
    """Raise ProjectError for what cannot be published at all."""
    if findings.local_includes:
        raise ProjectError(
            f"cannot publish compose file with local includes: {', '.join(findings.local_includes)}",
            hint="publish these files, and include them as oci://HOST/NAME:TAG; or publish the output of "
            "composer config -o FILE",
        )
    built = [name for name, one in services.items() if one.get("build") is not None and not one.get("image")]
    if built:
        lines = "".join(f'- "{name}"\n' for name in built)
        raise ProjectError(
            f"your Compose stack cannot be published as it only contains a build section for service(s):\n{lines}",
            hint="set 'image' for them",
        )
    for name, one in services.items():
        if not one.get("image") and not one.get("provider"):
            raise ProjectError(
                f'"service.image" attribute is mandatory to push an image for service "{name}"',
                hint="set 'image' for it",
            )


def questions(services: Services, findings: Findings, *, with_env: bool) -> Iterator[str]:
    """Yield what is asked, one after the other; ``with_env`` agrees to the part about environments."""
    binds = "".join((*_binds(services), *sorted(findings.binds)))
    if binds:
        yield (
            "you are about to publish bind mounts declaration within your OCI artifact.\n"
            "only the bind mount declarations will be added to the OCI artifact (not content)\n"
            "please double check that you are not mounting potential user's sensitive directories or data\n"
            f"{binds}Are you ok to publish these bind mount declarations?"
        )
    if findings.sensitive:
        lines = "".join(f"{one}\n" for one in findings.sensitive)
        yield (
            "you are about to publish sensitive data within your OCI artifact.\n"
            "please double check that you are not leaking sensitive data\n"
            f"{lines}Are you ok to publish these sensitive data?"
        )
    environments = "".join(_environments(findings))
    if environments and not with_env:
        yield (
            "you are about to publish env-related declarations within your OCI artifact.\n"
            "env_file paths and literal values for sensitive-looking keys are embedded as-is in the published YAML;\n"
            'interpolated values like "${VAR}" are kept symbolic and have already been excluded.\n'
            f"{environments}"
            "Use --with-env to silence this prompt and always publish env declarations.\n"
            "Are you ok to publish these env declarations?"
        )
    if findings.contents:
        lines = "".join(f'  config "{name}"\n' for name in sorted(findings.contents))
        yield (
            "you are about to publish literal inline config content within your OCI artifact.\n"
            f"{lines}Are you ok to publish these config contents?"
        )


def _binds(services: Services) -> Iterator[str]:
    for name in sorted(services):
        for volume in services[name].get("volumes") or ():
            if volume.get("type") == "bind":
                mode = "ro" if volume.get("read_only") else "rw"
                yield f"{name}: {volume.get('source', '')}:{volume.get('target', '')}:{mode}\n"


def _environments(findings: Findings) -> Iterator[str]:
    for name in sorted({*findings.with_env_file, *findings.literals}):
        if name in findings.with_env_file:
            yield f'  service "{name}": env_file declared\n'
        if keys := findings.literals.get(name):
            quoted = ", ".join(f'"{key}"' for key in sorted(keys))
            yield f'  service "{name}": literal value for {quoted}\n'


def left_behind(tree: Mapping[str, Any]) -> list[str]:
    """Return what a project needs of this machine and that is not in the artifact, in words."""
    found = []
    for section in ("configs", "secrets"):
        for name, one in (tree.get(section) or {}).items():
            if one.get("file"):
                found.append(f"the file of {section[:-1]} '{name}'")
    for name, service in (tree.get("services") or {}).items():
        if service.get("label_file"):
            found.append(f"label_file of service '{name}'")
    return found
