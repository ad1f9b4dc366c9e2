"""AI models, through Docker's model runner: the plugin ``docker model``, where it is installed.

docker-model ls --json                                       which models are there
docker-model pull MODEL
docker-model configure [--context-size=N] MODEL [-- FLAG…]   flags of the runtime: from version 1.0.6 on
docker-model status --json                                   where models are served: ``endpoint``
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from composer.engine.providers import calling
from composer.errors import ProviderFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PLUGIN = "docker-model"
_HAS_FLAGS = (1, 0, 6)
_TIMEOUT_S = 60.0


class Model(NamedTuple):
    """A model that services use; ``context_size`` is in tokens, 0 is the model's own."""

    name: str
    model: str
    context_size: int = 0
    runtime_flags: tuple[str, ...] = ()


def find(environment: Mapping[str, str]) -> str:
    """Return the plugin. Raises ProviderFailed."""
    found = calling.plugin(_PLUGIN, environment)
    if found is None:
        raise ProviderFailed(
            "'models' support requires Docker Model plugin",
            hint="install docker-model-plugin, or set the URL of a model server in the environment of the service",
        )
    return found


def prepare(model: Model, environment: Mapping[str, str], tell: Callable[[str], None]) -> str:
    """Pull a model that is not there, and configure it; return where it is served. Raises ProviderFailed.

    ``tell`` gets the phases: ``pulling``, ``configuring``.
    """
    path = find(environment)
    if model.model not in _present(path, environment):
        tell("pulling")
        _run(path, environment, "pull", model.model, timeout_s=None)
    tell("configuring")
    words = ["configure"]
    if model.context_size > 0:
        words.append(f"--context-size={model.context_size}")
    words.append(model.model)
    if model.runtime_flags and _version(path, environment) >= _HAS_FLAGS:
        words += ["--", *model.runtime_flags]
    _run(path, environment, *words)
    return _endpoint(path, environment)


def _present(path: str, environment: Mapping[str, str]) -> set[str]:
    found = _json(path, environment, "ls", "--json")
    return {
        str(tag)
        for one in (found if isinstance(found, list) else ())
        if isinstance(one, dict)
        for tag in one.get("tags") or ()
    }


def _endpoint(path: str, environment: Mapping[str, str]) -> str:
    found = _json(path, environment, "status", "--json")
    endpoint = found.get("endpoint") if isinstance(found, dict) else None
    if not isinstance(endpoint, str) or not endpoint:
        raise ProviderFailed(
            "docker model status does not say where models are served",
            hint="start the model runner: docker model status",
        )
    return endpoint


def _version(path: str, environment: Mapping[str, str]) -> tuple[int, ...]:
    found = _json(path, environment, "docker-cli-plugin-metadata")
    text = str(found.get("Version", "")) if isinstance(found, dict) else ""
    return tuple(int(part) for part in text.lstrip("v").partition("-")[0].split(".") if part.isdecimal())


def _json(path: str, environment: Mapping[str, str], *words: str) -> object:
    output = _run(path, environment, *words)
    try:
        return json.loads(output)
    except (ValueError, RecursionError) as error:
        raise ProviderFailed(
            f"docker model {' '.join(words)} did not print JSON: {output[:100].decode(errors='replace')!r}",
            hint="install another version of docker-model-plugin",
        ) from error


def _run(
    path: str, environment: Mapping[str, str], *words: str, timeout_s: float | None = _TIMEOUT_S
) -> bytes:
    done = calling.ask([path, *words], environment, timeout_s=timeout_s)
    if done.code:
        shown = f"docker model {' '.join(words)}"
        failure = ProviderFailed(
            f"{shown} failed: {calling.how_it_ended(done.code)}", hint=f"run {shown} to see why"
        )
        raise calling.with_tail(failure, done.output + done.tail)
    return done.output
