"""Images on the engine: pulled, pushed, imported, loaded and saved, each as one stream.

Credentials are Docker's own: config.json and its credential helpers, read by the Docker SDK, whose import is paid
only where there is a registry to log in to.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from composer.backends.docker import failures
from composer.backends.docker.http import Broken
from composer.errors import BackendError, ImageError, NotFound, PullFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from composer.backends.docker.client import Client
    from composer.backends.docker.http import Response
    from composer.engine.facts import CommitSpec

    Report = Callable[[str], None]

_PIECE_BYTES = 1 << 20


def split_reference(reference: str) -> tuple[str, str]:
    """Return repository and tag or digest, as the engine's parameters want them."""
    if "@" in reference:
        repository, _, digest = reference.partition("@")
        return repository, digest
    head, colon, tag = reference.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (reference, "latest")


def pull(client: Client, reference: str, environment: Mapping[str, str], report: Report | None) -> None:
    """Pull an image. Raises PullFailed."""
    repository, tag = split_reference(reference)
    query = {"fromImage": repository, "tag": tag}
    headers = authorization(repository, environment)
    try:
        response = client.open("POST", "/images/create", query, headers=headers)
        follow(client, response, Layers(report).take)
    except PullFailed:
        raise
    except (NotFound, BackendError) as error:
        raise PullFailed(
            f"cannot pull image '{reference}': {error}", hint=error.hint or _PULL_HINT
        ) from error


def resolve(client: Client, reference: str, environment: Mapping[str, str]) -> str:
    """Return the digest that the registry has for a reference now. Raises PullFailed."""
    repository, _ = split_reference(reference)
    headers = authorization(repository, environment)
    try:
        response = client.open("GET", f"/distribution/{reference}/json", headers=headers)
        return str(json.loads(response.read())["Descriptor"]["digest"])
    except Broken as error:
        raise failures.lost(client.endpoint.url) from error
    except (BackendError, KeyError) as error:
        hint = getattr(error, "hint", None) or _PULL_HINT
        raise PullFailed(f"cannot resolve image '{reference}': {error}", hint=hint) from error


_PULL_HINT = "check the image's name and tag, and that the engine can reach the registry"


def push(client: Client, reference: str, environment: Mapping[str, str], report: Report | None) -> None:
    """Push an image to the registry that its name says. Raises ImageError."""
    repository, tag = split_reference(reference)
    headers = authorization(repository, environment) or {"X-Registry-Auth": "e30="}  # {} in base 64
    try:
        response = client.open("POST", f"/images/{repository}/push", {"tag": tag}, headers=headers)
        follow(client, response, Layers(report).take)
    except BackendError as error:
        raise ImageError(
            f"cannot push image '{reference}': {error}",
            hint=error.hint or "check the image's name, and log in: docker login",
        ) from error


class Layers:
    """The progress of an image's layers, summed up in a few words whenever they change."""

    def __init__(self, report: Report | None) -> None:
        self._report = report
        self._sizes: dict[str, tuple[int, int]] = {}
        self._done: set[str] = set()
        self._told = ""

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
        current, total = (sum(sizes[side] for sizes in self._sizes.values()) for side in (0, 1))
        text = f"{len(self._done)}/{count} layers"
        if total:
            text += f", {current / 1e6:.1f} of {total / 1e6:.1f} MB"
        if text != self._told:
            self._told = text
            self._report(text)


def follow(
    client: Client, response: Response, take: Callable[[Mapping[str, Any]], None] | None
) -> list[dict[str, Any]]:
    """Read a stream of JSON messages to its end; return those that carry a result. Raises what it reports."""
    kept = []
    try:
        for line in response.lines():
            if not line.strip():
                continue
            entry = json.loads(line)
            if entry.get("error"):
                raise failures.said(str(entry["error"]))
            if take is not None:
                take(entry)
            if "id" not in entry:
                kept.append(entry)
    except Broken as error:
        raise failures.lost(client.endpoint.url) from error
    finally:
        response.close()
    return kept


def authorization(repository: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the header with the user's credentials for an image's registry; none where Docker has none."""
    from composer.backends.docker.endpoint import config_directory, read_config

    config = read_config(environment)
    if not (config.get("auths") or config.get("credsStore") or config.get("credHelpers")):
        return {}
    import docker.auth
    import docker.errors

    try:
        loaded = docker.auth.load_config(
            f"{config_directory(environment)}/config.json", credstore_env=dict(environment)
        )
        registry, _ = docker.auth.resolve_repository_name(repository)
        found = docker.auth.resolve_authconfig(loaded, registry)
        return {"X-Registry-Auth": docker.auth.encode_header(found).decode()} if found else {}
    except docker.errors.DockerException as error:
        raise failures.foreign(error) from error


def authorizations(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the header with every credential that Docker has, for base images of any registry."""
    from composer.backends.docker.endpoint import config_directory, read_config

    if not any(read_config(environment).get(key) for key in ("auths", "credsStore", "credHelpers")):
        return {}
    import docker.auth
    import docker.errors

    try:
        loaded = docker.auth.load_config(
            f"{config_directory(environment)}/config.json", credstore_env=dict(environment)
        )
        credentials = loaded.get_all_credentials()  # type: ignore[no-untyped-call]
        return {"X-Registry-Config": docker.auth.encode_header(credentials).decode()}
    except docker.errors.DockerException as error:
        raise failures.foreign(error) from error


# ------------------------------------------------------------------ files


def import_rootfs(client: Client, path: str, reference: str, config: Mapping[str, Any]) -> None:
    """Make an image of one layer from a tarball, and give it its configuration by committing a container of it.

    The engine's import takes a few Dockerfile instructions only, which cannot say all of a configuration.
    """
    repository, tag = split_reference(reference)
    query = {"fromSrc": "-", "repo": repository, "tag": tag, "changes": _changes(config)}
    try:
        response = client.open("POST", "/images/create", query, _pieces(path))
        follow(client, response, None)
    except OSError as error:
        raise ImageError(f"cannot read '{path}': {(error.strerror or '').lower()}") from error


def commit(client: Client, id: str, spec: CommitSpec) -> str:
    """Make an image of a container and return its id."""
    repository, tag = split_reference(spec.reference) if spec.reference else (None, None)
    query = {
        "container": id,
        "repo": repository,
        "tag": tag,
        "author": spec.author or None,
        "comment": spec.message or None,
        "pause": spec.pause,
        "changes": _changes(spec.changes),
    }
    return str(client.call("POST", "/commit", query, timeout_s=None)["Id"])


def _changes(config: Mapping[str, Any]) -> tuple[str, ...] | None:
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
    return tuple(found) or None


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


def _pieces(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def load(client: Client, path: str) -> list[str]:
    """Load an archive, or a directory that is an OCI layout; return the names or ids of its images."""
    try:
        body: Iterable[bytes] = _directory(path) if os.path.isdir(path) else _pieces(path)
        kept = follow(client, client.open("POST", "/images/load", {"quiet": True}, body), None)
    except OSError as error:
        raise ImageError(f"cannot read '{path}': {(error.strerror or '').lower()}") from error
    names = []
    for entry in kept:
        lines = str(entry.get("stream") or "").splitlines()
        names += [line.partition(": ")[2].strip() for line in lines if line.startswith("Loaded image")]
    if not names:
        raise ImageError(f"'{path}' has no image that the engine can load")
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


def save(client: Client, references: Sequence[str], path: str) -> None:
    """Write images to one tar, under another name until it is whole."""
    from composer.archives import whole_file

    response = client.open("GET", "/images/get", {"names": tuple(references)})
    try:
        with whole_file(path) as file:
            while piece := response.read_some():
                file.write(piece)
    except Broken as error:
        raise failures.lost(client.endpoint.url) from error
    except OSError as error:
        raise ImageError(f"cannot write '{path}': {(error.strerror or '').lower()}") from error
    finally:
        response.close()
