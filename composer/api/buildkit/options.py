"""What a client asks of the Dockerfile frontend, as the builder's request. What is not known is an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from composer import values
from composer.errors import BuildFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Found = dict[str, Any]

_IGNORED = frozenset(
    (
        # what only says from where a client comes
        "vcs:source",
        "vcs:revision",
        "vcs:localdir:context",
        "vcs:localdir:dockerfile",
        "contextkey",
        "build-arg:BUILDKIT_SYNTAX",
        "cmdline",
        "source",
        "frontend.caps",
        "multi-platform",
        "local-sessionid",
        "context-sessionid",
        "dockerfile-sessionid",
    )
)
_IGNORED_PREFIXES = ("vcs:", "local-sessionid:", "input-metadata:")
_NETWORKS = {"": "", "default": "", "sandbox": "", "host": "host", "none": "none"}


class Options:
    """A build as its client asked for it. ``fields`` are those of a request."""

    def __init__(self, given: Mapping[str, str]) -> None:
        """Raises BuildFailed, which names the option."""
        self.fields: Found = {"args": {}, "labels": {}, "contexts": {}}
        self.local_contexts: dict[str, str] = {}
        """Named contexts that are directories of the client's, with the names that it has for them."""
        self.context, self.filename = "", "Dockerfile"
        self.context_name, self.dockerfile_name = "context", "dockerfile"
        self.subrequest = ""
        self.dockerfile_key = ""
        """Set where the Dockerfile is the client's, and the context is elsewhere."""
        for name in sorted(given):
            self._take(name, given[name])

    def _take(self, name: str, value: str) -> None:
        handler = _TABLE.get(name)
        if handler is not None:
            handler(self, value)
            return
        prefix, colon, rest = name.partition(":")
        of_prefix = _PREFIXES.get(prefix) if colon else None
        if of_prefix is not None and name not in _IGNORED:
            of_prefix(self, rest, value)
        elif name not in _IGNORED and not name.startswith(_IGNORED_PREFIXES):
            raise BuildFailed(
                f"the build option '{name}' is not supported",
                hint="build without it, or with DOCKER_BUILDKIT=0 where the classic builder has it",
            )


def _put(name: str, convert: Callable[[str], Any] = str) -> Callable[[Options, str], None]:
    def put(options: Options, value: str) -> None:
        options.fields[name] = convert(value)

    return put


def _attribute(name: str) -> Callable[[Options, str], None]:
    def put(options: Options, value: str) -> None:
        setattr(options, name, value)

    return put


def _no_cache(options: Options, value: str) -> None:
    if value:
        options.fields["no_cache_stages"] = _listed(value)
    else:
        options.fields["no_cache"] = True


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _mode(options: Options, value: str) -> None:
    if value not in ("", "default", "local", "pull"):
        raise BuildFailed(f"image-resolve-mode '{value}' is unknown", hint="use default, pull or local")
    options.fields["pull"] = value == "pull"


def _network(options: Options, value: str) -> None:
    if value not in _NETWORKS:
        raise BuildFailed(f"a build cannot use network '{value}'", hint="use default, host or none")
    options.fields["network"] = _NETWORKS[value]


def _hosts(options: Options, value: str) -> None:
    pairs = values.host_pairs(_listed(value))
    for name, address in pairs:
        problem = values.host_problem(name, address)
        if problem is not None:
            raise BuildFailed(problem, hint=values.HOST_HINT)
    options.fields["extra_hosts"] = pairs


def _number(name: str) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not value.isdecimal() or len(value) > 18:
            raise BuildFailed(f"the build option {name}={value[:60]} is no number")
        return int(value)

    return read


def _limits(value: str) -> dict[str, tuple[int, int]]:
    """Read ``nofile=1024:2048,nproc=10``."""
    found = {}
    for text in _listed(value):
        name, _, numbers = text.partition("=")
        soft, _, hard = numbers.partition(":")
        try:
            found[name] = (int(soft), int(hard or soft))
        except ValueError:
            raise BuildFailed(f"invalid ulimit '{text}'", hint="write NAME=SOFT[:HARD]") from None
    return found


def _cache_imports(value: str) -> list[str]:
    try:
        found = json.loads(value)
        return [cache_text(str(one["Type"]), one.get("Attrs") or {}) for one in found]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BuildFailed("the build option cache-imports is not what it must be") from None


def cache_text(kind: str, attributes: Mapping[str, str]) -> str:
    """Return where a cache is, as the builder has it: ``type=registry,ref=NAME``."""
    return ",".join((f"type={kind}", *(f"{key}={value}" for key, value in sorted(attributes.items()))))


def _argument(options: Options, name: str, value: str) -> None:
    options.fields["args"][name] = value
    if name == "SOURCE_DATE_EPOCH" and value:
        options.fields["source_date_epoch"] = _number(name)(value)


def _label(options: Options, name: str, value: str) -> None:
    options.fields["labels"][name] = value


def _named_context(options: Options, name: str, value: str) -> None:
    kind, _, rest = value.partition(":")
    if kind == "local":
        options.local_contexts[name] = rest
    elif kind in ("input", "target", "oci-layout"):
        raise BuildFailed(
            f"the named context '{name}' is {kind}:, which is not supported",
            hint="build what it is on its own, tag it, and use docker-image://TAG",
        )
    else:
        options.fields["contexts"][name] = value


def _attestation(options: Options, name: str, value: str) -> None:
    fields = dict(part.partition("=")[::2] for part in value.split(","))
    # in an image of one platform, without an index, BuildKit's own engine leaves the least provenance out as well
    is_least = name == "provenance" and (fields.get("inline-only") == "true" or "mode" not in fields)
    if fields.get("disabled") != "true" and not is_least:
        raise BuildFailed(
            f"attestations are not supported: {name}",
            hint="build with --provenance=false --sbom=false",
        )


def _refused(what: str, hint: str) -> Callable[[Options, str], None]:
    def refuse(options: Options, value: str) -> None:
        if value:
            raise BuildFailed(f"{what} is not supported", hint=hint)

    return refuse


_TABLE: dict[str, Callable[[Options, str], None]] = {
    "add-hosts": _hosts,
    "cache-from": _put("cache_from", lambda value: [f"type=registry,ref={one}" for one in _listed(value)]),
    "cache-imports": _put("cache_from", _cache_imports),
    "cgroup-parent": _refused("cgroup-parent", "remove --cgroup-parent"),
    "context": _attribute("context"),
    "contextsubdir": _refused("contextsubdir", "name the directory in the URL of the context"),
    "dockerfilekey": _attribute("dockerfile_key"),
    "filename": _attribute("filename"),
    "force-network-mode": _network,
    "hostname": _refused("hostname", "remove it"),
    "image-resolve-mode": _mode,
    "no-cache": _no_cache,
    "platform": _put("platforms", _listed),
    "requestid": _attribute("subrequest"),
    "shm-size": _put("shm_bytes", _number("shm-size")),
    "target": _put("target"),
    "ulimit": _put("limits", _limits),
    "contextname": _attribute("context_name"),
    "dockerfilename": _attribute("dockerfile_name"),
}
_PREFIXES: dict[str, Callable[[Options, str, str], None]] = {
    "attest": _attestation,
    "build-arg": _argument,
    "context": _named_context,
    "label": _label,
}


def hosts_of(names: Iterable[str]) -> list[str]:
    """Return the registries of images, each once."""
    from composer import errors, references

    found: dict[str, None] = {}
    for name in names:
        try:
            found[references.parse(name).host] = None
        except errors.ImageError:
            continue  # the builder says what is wrong with it
    return list(found)
