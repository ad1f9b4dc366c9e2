"""A service's ``build`` as the runtime's builder wants it, and what the builder tells as progress.

`ATTRIBUTES` is the table: an attribute of ``build`` and what it becomes of a `Request`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from composer import values
from composer.engine.observed import Advance
from composer.errors import BuildFailed, Unsupported
from composer.units import parse_size_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from composer.engine.wanted import BuildSpec
    from composer.runtime.build.requests import News, Request
    from composer.runtime.engine.engine import Engine
    from composer.runtime.images import Image

    Report = Callable[[Advance], None]

_PROXIES = (
    *("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY", "ftp_proxy"),
    *("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"),
)

_PASSED = (*_PROXIES, "SOURCE_DATE_EPOCH")
"""Variables that are build arguments without being given as such, as with buildx."""
_NETWORKS = ("default", "host", "none")
_ENTITLEMENTS = ("network.host", "security.insecure")


def build(
    engine: Engine,
    spec: BuildSpec,
    environment: Mapping[str, str],
    report: Report | None,
    numbers: Iterator[int],
) -> Image | None:
    """Build an image; None where only outputs were wanted. Raises BuildFailed.

    ``numbers`` are for the steps of all builds that are shown.
    """
    telling = _Telling(report, spec.service, numbers)
    try:
        request = request_of(spec, environment)
        context = sys.stdin.buffer if request.context == "-" else None
        built = engine.builds.build(request, telling.tell, context)
    except BuildFailed as error:
        failed = BuildFailed(f"cannot build {_what(spec)}: {error}", hint=error.hint)
        for note in getattr(error, "__notes__", ()):
            failed.add_note(note)
        raise failed from error
    for line in built.warnings:
        if report is not None:
            report(Advance("", line=line, is_warning=True))
    return built.image


def _what(spec: BuildSpec) -> str:
    image = f"image '{spec.reference}'" if spec.reference else "the image"
    return f"{image} of service '{spec.service}'" if spec.service else image


# ------------------------------------------------------------------ the request


def request_of(spec: BuildSpec, environment: Mapping[str, str]) -> Request:
    """Return what the builder is asked. Raises Unsupported for what it does not do."""
    from composer.runtime.build.requests import Request, Secret

    found: dict[str, Any] = {"environment": environment}
    for name, value in spec.attributes.items():
        if value not in (None, "", [], {}, False):
            ATTRIBUTES[name](found, value, spec)
    args = {key: environment[key] for key in _PASSED if key in environment}
    found["args"] = {**args, **found.get("args", {})}
    found["labels"] = {**found.get("labels", {}), **spec.labels}
    found["names"] = [*filter(None, [spec.reference]), *found.get("names", ())]
    found["secrets"] = [Secret(one.target, one.source, one.content) for one in spec.secrets]
    if spec.platform and "platforms" not in found:
        found["platforms"] = [spec.platform]
    if spec.outputs:
        from composer.runtime.build import outputs

        found["outputs"] = [outputs.parse(text) for text in spec.outputs]
    if spec.only_checks:
        found["only_checks"] = True
    if spec.keep_failed:
        found["keep_failed"] = True
    if spec.no_cache:
        found["no_cache"] = True
    if spec.pull:
        found["pull"] = True
    if environment.get("COMPOSER_BUILD_CACHE"):
        found["most_cache_bytes"] = _size(environment["COMPOSER_BUILD_CACHE"])
    if "ssh" in found:
        found["ssh"] = {
            id: _key(id, path) if path else _agent(environment) for id, path in found["ssh"].items()
        }
    epoch = found["args"].get("SOURCE_DATE_EPOCH")
    if epoch:
        found["source_date_epoch"] = _epoch(epoch)
    return Request(**{"context": "", **found, "dockerfile_name": _shown(spec)})


def _shown(spec: BuildSpec) -> str:
    """Return what messages call the Dockerfile: its path from where the command runs, as an editor finds it."""
    given = spec.attributes
    context = str(given.get("context") or "")
    if given.get("dockerfile_inline") or not os.path.isabs(context):
        return ""
    path = os.path.join(context, str(given.get("dockerfile") or "Dockerfile"))
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def _size(text: str) -> int:
    try:
        return parse_size_bytes(text)
    except ValueError as error:
        raise BuildFailed(
            f"invalid COMPOSER_BUILD_CACHE '{text}'", hint="write a size, such as 20GB"
        ) from error


def _key(id: str, path: str) -> str:
    if not os.path.exists(path):
        raise BuildFailed(
            f"cannot find '{path}' of build.ssh '{id}'",
            hint="give the path of a key, or of an agent's socket",
        )
    return path


def _agent(environment: Mapping[str, str]) -> str:
    path = environment.get("SSH_AUTH_SOCK")
    if not path:
        raise BuildFailed(
            "build.ssh needs an SSH agent, but SSH_AUTH_SOCK is not set",
            hint="start one with ssh-agent, or give a key: default=/path/to/key",
        )
    return path


_LATEST_S = 253402300799
"""The end of the year 9999: later times cannot be written."""
_MOST_DIGITS = 20


def _epoch(text: str) -> int:
    if not text.isdecimal() or len(text) > _MOST_DIGITS or int(text) > _LATEST_S:
        raise BuildFailed(
            f"invalid SOURCE_DATE_EPOCH '{text}'", hint="write seconds since 1970, such as 1700000000"
        )
    return int(text)


def _mapping(value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {key: "" if text is None else str(text) for key, text in value.items()}
    return {key: text for key, _, text in (str(entry).partition("=") for entry in value)}


def _put(name: str, convert: Callable[[Any], Any]) -> Callable[[dict[str, Any], Any, BuildSpec], None]:
    def put(found: dict[str, Any], value: Any, spec: BuildSpec) -> None:
        found[name] = convert(value)

    return put


def _hosts(found: dict[str, Any], value: Any, spec: BuildSpec) -> None:
    pairs = values.host_pairs(value)
    for name, address in pairs:
        problem = values.host_problem(name, address)
        if problem is not None:
            raise BuildFailed(f"cannot build {_what(spec)}: {problem}", hint=values.HOST_HINT)
    found["extra_hosts"] = pairs


def _limits(value: Any) -> dict[str, tuple[int, int]]:
    return {
        name: (int(limit.get("soft", 0)), int(limit.get("hard", 0)))
        if isinstance(limit, dict)
        else (int(limit), int(limit))
        for name, limit in value.items()
    }


def _agents(value: Any) -> dict[str, str]:
    return {id: path for id, _, path in (str(entry).partition("=") for entry in value)}


def _network(found: dict[str, Any], value: Any, spec: BuildSpec) -> None:
    if value not in _NETWORKS:
        raise BuildFailed(
            f"cannot build {_what(spec)}: a build cannot use network '{value}'",
            hint="use default, host or none: the networks of a project do not exist while it is built",
        )
    found["network"] = value


def _privileged(found: dict[str, Any], value: Any, spec: BuildSpec) -> None:
    found["entitlements"] = [*found.get("entitlements", ()), "security.insecure"]


def _entitlements(found: dict[str, Any], value: Any, spec: BuildSpec) -> None:
    for one in value:
        if one not in _ENTITLEMENTS:
            raise BuildFailed(
                f"cannot build {_what(spec)}: unknown entitlement '{one}'",
                hint=f"use {' or '.join(_ENTITLEMENTS)}",
            )
    found["entitlements"] = [*found.get("entitlements", ()), *value]


def _refused(reason: str, hint: str) -> Callable[[dict[str, Any], Any, BuildSpec], None]:
    def refuse(found: dict[str, Any], value: Any, spec: BuildSpec) -> None:
        raise Unsupported("build", f"cannot build {_what(spec)}: {reason}", hint=hint)

    return refuse


def _attestation(name: str) -> Callable[[dict[str, Any], Any, BuildSpec], None]:
    def check(found: dict[str, Any], value: Any, spec: BuildSpec) -> None:
        if str(value).lower() in ("false", "0", "disabled=true"):
            return
        raise Unsupported(
            f"build.{name}",
            f"cannot build {_what(spec)}: build.{name} is not supported by the built-in runtime",
            hint=f"set build.{name}: false, or use --backend docker",
        )

    return check


ATTRIBUTES: dict[str, Callable[[dict[str, Any], Any, BuildSpec], None]] = {
    "additional_contexts": _put("contexts", _mapping),
    "args": _put("args", _mapping),
    "cache_from": _put("cache_from", list),
    "cache_to": _put("cache_to", list),
    "context": _put("context", str),
    "dockerfile": _put("dockerfile", str),
    "dockerfile_inline": _put("inline", str),
    "entitlements": _entitlements,
    "extra_hosts": _hosts,
    "isolation": _refused("build.isolation is only supported by Windows containers", "remove it"),
    "labels": _put("labels", _mapping),
    "network": _network,
    "no_cache": _put("no_cache", bool),
    "no_cache_filter": _put("no_cache_stages", list),
    "platforms": _put("platforms", lambda value: [str(one) for one in value]),
    "privileged": _privileged,
    "provenance": _attestation("provenance"),
    "pull": _put("pull", bool),
    "sbom": _attestation("sbom"),
    "secrets": lambda found, value, spec: None,  # their sources are in the specification
    "shm_size": _put("shm_bytes", lambda value: parse_size_bytes(str(value))),
    "ssh": _put("ssh", _agents),
    "tags": _put("names", list),
    "target": _put("target", str),
    "ulimits": _put("limits", _limits),
}


# ------------------------------------------------------------------ progress


class _Telling:
    """What the builder tells, line by line as BuildKit's plain progress has it."""

    def __init__(self, report: Report | None, service: str, numbers: Iterator[int]) -> None:
        self._report, self._service, self._numbers = report, service, numbers
        self._own: dict[int, int] = {}

    def tell(self, news: News) -> None:
        if self._report is None:
            return
        if news.kind == "warning":
            self._report(Advance("", line=news.text, is_warning=True))
            return
        number = self._number(news.vertex.number)
        if news.kind == "begun":
            name = self._name(news.vertex.name)
            self._report(Advance("" if "internal]" in name else name, line=f"#{number} {name}"))
            return
        text = {
            "line": f"{news.seconds:.3f} {news.text}",
            "cached": "CACHED",
            "done": f"DONE {news.seconds:.1f}s",
            "failed": f"ERROR: {news.text}",
        }[news.kind]
        self._report(Advance("", line=f"#{number} {text}"))

    def _number(self, number: int) -> int:
        """Return the number of a step among those of all builds."""
        if number not in self._own:
            self._own[number] = next(self._numbers)
        return self._own[number]

    def _name(self, name: str) -> str:
        """Return a step's name with its service, as Compose shows it: ``[web build 2/4] RUN make``."""
        if not self._service:
            return name
        return f"[{self._service} {name[1:]}" if name.startswith("[") else f"[{self._service}] {name}"
