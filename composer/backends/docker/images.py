"""Images on the engine: pulled, pushed, imported, loaded and saved, each as one stream of the Docker SDK's.

Logins are those of Docker's config.json and its credential helpers, found as for the built-in runtime.
"""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from composer import references
from composer.backends.docker import failures
from composer.backends.docker.endpoint import read_config
from composer.backends.docker.sdk import outgoing, send
from composer.engine.observed import Advance
from composer.errors import BackendError, ImageError, PullFailed, PushFailed
from composer.registry import credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from requests import Response

    from composer.backends.docker.sdk import Sdk
    from composer.engine.wanted import CommitSpec

    Report = Callable[[Advance], None]

_PIECE_BYTES = 1 << 20


def split_reference(reference: str) -> tuple[str, str]:
    """Return repository and tag or digest, as the engine's parameters want them. Raises ImageError."""
    parsed = references.parse(reference)
    return parsed.familiar_name(), parsed.digest or parsed.tag


def pull(sdk: Sdk, reference: str, environment: Mapping[str, str], report: Report | None) -> None:
    """Pull an image. Raises PullFailed."""
    repository, tag = split_reference(reference)
    mine = login(reference, environment)
    try:
        with sdk.call(patient=True) as api:
            query = {"fromImage": repository, "tag": tag}
            answer = send(api, "post", "/images/create", params=query, headers=mine.header(), stream=True)
            follow(answer, Layers(report, "extracting").take)
    except BackendError as error:
        why = str(error) if isinstance(error, PullFailed) else f"cannot pull image '{reference}': {error}"
        raise PullFailed(why, hint=mine.remedy(error, _PULL_HINT)) from error


def resolve(sdk: Sdk, reference: str, environment: Mapping[str, str]) -> str:
    """Return the digest that the registry has for a reference now. Raises PullFailed."""
    mine = login(reference, environment)
    try:
        with sdk.call() as api:
            found = api.inspect_distribution(reference, mine.fields)  # type: ignore[no-untyped-call]
    except BackendError as error:
        hint = mine.remedy(error, _PULL_HINT)
        raise PullFailed(f"cannot resolve image '{reference}': {error}", hint=hint) from error
    try:
        return str(found["Descriptor"]["digest"])
    except (KeyError, TypeError) as error:
        raise PullFailed(f"cannot resolve image '{reference}': the engine returned no digest") from error


_PULL_HINT = "check the image name and tag, and that the engine can reach the registry"


def push(sdk: Sdk, reference: str, environment: Mapping[str, str], report: Report | None) -> str:
    """Push an image to the registry that its name says; return its digest there. Raises PushFailed."""
    repository, tag = split_reference(reference)
    mine = login(reference, environment)
    try:
        with sdk.call(patient=True) as api:
            answer = send(
                api,
                "post",
                "/images/{0}/push",
                repository,
                params={"tag": tag},
                headers=mine.header(),
                stream=True,
            )
            said = follow(answer, Layers(report, "pushed").take)
    except BackendError as error:
        raise PushFailed(
            f"cannot push image '{reference}': {error}",
            hint=mine.remedy(
                error,
                "check the image name and tag; run composer login if the registry requires authentication",
            ),
        ) from error
    found = (entry["aux"].get("Digest") for entry in said if isinstance(entry.get("aux"), dict))
    return str(next((digest for digest in found if digest), ""))


class Layers:
    """How far an image's layers are, whenever they change; ``word`` is what happens once all are there."""

    def __init__(self, report: Report | None, word: str) -> None:
        self._report, self._word = report, word
        self._sizes: dict[str, tuple[int, int]] = {}
        self._done: set[str] = set()
        self._told: Advance | None = None

    def take(self, entry: Mapping[str, Any]) -> None:
        layer, status = str(entry.get("id") or ""), str(entry.get("status") or "")
        detail = entry.get("progressDetail") or {}
        if layer and detail.get("total") and status in ("Downloading", "Pushing"):
            self._sizes[layer] = (int(detail.get("current") or 0), int(detail["total"]))
        elif layer and status in ("Pull complete", "Already exists", "Pushed", "Layer already exists"):
            self._done.add(layer)
            if layer in self._sizes:
                self._sizes[layer] = (self._sizes[layer][1],) * 2
        elif layer and status in ("Pulling fs layer", "Waiting", "Preparing"):
            self._sizes.setdefault(layer, (0, 0))
        else:
            return
        self._tell()

    def _tell(self) -> None:
        if self._report is None:
            return
        count = len(self._done | self._sizes.keys())
        parts = tuple(sizes for sizes in self._sizes.values() if sizes[1])
        current, total = (sum(sizes[side] for sizes in parts) for side in (0, 1))
        if total:
            found = Advance(self._word, current, total, "bytes", parts)
        else:
            found = Advance(self._word, len(self._done), count, "layers")
        if found != self._told:
            self._told = found
            self._report(found)


def follow(answer: Response, take: Callable[[Mapping[str, Any]], None] | None) -> list[Mapping[str, Any]]:
    """Read the engine's messages to their end; return those that carry a result. Raises what they report.

    The SDK's own pull, push and load return such a stream without its answer: left early, by an error or Ctrl-C, its
    connection would stay open. So these go out with `send`, and the answer is closed here. Within `Sdk.call`.
    """
    kept = []
    with answer:
        for line in answer.iter_lines():
            entry = json.loads(line) if line.strip() else {}
            if entry.get("error"):
                raise failures.said(str(entry["error"]))
            if take is not None:
                take(entry)
            if "id" not in entry:
                kept.append(entry)
    return kept


class Login(NamedTuple):
    """The user's login for an image's registry, as headers of the engine's API. ``complaint``: why there is none."""

    fields: dict[str, str]
    complaint: str = ""

    def header(self) -> dict[str, str]:
        """One that is empty goes over too: a push wants it."""
        return {"X-Registry-Auth": _encoded(self.fields)}

    def remedy(self, error: BackendError, otherwise: str) -> str:
        """Return the hint for a refusal: where a login is what is missing, why there is none."""
        if self.complaint and (error.hint is None or "composer login" in error.hint):
            return self.complaint
        return error.hint or otherwise


def login(reference: str, environment: Mapping[str, str]) -> Login:
    """Return the user's login for an image's registry. Raises ImageError for what is no reference."""
    host = references.parse(reference).host
    found = credentials.find(read_config(environment), environment, host)
    return Login(found.document(credentials.server_of(host)), found.complaint)


def every_login(environment: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the header with every login that Docker has, for base images of any registry, and why some lack."""
    found, complaint = credentials.every(read_config(environment), environment)
    if not found:
        return {}, complaint
    fields = {server: one.document(server) for server, one in found.items()}
    return {"X-Registry-Config": _encoded(fields)}, complaint


def _encoded(fields: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode("ascii")


# ------------------------------------------------------------------ files


def import_rootfs(sdk: Sdk, path: str, reference: str, config: Mapping[str, Any]) -> None:
    """Make an image of one layer from a tarball. What its configuration says goes over as Dockerfile instructions.

    Raises ImageError where the tarball cannot be read.
    """
    repository, tag = split_reference(reference)
    query = {"fromSrc": "-", "repo": repository, "tag": tag, "changes": _changes(config)}
    _upload(sdk, "/images/create", query, _pieces(path), path)


def commit(sdk: Sdk, id: str, spec: CommitSpec) -> str:
    """Make an image of a container and return its id."""
    repository, tag = split_reference(spec.reference) if spec.reference else (None, None)
    query = {
        "container": id,
        "repo": repository,
        "tag": tag,
        "author": spec.author or None,
        "comment": spec.message or None,
        "pause": int(spec.pause),
        "changes": _changes(spec.changes),
    }
    with sdk.call(patient=True) as api:
        # the SDK's commit sends a configuration, and were it empty; without one the container's is kept whole
        return str(send(api, "post", "/commit", params=query).json()["Id"])


def _changes(config: Mapping[str, Any]) -> list[str] | None:
    """Return an image configuration as Dockerfile instructions."""
    found = [
        f"{word.upper()} {json.dumps(list(config[word]))}"
        for word in ("Cmd", "Entrypoint")
        if config.get(word)
    ]
    for entry in config.get("Env") or ():
        key, _, value = entry.partition("=")
        found.append(f"ENV {key}={json.dumps(value)}")
    for word, instruction in (("WorkingDir", "WORKDIR"), ("User", "USER"), ("StopSignal", "STOPSIGNAL")):
        if config.get(word):
            found.append(f"{instruction} {config[word]}")
    found += [f"VOLUME {json.dumps([target])}" for target in config.get("Volumes") or ()]
    found += [f"EXPOSE {port}" for port in config.get("ExposedPorts") or ()]
    if (config.get("Healthcheck") or {}).get("Test"):
        found.append(_healthcheck(config["Healthcheck"]))
    found += [f"LABEL {json.dumps(k)}={json.dumps(v)}" for k, v in (config.get("Labels") or {}).items()]
    return found or None


def _healthcheck(check: Mapping[str, Any]) -> str:
    """Return a health check of an image configuration, whose times are nanoseconds, as an instruction."""
    kind, *command = check["Test"]
    if kind == "NONE":
        return "HEALTHCHECK NONE"
    times = (("interval", "Interval"), ("timeout", "Timeout"), ("start-period", "StartPeriod"))
    flags = [f"--{flag}={check[key]}ns" for flag, key in times if check.get(key)]
    flags += [f"--retries={check['Retries']}"] if check.get("Retries") else []
    shown = json.dumps(command) if kind == "CMD" else " ".join(command)
    return " ".join(["HEALTHCHECK", *flags, "CMD", shown])


def _upload(
    sdk: Sdk, target: str, query: Mapping[str, Any], body: Iterable[bytes], path: str
) -> list[Mapping[str, Any]]:
    """Send what is made of a file; return the engine's messages. Raises ImageError where the file cannot be read."""
    more = {"params": query, "data": outgoing(body), "headers": {"Content-Type": "application/x-tar"}}
    try:
        with sdk.call(patient=True) as api:
            return follow(send(api, "post", target, stream=True, **more), None)
    except OSError as error:
        raise ImageError(f"cannot read '{path}': {(error.strerror or '').lower()}") from error


def _pieces(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def load(sdk: Sdk, path: str) -> list[str]:
    """Load an archive, or a directory that is an OCI layout; return the names or ids of its images."""
    body = _directory(path) if os.path.isdir(path) else _pieces(path)
    names = []
    for entry in _upload(sdk, "/images/load", {"quiet": 1}, body, path):
        lines = str(entry.get("stream") or "").splitlines()
        names += [line.partition(": ")[2].strip() for line in lines if line.startswith("Loaded image")]
    if not names:
        raise ImageError(f"'{path}' does not contain an image that the engine can load")
    return names


def _directory(path: str) -> Iterator[bytes]:
    import tarfile
    import tempfile

    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.add(path, arcname=".")
        file.seek(0)
        while piece := file.read(_PIECE_BYTES):
            yield piece


def save(sdk: Sdk, references: Sequence[str], path: str) -> None:
    """Write images to one tar, under another name until it is whole."""
    from composer.archives import whole_file

    try:
        with sdk.call(patient=True) as api:
            # the SDK's get_image takes one name
            answer = send(api, "get", "/images/get", params={"names": list(references)}, stream=True)
            with answer, whole_file(path) as file:
                for piece in answer.iter_content(_PIECE_BYTES):
                    file.write(piece)
    except OSError as error:
        raise ImageError(f"cannot write '{path}': {(error.strerror or '').lower()}") from error
