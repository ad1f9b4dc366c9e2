"""Images sent to registries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer import errors, references
from composer.api.http.problems import Problem
from composer.api.images import finding, registries, streams, telling
from composer.api.images.progress import Pushing

if TYPE_CHECKING:
    from composer.api.http.call import Call
    from composer.api.images.streams import Lines
    from composer.parallel import Stop
    from composer.references import Reference
    from composer.runtime.engine.images import Images


def push(call: Call) -> None:
    """Push a tag, or all that a repository has here."""
    name, tag = call.parameters["name"], call.query.text("tag")
    if references.split(name).digest is not None:
        raise Problem(400, "cannot push a digest reference")
    wanted = finding.reference(finding.tagged(name, tag) if tag else name)
    _refuse_platform(call)
    is_whole = not tag and references.split(name).tag is None
    environment = registries.environment_for(call, wanted.host)

    def work(lines: Lines, stop: Stop) -> None:
        lines.write({"status": f"The push refers to repository [{wanted.host}/{wanted.path}]"})
        with registries.images(call.world, environment) as images, stop.calling(images.abort):
            for one in _here(call, wanted, is_whole=is_whole):
                _push(call, images, one, lines, stop)

    streams.run(call, work)


def _refuse_platform(call: Call) -> None:
    if call.query.text("platform"):
        raise Problem(
            400,
            "a push of one platform is not supported: push the name, which has the images of all platforms",
        )


def _here(call: Call, wanted: Reference, *, is_whole: bool) -> list[Reference]:
    """Return what is to be pushed. Raises Problem."""
    names = [references.parse(name) for image in call.world.core.store.images() for name in image.references]
    mine = sorted(name for name in names if name[:2] == wanted[:2])
    if not mine:
        raise Problem(404, f"An image does not exist locally with the tag: {wanted.familiar_name()}")
    if is_whole:
        return mine
    if wanted not in mine:
        raise Problem(404, f"tag does not exist: {wanted.familiar()}")
    return [wanted]


def _push(call: Call, images: Images, wanted: Reference, lines: Lines, stop: Stop) -> None:
    def check() -> None:
        if stop.is_set():
            raise errors.Cancelled("the client has gone")

    watcher = Pushing(lines.write, check)
    digest = images.push(wanted.familiar(), watcher=watcher)
    size = watcher.manifest[1]
    lines.write({"status": f"{wanted.tag}: digest: {digest} size: {size}"})
    lines.write({"progressDetail": {}, "aux": {"Tag": wanted.tag, "Digest": digest, "Size": size}})
    telling.event(call.world, "push", wanted.familiar(), wanted.familiar())
