"""Images by Docker's rules: a name, a digest, or the begin of an id; and names in its words where they are none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from composer import errors, references
from composer.api.http.problems import Problem
from composer.api.world import with_tag
from composer.patterns import pattern

if TYPE_CHECKING:
    from composer.api.http.call import Call
    from composer.api.world import World
    from composer.references import Reference
    from composer.runtime.images import Image

_HEX = pattern(r"(?:sha256:)?([0-9a-f]{1,64})")
_TAG = pattern(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_WHOLE_ID = pattern(r"[0-9a-f]{64}")
_HOST = "host"


def image(world: World, name: str) -> Image:
    """Return an image. Raises Problem."""
    store = world.core.store
    digits = _HEX.fullmatch(name)
    try:
        found = store.find(name)
    except errors.Conflict:
        raise Problem(400, f"ambiguous image prefix: {name}") from None
    except (errors.ImageError, ValueError):
        found = None
    if found is None and digits:
        # the store wants twelve digits, Docker any number of them
        matching = [one for one in store.images() if one.id.removeprefix("sha256:").startswith(digits[1])]
        if len(matching) > 1:
            raise Problem(400, f"ambiguous image prefix: {name}")
        found = matching[0] if matching else None
    if found is None:
        if not name.startswith("sha256:"):
            reference(name)
        raise missing(name)
    return found


def missing(name: str) -> Problem:
    return Problem(404, f"No such image: {name if name.startswith('sha256:') else with_tag(name)}")


def is_stored(found: Image) -> bool:
    """Tell an image of the store from this machine's programs, which are an image only to run."""
    return _HOST not in found.references


def is_id(name: str, found: Image) -> bool:
    """Tell whether an image was found by its id, and not by a name."""
    digits = _HEX.fullmatch(name)
    if digits is None:
        return False
    try:
        named = references.parse(name).familiar()
    except errors.ImageError:
        return True
    return named not in found.references


def reference(text: str) -> Reference:
    """Return a name in full. Raises Problem in Docker's words."""
    name = references.split(text).name
    if _WHOLE_ID.fullmatch(text):
        raise Problem(400, f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    try:
        return references.parse(text)
    except errors.ImageError:
        path = references.full_name(name)[1]
        if path != path.lower():
            raise Problem(
                400, f"invalid reference format: repository name ({path}) must be lowercase"
            ) from None
        raise Problem(400, "invalid reference format") from None


def tagged(repository: str, tag: str) -> str:
    """Return the name that ``repo`` and ``tag`` of a request are; empty without a repository. Raises Problem."""
    if not repository:
        return ""
    parsed = reference(repository)
    if parsed.digest:
        raise Problem(400, "cannot import digest reference")
    if not tag:
        return parsed.familiar()
    if not _TAG.fullmatch(tag):
        raise Problem(400, "invalid tag format")
    return parsed._replace(tag=tag).familiar()


def platform_of(call: Call) -> str:
    """Return the platform of a query, which has it as JSON; empty where there is none. Raises Problem."""
    text = call.query.text("platform")
    return _platform(text) if text else ""


def platforms_of(call: Call) -> list[str]:
    """Return the platforms of a query, each of which is JSON. Raises Problem."""
    return [_platform(text) for text in call.query.texts("platforms") if text]


def _platform(text: str) -> str:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Problem(400, f"failed to parse platform: {text[:100]!r} is not JSON") from None
    if not isinstance(found, dict):
        raise Problem(400, "failed to parse platform: an object is expected")
    values = [found.get(key) or "" for key in ("os", "architecture", "variant")]
    if not all(isinstance(value, str) for value in values):
        raise Problem(400, "failed to parse platform: os, architecture and variant are strings")
    if not (values[0] and values[1]):
        raise Problem(400, "both OS and Architecture must be provided")
    return normal("/".join(filter(None, values)))


def normal(text: str) -> str:
    """Return a platform as the store writes it; nothing for nothing. Raises Problem."""
    from composer.runtime.images import indexes

    try:
        return indexes.checked(text) if text else ""
    except errors.ImageError as error:
        raise Problem(400, str(error)) from None
