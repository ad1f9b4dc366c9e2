"""Building images: with BuildKit through ``docker buildx`` where that is installed, else with the engine's own builder.

`ATTRIBUTES` is the table for buildx: an attribute of ``build`` and the arguments that it becomes. The engine's own
builder (``POST /build``) can do what `_CLASSIC` has; what else a file asks for is refused by name, with the remedy.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from composer.backends.docker.images import every_login, follow
from composer.backends.docker.sdk import outgoing, send
from composer.engine.observed import Advance
from composer.errors import BackendError, BuildFailed, Unsupported
from composer.units import parse_size_bytes

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping

    from composer.backends.docker.endpoint import Endpoint
    from composer.backends.docker.sdk import Sdk
    from composer.engine.wanted import BuildSpec

    Report = Callable[[Advance], None]
    Environment = Mapping[str, str]

_TAIL_LINES = 15
_REMOTE = ("http://", "https://", "git://", "ssh://", "git@", "github.com/")


def build(sdk: Sdk, place: Endpoint, spec: BuildSpec, environment: Environment, report: Report | None) -> str:
    """Build an image on the engine; return its name or id, nothing where only outputs were wanted.

    Raises BuildFailed with the end of the builder's output as notes.
    """
    if has_buildx(environment):
        return _with_buildx(place, spec, environment, report)
    _classic(sdk, spec, environment, report)
    return spec.reference


# ------------------------------------------------------------------ BuildKit


def _each(flag: str) -> Callable[[Any], list[str]]:
    def arguments(value: Any) -> list[str]:
        return [part for one in _texts(value) for part in (flag, one)]

    return arguments


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [key if text is None else f"{key}={text}" for key, text in value.items()]
    return [value] if isinstance(value, str) else [str(one) for one in value]


def _flag(name: str) -> Callable[[Any], list[str]]:
    return lambda value: [name] if value else []


def _word(name: str) -> Callable[[Any], list[str]]:
    return lambda value: [f"{name}={str(value).lower() if isinstance(value, bool) else value}"]


def _ulimits(value: Any) -> list[str]:
    return [
        f"--ulimit={name}={limit['soft']}:{limit['hard']}"
        if isinstance(limit, dict)
        else f"--ulimit={name}={limit}"
        for name, limit in value.items()
    ]


def _nothing(value: Any) -> list[str]:
    return []  # read where the command is put together


ATTRIBUTES: dict[str, Callable[[Any], list[str]]] = {
    "additional_contexts": _each("--build-context"),
    "args": _each("--build-arg"),
    "cache_from": _each("--cache-from"),
    "cache_to": _each("--cache-to"),
    "context": _nothing,
    "dockerfile": _nothing,
    "dockerfile_inline": _nothing,
    "entitlements": _each("--allow"),
    "extra_hosts": _each("--add-host"),
    "labels": _each("--label"),
    "network": _word("--network"),
    "no_cache": _flag("--no-cache"),
    "no_cache_filter": _each("--no-cache-filter"),
    "platforms": lambda value: [f"--platform={','.join(value)}"] if value else [],
    "provenance": _word("--provenance"),
    "pull": _flag("--pull"),
    "sbom": _word("--sbom"),
    "secrets": _nothing,  # their sources arrive as files
    "shm_size": lambda value: [f"--shm-size={parse_size_bytes(str(value))}"],
    "ssh": _each("--ssh"),
    "tags": _each("--tag"),
    "target": _word("--target"),
    "ulimits": _ulimits,
    "privileged": lambda value: ["--allow", "security.insecure"] if value else [],
}
REFUSED = {"isolation": "only supported by Windows containers"}


def command(spec: BuildSpec, secrets: Mapping[str, str], id_file: str = "") -> list[str]:
    """Return the buildx command for a build; ``secrets`` has ``src=…`` or ``env=…`` for each id.

    The id of the image is written to ``id_file``.
    """
    wanted = spec.attributes
    found = ["docker", "buildx", "build", "--progress=plain"]
    if spec.only_checks:
        found.append("--call=check,format=json")
    else:
        found += [f"--output={output}" for output in spec.outputs] or ["--load"]
    found += [f"--tag={spec.reference}"] if spec.reference else []
    found += [f"--iidfile={id_file}"] if id_file else []
    for name in sorted(wanted):
        if name in REFUSED and wanted[name]:
            raise Unsupported(
                f"services.{spec.service}.build.{name}", f"build.{name}: {REFUSED[name]}", hint="remove it"
            )
        if name in ATTRIBUTES and wanted[name] is not None:
            found += ATTRIBUTES[name](wanted[name])
    if spec.platform and not wanted.get("platforms"):
        found.append(f"--platform={spec.platform}")
    found += [part for key, value in spec.labels.items() for part in ("--label", f"{key}={value}")]
    found += [part for id, source in secrets.items() for part in ("--secret", f"id={id},{source}")]
    found += [] if not spec.no_cache or "--no-cache" in found else ["--no-cache"]
    found += [] if not spec.pull or "--pull" in found else ["--pull"]
    return [*found, f"--file={_dockerfile(wanted)}", str(wanted.get("context") or ".")]


def _dockerfile(wanted: Mapping[str, Any]) -> str:
    """Return where the Dockerfile is: ``-`` is the standard input."""
    if wanted.get("dockerfile_inline"):
        return "-"
    context, name = str(wanted.get("context") or "."), str(wanted.get("dockerfile") or "Dockerfile")
    return name if context.startswith(_REMOTE) or os.path.isabs(name) else os.path.join(context, name)


def has_buildx(environment: Environment) -> bool:
    import subprocess

    try:
        found = subprocess.run(
            ["docker", "buildx", "version"],
            env=dict(environment),
            capture_output=True,
            timeout=20,
            check=False,
        )
    except OSError:
        return False
    return found.returncode == 0


def _with_buildx(place: Endpoint, spec: BuildSpec, environment: Environment, report: Report | None) -> str:
    import tempfile

    secrets, variables = _secrets(spec)
    own = {**environment, **variables}
    if not place.context:
        own["DOCKER_HOST"] = place.url
    with tempfile.TemporaryDirectory(prefix="composer-build-") as directory:
        # an image without a name is known by its id alone
        id_file = "" if spec.reference or spec.outputs or spec.only_checks else f"{directory}/id"
        run = _check if spec.only_checks else _run_buildx
        run(command(spec, secrets, id_file), spec, own, report)
        if id_file:
            with open(id_file, encoding="ascii") as file:
                return file.read().strip()
    return "" if spec.outputs or spec.only_checks else spec.reference


def _run_buildx(words: list[str], spec: BuildSpec, environment: Environment, report: Report | None) -> None:
    import subprocess

    inline = spec.attributes.get("dockerfile_inline")
    with subprocess.Popen(
        words,
        env=environment,
        stdin=subprocess.PIPE if inline else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            if process.stdin is not None:
                process.stdin.write(str(inline))
                process.stdin.close()
            tail = _read(process, report)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise _failed(spec, tail)


def _check(words: list[str], spec: BuildSpec, environment: Environment, report: Report | None) -> None:
    import subprocess

    from composer.backends.docker.building import checks

    inline = str(spec.attributes.get("dockerfile_inline") or "")
    done = subprocess.run(
        words, env=environment, input=inline, capture_output=True, text=True, errors="replace", check=False
    )
    try:
        checked = checks.read(done.stdout)
    except ValueError:
        lines = [line.rstrip() for line in done.stderr.splitlines() if line.strip()]
        raise _failed(spec, lines[-_TAIL_LINES:]) from None
    for line in checked.findings:
        if report is not None:
            report(Advance("", line=line, is_warning=True))
    if checked.error:
        raise BuildFailed(f"cannot build {_what(spec)}: {checked.error}", hint="correct the Dockerfile")


def _secrets(spec: BuildSpec) -> tuple[dict[str, str], dict[str, str]]:
    """Return the source of each secret, and the variables through which contents go: never on a command line."""
    sources, variables = {}, {}
    for index, file in enumerate(spec.secrets):
        if file.source is not None:
            sources[file.target] = f"src={file.source}"
        else:
            variables[f"COMPOSER_BUILD_SECRET_{index}"] = (file.content or b"").decode(
                errors="surrogateescape"
            )
            sources[file.target] = f"env=COMPOSER_BUILD_SECRET_{index}"
    return sources, variables


def _read(process: subprocess.Popen[str], report: Report | None) -> list[str]:
    """Tell each step as it begins (``#7 [2/3] RUN …``); return the last lines."""
    tail: list[str] = []
    for line in process.stdout or ():
        text = line.rstrip()
        if not text:
            continue
        tail = [*tail[1 - _TAIL_LINES :], text]
        _, _, step = text.partition(" ")
        begins = text.startswith("#") and step.startswith("[") and "internal]" not in step
        if report is not None:
            report(Advance(step if begins else "", line=text))
    return tail


def _what(spec: BuildSpec) -> str:
    image = f"image '{spec.reference}'" if spec.reference else "the image"
    return f"{image} of service '{spec.service}'" if spec.service else image


def _failed(spec: BuildSpec, tail: list[str]) -> BuildFailed:
    reasons = [line.partition("ERROR: ")[2] for line in tail if "ERROR: " in line]
    reason = reasons[-1] if reasons else tail[-1] if tail else "the builder returned no output"
    error = BuildFailed(
        f"cannot build {_what(spec)}: {reason.rstrip('.')}",
        hint="check the build output above; show each step with composer build",
    )
    for line in tail:
        error.add_note(f"  {line}")
    return error


# ------------------------------------------------------------------ the engine's own builder

_CLASSIC = frozenset(
    "args cache_from context dockerfile dockerfile_inline extra_hosts labels network no_cache platforms pull "
    "shm_size tags target".split()
)


def classic_query(spec: BuildSpec) -> dict[str, Any]:
    """Return the parameters of ``POST /build``. Raises Unsupported for what only BuildKit can do."""
    if spec.only_checks:
        raise Unsupported(
            f"services.{spec.service}.build",
            f"cannot check the Dockerfile of {_what(spec)}: --check is not supported by the classic builder",
            hint="install docker buildx, or use the namespace backend: it needs none",
        )
    wanted = {key: value for key, value in spec.attributes.items() if value not in (None, "", [], {}, False)}
    beyond = sorted(wanted.keys() - _CLASSIC)
    if beyond or len(wanted.get("platforms") or ()) > 1:
        what = ", ".join(f"build.{name}" for name in beyond) or "more than one platform (build.platforms)"
        raise Unsupported(
            f"services.{spec.service}.build",
            f"cannot build image '{spec.reference}': {what} is not supported by the classic builder",
            hint="install docker buildx to build with BuildKit",
        )
    return {
        "t": (spec.reference, *(wanted.get("tags") or ())),
        "buildargs": dict(entry.partition("=")[::2] for entry in _texts(wanted.get("args") or {})),
        "labels": {**(wanted.get("labels") or {}), **spec.labels},
        "target": wanted.get("target"),
        "cachefrom": list(wanted["cache_from"]) if wanted.get("cache_from") else None,
        "extrahosts": ",".join(h.replace("=", ":", 1) for h in wanted.get("extra_hosts") or ()) or None,
        "networkmode": wanted.get("network"),
        "nocache": bool(wanted.get("no_cache") or spec.no_cache),
        "pull": bool(wanted.get("pull") or spec.pull),
        "shmsize": parse_size_bytes(str(wanted["shm_size"])) if wanted.get("shm_size") else None,
        "platform": next(iter(wanted.get("platforms") or ()), spec.platform),
        "rm": True,
        "forcerm": True,
    }


def _classic(sdk: Sdk, spec: BuildSpec, environment: Environment, report: Report | None) -> None:
    query = classic_query(spec)
    context = str(spec.attributes.get("context") or ".")
    tail: list[str] = []
    logins, complaint = every_login(environment)

    def take(entry: Mapping[str, Any]) -> None:
        for line in str(entry.get("stream") or "").splitlines():
            if line.strip():
                tail.append(line)
                if report is not None:
                    report(Advance(line if line.startswith("Step ") else "", line=line))

    try:
        with sdk.call(patient=True) as api:
            body: Iterator[bytes] | None = None
            if context.startswith(_REMOTE):
                query.update(remote=context, dockerfile=spec.attributes.get("dockerfile"))
            else:
                query["dockerfile"], body = _context(spec, context)
            # the SDK's build has one tag, and the logins of this process alone
            answer = send(
                api,
                "post",
                "/build",
                params=parameters(query),
                data=None if body is None else outgoing(body),
                headers={"Content-Type": "application/x-tar", **logins},
                stream=True,
            )
            follow(answer, take)
    except BuildFailed:
        raise
    except BackendError as error:
        raise _failed(spec, [*tail[-_TAIL_LINES:], *filter(None, [complaint]), f"ERROR: {error}"]) from error


def parameters(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as the engine reads them: one for each of a tuple, JSON for what has parts, 1 for yes."""
    found: dict[str, Any] = {}
    for key, value in query.items():
        if isinstance(value, bool):
            found[key] = int(value)
        elif value is not None:
            found[key] = json.dumps(value) if isinstance(value, dict | list) else value
    return found


def _context(spec: BuildSpec, context: str) -> tuple[str, Iterator[bytes]]:
    """Return the Dockerfile's name and the context as a tar, without what .dockerignore names. Within `Sdk.call`."""
    from docker.utils.build import create_archive, exclude_paths

    name = str(spec.attributes.get("dockerfile") or "Dockerfile")
    extra: list[tuple[str, str]] = []
    inline = spec.attributes.get("dockerfile_inline")
    path = os.path.join(context, name)
    try:
        if inline or os.path.relpath(path, context).startswith(".."):
            name = f".composer.{os.urandom(6).hex()}.Dockerfile"
            extra = [(name, str(inline) if inline else _text(path))]
        ignore = f"{context}/.dockerignore"
        patterns = _text(ignore).splitlines() if os.path.exists(ignore) else []
        kept = [line.strip() for line in patterns if line.strip() and not line.startswith("#")]
        files = sorted(exclude_paths(context, kept, dockerfile=name))
        archive = create_archive(context, files=files, extra_files=extra)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BuildFailed(
            f"cannot read the build context '{context}' of service '{spec.service}': {reason}",
            hint="check build.context and build.dockerfile",
        ) from error
    return os.path.relpath(name, context) if os.path.isabs(name) else name, iter(
        lambda: archive.read(1 << 20), b""
    )


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
