"""Images brought from registries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import errors, references
from composer.api.http.problems import Problem
from composer.api.images import finding, registries, streams, telling
from composer.api.images.progress import Pulling
from composer.registry.failures import AccessDenied, NotThere

if TYPE_CHECKING:
    from composer.api.http.call import Call
    from composer.api.images.streams import Lines
    from composer.parallel import Stop
    from composer.references import Reference
    from composer.runtime.engine.images import Images
    from composer.runtime.images import Image


def pull(call: Call) -> None:
    """Pull an image, or all tags of a repository where no tag is said."""
    query = call.query
    wanted = _wanted(query.text("fromImage"), query.text("tag"))
    is_whole = not query.text("tag") and not _has_tag(query.text("fromImage"))
    platform = finding.normal(query.text("platform"))
    environment = registries.environment_for(call, wanted.host)

    def work(lines: Lines, stop: Stop) -> None:
        with registries.images(call.world, environment) as images, stop.calling(images.abort):
            every = _tags(images, wanted) if is_whole else [wanted]
            told = wanted.familiar_name() if is_whole else wanted.familiar()
            is_new = False
            for one in every:
                found, is_newer = _pull(call, images, one, platform, lines, stop)
                is_new |= is_newer
            word = "Downloaded newer image for" if is_new else "Image is up to date for"
            lines.write({"status": f"Status: {word} {told}"})
            if platform and found.platform != platform:
                lines.write(
                    {
                        "status": f"WARNING: image with reference {told} was found but its platform "
                        f"({found.platform}) does not match the specified platform ({platform})"
                    }
                )

    streams.run(call, work, lambda error: said(error, wanted))


def _wanted(name: str, tag: str) -> Reference:
    if not name:
        raise Problem(400, "invalid reference format: fromImage is missing")
    parsed = finding.reference(name)
    if tag.startswith("sha256:"):
        return finding.reference(f"{references.split(name).name}@{tag}")
    if tag and not parsed.digest:
        return finding.reference(finding.tagged(name, tag))
    return parsed


def _has_tag(name: str) -> bool:
    parts = references.split(name)
    return parts.tag is not None or parts.digest is not None


def _tags(images: Images, wanted: Reference) -> list[Reference]:
    found = [wanted._replace(tag=tag) for tag in sorted(images.tags(wanted))]
    if not found:
        raise NotThere(f"no tags of {wanted.familiar_name()} on {wanted.host}")
    return found


def _pull(
    call: Call, images: Images, wanted: Reference, platform: str, lines: Lines, stop: Stop
) -> tuple[Image, bool]:
    """Pull one image; return it, and whether it is another one than before."""

    def begin() -> None:
        lines.write({"status": f"Pulling from {wanted.path}", "id": wanted.tag or wanted.familiar()})

    def check() -> None:
        if stop.is_set():
            raise errors.Cancelled("the client has gone")

    name = wanted.familiar()
    before = call.world.core.store.find(name)
    watcher = Pulling(lines.write, begin, check)
    found = images.pull(name, platform=platform, watcher=watcher)
    if not watcher.is_new:
        begin()
    digest = wanted.digest or _digest(call, wanted)
    if digest:
        lines.write({"status": f"Digest: {digest}"})
    is_new = before is None or before.id != found.id
    if is_new:
        telling.event(call.world, "pull", name, name)
    return found, is_new


def _digest(call: Call, wanted: Reference) -> str:
    """Return what the registry called the image that a name stands for now."""
    found = call.world.core.store.find(wanted.familiar())
    prefix = f"{wanted.familiar_name()}@"
    digests = [one for one in (found.digests if found is not None else ()) if one.startswith(prefix)]
    return digests[0].removeprefix(prefix) if digests else ""


def said(error: Exception, wanted: Reference) -> Exception:
    """Return an error of a registry in Docker's words, as far as clients look for them."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__
    if any(isinstance(one, NotThere) for one in causes):
        return Problem(404, f"manifest for {wanted.familiar()} not found: manifest unknown: manifest unknown")
    if isinstance(error, AccessDenied):
        return Problem(404, str(error))
    if isinstance(error, errors.PullFailed):
        hint = f" ({error.hint})" if error.hint else ""
        return Problem(500, f"{error}{hint}")
    return error


# ------------------------------------------------------------------ what a registry has


def distribution(call: Call) -> tuple[int, Any]:
    name = call.parameters["name"]
    wanted = finding.reference(name)
    environment = registries.environment_for(call, wanted.host)
    with registries.images(call.world, environment) as images:
        try:
            return 200, _described(images, wanted)
        except NotThere as error:
            raise Problem(404, f"manifest unknown: {error}") from None
        except AccessDenied as error:
            raise Problem(401, str(error)) from None
        except errors.PullFailed as error:
            raise said(error, wanted) from None


def _described(images: Images, wanted: Reference) -> dict[str, Any]:
    from composer.runtime.images import manifests

    found = images.manifest(wanted)
    document = manifests.mapping(manifests.parsed(found.data, "its manifest"), "its manifest")
    descriptor = {"mediaType": found.media_type, "digest": found.digest, "size": len(found.data)}
    platforms: list[dict[str, Any]] | None = None
    if manifests.is_index(document):
        listed = manifests.list_of_mappings(document.get("manifests"), "its index")
        platforms = [one["platform"] for one in listed if isinstance(one.get("platform"), dict)]
    elif found.media_type.startswith("application/vnd.docker."):
        config = manifests.descriptor(document.get("config"))
        whole = manifests.parsed(
            images.small_blob(wanted, config["digest"], config["size"]), "its configuration"
        )
        kept = ("architecture", "os", "variant", "os.version")
        platforms = [{key: whole[key] for key in kept if whole.get(key)}]
    return {"Descriptor": descriptor, "Platforms": platforms}
