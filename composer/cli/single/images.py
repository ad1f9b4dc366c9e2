"""``composer image ls`` and ``history``: which images are shown, and what of them.

Filters and columns are Docker's: https://docs.docker.com/reference/cli/docker/image/ls/
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import click

from composer import dates, references

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from composer.cli.context import Context
    from composer.cli.record import Record
    from composer.engine.observed import ImageStep, ObservedImage

    Test = Callable[[ObservedImage], bool]

_HEADERS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "Size": "SIZE",
}
_WITH_DIGESTS = {"Repository": "REPOSITORY", "Tag": "TAG", "Digest": "DIGEST"} | {
    key: _HEADERS[key] for key in ("ID", "CreatedSince", "Size")
}
_HISTORY = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
_COMMAND_LETTERS = 45
_NONE = "<none>"
_TRUE, _FALSE = ("1", "true", "t"), ("0", "false", "f")


def show(
    context: Context,
    name: str | None,
    style: str,
    *,
    quiet: bool,
    digests: bool,
    no_trunc: bool,
    filters: tuple[str, ...],
) -> None:
    """Write the list, the newest first."""
    from composer.cli import listing

    images = list(context.backend().images())
    tests, patterns = _tests(context, filters)
    images = [image for image in images if all(test(image) for test in tests)]
    wanted = [*patterns, *([name] if name is not None else [])]
    if wanted:
        images = [found for image in images if (found := _named(image, name, patterns)) is not None]
    images.sort(key=lambda image: (-_created_ns(image), image.references, image.id))
    if quiet:
        for image in images:
            for _ in _lines(image, digests=False):
                context.write(_id(image.id, no_trunc))
        return
    has_digests = digests or ".Digest" in style
    rows = [
        _row(image, *line, no_trunc=no_trunc)
        for image in images
        for line in _lines(image, digests=has_digests)
    ]
    listing.show(context, style, rows, _WITH_DIGESTS if digests else _HEADERS)


def _lines(image: ObservedImage, *, digests: bool) -> Iterator[tuple[str, str, str]]:
    """Yield repository, tag and digest of each line that an image has."""
    from composer.cli import table

    names = [table.split_reference(one) for one in image.references if "@" not in one]
    known: dict[str, list[str]] = {}
    for one in (*image.digests, *(one for one in image.references if "@" in one)):
        repository, _, digest = one.partition("@")
        if digest not in known.setdefault(references.split(repository).name, []):
            known[references.split(repository).name].append(digest)
    for repository, tag in names:
        for digest in (known.get(repository) or [_NONE]) if digests else [_NONE]:
            yield repository, tag, digest
    tagged = {repository for repository, _ in names}
    for repository, of_it in known.items():
        if repository not in tagged:
            for digest in of_it:
                yield repository, _NONE, digest
    if not names and not known:
        yield _NONE, _NONE, _NONE


def _row(image: ObservedImage, repository: str, tag: str, digest: str, *, no_trunc: bool) -> Record:
    from composer.cli import table, times
    from composer.cli.record import Record

    return Record(
        Repository=repository,
        Tag=tag,
        Digest=digest,
        ID=_id(image.id, no_trunc),
        CreatedSince=times.age(image.created),
        CreatedAt=image.created,
        Size=table.size(image.size_bytes),
    )


def _id(id: str, whole: bool) -> str:
    return id if whole else id.removeprefix("sha256:")[:12]


def _created_ns(image: ObservedImage) -> int:
    return (dates.parse_ns(image.created) if image.created else None) or 0


# ------------------------------------------------------------------ which ones


def _named(image: ObservedImage, name: str | None, patterns: list[str]) -> ObservedImage | None:
    """Return an image with those of its names that were asked for; None where there are none."""
    names = [one for one in image.references if name is None or is_named(one, name)]
    digests = [one for one in image.digests if name is None or is_named(one, name)]
    if patterns:
        names = [one for one in names if any(_matches(one, pattern) for pattern in patterns)]
        digests = [one for one in digests if any(_matches(one, pattern) for pattern in patterns)]
    if not names and not digests:
        return None
    return image._replace(references=tuple(names), digests=tuple(digests))


def is_named(reference: str, name: str) -> bool:
    """Tell whether a reference is what was asked for: the repository alone stands for all of its tags."""
    wanted, found = references.split(name), references.split(reference)
    if any(letter in name for letter in "*?["):
        return _matches(reference, name)
    is_same = references.full_name(found.name) == references.full_name(wanted.name)
    return is_same and (wanted.tag, wanted.digest) in ((None, None), (found.tag, found.digest))


def _matches(reference: str, pattern: str) -> bool:
    """Tell whether a pattern of the shell fits a reference, or its name without a tag. No star matches a slash."""
    expression = re.compile(_expression(pattern))
    name = references.split(reference).name
    return any(expression.fullmatch(text) is not None for text in (reference, name))


def _expression(pattern: str) -> str:
    made, position = "", 0
    while position < len(pattern):
        letter = pattern[position]
        end = pattern.find("]", position + 2) if letter == "[" else -1
        if letter == "[" and end > 0:
            inner = pattern[position + 1 : end].replace("\\", "\\\\")
            made += f"[{'^' + inner[1:] if inner[0] in '^!' else inner}]"
            position = end
        else:
            made += {"*": "[^/]*", "?": "[^/]"}.get(letter, re.escape(letter))
        position += 1
    try:
        re.compile(made)
    except re.error:
        raise _bad(f"'{pattern}' is not a pattern") from None
    return made


def _bad(text: str) -> click.BadParameter:
    return click.BadParameter(text, param_hint="--filter")


def _tests(context: Context, filters: tuple[str, ...]) -> tuple[list[Test], list[str]]:
    """Read ``--filter``: what an image has to be, and patterns of names, of which one has to fit."""
    from composer.cli import options, times

    tests: list[Test] = []
    patterns = []
    labels = [text for text in filters if text.startswith(("label=", "label!="))]
    wanted = options.read_label_filters(labels)
    if wanted:
        tests.append(lambda image: all(label.matches(image.labels) for label in wanted))
    for text in filters:
        key, equals, value = text.partition("=")
        if text in labels:
            continue
        if not equals or not value:
            raise _bad(f"'{text}' must be KEY=VALUE")
        if key == "dangling":
            tests.append(_dangling(value))
        elif key == "reference":
            _expression(value)
            patterns.append(value)
        elif key in ("before", "since"):
            tests.append(_beside(context, key, value))
        elif key == "until":
            limit_ns = times.moment(value, "--filter", time.time_ns()) or 0
            tests.append(lambda image, limit_ns=limit_ns: _created_ns(image) < limit_ns)  # type: ignore[misc]
        else:
            raise _bad(f"invalid filter '{key}': use dangling, label, reference, before, since or until")
    return tests, patterns


def _dangling(value: str) -> Test:
    if value.lower() not in (*_TRUE, *_FALSE):
        raise _bad(f"dangling must be true or false, not '{value}'")
    wanted = value.lower() in _TRUE
    return lambda image: (not image.references) == wanted


def _beside(context: Context, key: str, name: str) -> Test:
    from composer.errors import NotFound

    found = context.backend().find_image(name)
    if found is None:
        raise NotFound(f"no such image: {name}", hint="list them with composer image ls")
    limit_ns = _created_ns(found)
    if key == "before":
        return lambda image: _created_ns(image) < limit_ns
    return lambda image: _created_ns(image) > limit_ns


# ------------------------------------------------------------------ platforms


def platform(text: str) -> dict[str, str]:
    """Return a platform as `inspect` shows it; nothing of one that is not known."""
    return dict(zip(("Os", "Architecture", "Variant"), text.split("/") if text else (), strict=False))


def variants(image: ObservedImage) -> dict[str, Any]:
    """Return what `inspect` shows of images for several platforms; the names are those of Docker's API."""
    if not image.index_digest:
        return {}
    return {
        "Index": image.index_digest,
        "Manifests": [
            {
                "ID": one.digest,
                "Kind": "image",
                "Available": True,
                "ImageData": {
                    "ID": one.id,
                    "Platform": {key.lower(): text for key, text in platform(one.platform).items()},
                    "Size": {"Unpacked": one.size_bytes},
                },
            }
            for one in image.variants
        ],
    }


# ------------------------------------------------------------------ how it was made


def show_history(
    context: Context, reference: str, style: str, *, quiet: bool, no_trunc: bool, human: bool
) -> None:
    """Write the steps of an image, the last first."""
    from composer.cli import listing

    steps = context.backend().image_history(reference)
    if quiet:
        for step in steps:
            context.write(_id(step.id, no_trunc) or "<missing>")
        return
    rows = [_step(step, no_trunc=no_trunc, human=human) for step in steps]
    headers = (
        _HISTORY if human else {"CreatedAt" if k == "CreatedSince" else k: v for k, v in _HISTORY.items()}
    )
    listing.show(context, style, rows, headers)


def _step(step: ImageStep, *, no_trunc: bool, human: bool) -> Record:
    from composer.cli import table, times
    from composer.cli.record import Record

    said: str | Any = step.created_by.replace("\t", " ")
    if not no_trunc and len(said) > _COMMAND_LETTERS:
        said = f"{said[: _COMMAND_LETTERS - 1]}…"
    return Record(
        ID=_id(step.id, no_trunc) or "<missing>",
        CreatedSince=times.age(step.created),
        CreatedAt=step.created,
        CreatedBy=said,
        Size=table.size(step.size_bytes) if human else str(step.size_bytes),
        Comment=step.comment,
    )
