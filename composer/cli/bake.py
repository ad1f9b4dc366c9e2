"""``composer build --print``: the builds as a bake file, as Docker Compose prints it.

Format: https://docs.docker.com/build/bake/reference/
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from composer.units import parse_size_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from composer.engine.wanted import BuildSpec
    from composer.schema.model import Project

_REMOTE = ("http://", "https://", "git://", "ssh://", "git@", "github.com/")


def text(project: Project, specs: Sequence[BuildSpec], *, push: bool) -> str:
    """Return the bake file of builds, escaped as Go's JSON is."""
    found = json.dumps(_document(project, specs, push=push), indent=2, ensure_ascii=False)
    # none of these is anywhere but in strings
    return found.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _document(project: Project, specs: Sequence[BuildSpec], *, push: bool) -> dict[str, Any]:
    targets = {
        spec.service: _target(project, spec, push) for spec in sorted(specs, key=lambda one: one.service)
    }
    return {"group": {"default": {"targets": sorted(targets)}}, "target": targets}


def _target(project: Project, spec: BuildSpec, push: bool) -> dict[str, Any]:
    """Return one target. The order is that of Docker Compose, and what is empty is left out."""
    given = spec.attributes
    declared: Mapping[str, Any] = project.declared[spec.service].get("build") or {}
    labels = {**(given.get("labels") or {}), **spec.labels}
    found = {
        "context": given.get("context"),
        "contexts": {
            name: f"target:{text.removeprefix('service:')}" if str(text).startswith("service:") else text
            for name, text in (declared.get("additional_contexts") or {}).items()
        },
        "dockerfile": _dockerfile(given),
        "dockerfile-inline": given.get("dockerfile_inline"),
        "args": {key: value for key, value in (given.get("args") or {}).items() if value is not None},
        "labels": dict(sorted(labels.items())),
        "tags": [spec.reference, *(given.get("tags") or ())],
        "cache-from": list(given.get("cache_from") or ()),
        "cache-to": list(given.get("cache_to") or ()),
        "target": given.get("target"),
        "secret": _secrets(project, declared),
        "ssh": list(given.get("ssh") or ()),
        "platforms": list(given.get("platforms") or ()),
        "pull": bool(given.get("pull") or spec.pull),
        "no-cache": bool(given.get("no_cache") or spec.no_cache),
        "network": given.get("network"),
        "no-cache-filter": list(given.get("no_cache_filter") or ()),
        "shm-size": str(parse_size_bytes(str(given["shm_size"]))) if given.get("shm_size") else None,
        "ulimits": [_limit(name, limit) for name, limit in (given.get("ulimits") or {}).items()],
        "entitlements": [
            *(given.get("entitlements") or ()),
            *(["security.insecure"] if given.get("privileged") else []),
        ],
        "extra-hosts": dict(
            str(one).replace("=", ":", 1).split(":", 1) for one in given.get("extra_hosts") or ()
        ),
        "output": ["type=registry" if push else "type=docker"],
        "attest": [f"type={name},{given[name]}" for name in ("provenance", "sbom") if given.get(name)],
    }
    return {key: value for key, value in found.items() if value}


def _dockerfile(given: Mapping[str, Any]) -> str | None:
    import os

    context = str(given.get("context") or "")
    if given.get("dockerfile_inline"):
        return None
    name = str(given.get("dockerfile") or "Dockerfile")
    return name if context.startswith(_REMOTE) else os.path.join(context, name)


def _secrets(project: Project, declared: Mapping[str, Any]) -> list[str]:
    found = []
    for grant in declared.get("secrets") or ():
        entry = (project.tree.get("secrets") or {}).get(grant["source"]) or {}
        id = grant.get("target") or grant["source"]
        if entry.get("environment"):
            found.append(f"id={id},type=env,env={entry['environment']}")
        elif entry.get("file"):
            found.append(f"id={id},type=file,src={entry['file']}")
    return found


def _limit(name: str, limit: Any) -> str:
    return f"{name}={limit.get('soft')}:{limit.get('hard')}" if isinstance(limit, dict) else f"{name}={limit}"
