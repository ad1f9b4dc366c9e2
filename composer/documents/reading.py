"""Error messages for invalid documents: the location, and the requirement."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    Place = tuple[str | int, ...]

MAX_COMPLAINTS = 10


class Complaint(NamedTuple):
    """One error, and the path to it: keys and indices."""

    place: Place
    message: str
    is_unknown_key: bool = False

    def __str__(self) -> str:
        return f"{dotted(self.place)}: {self.message}" if self.place else self.message


def dotted(place: Place) -> str:
    """Return a place as people read it: ``operations[3].needs``."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if part.replace("-", "_").isidentifier() else json.dumps(part, ensure_ascii=False)
            text += f".{key}" if text else key
    return text


def read_json(model: Any, text: str, failure: str, *, hint: str, skip: tuple[str, ...] = ()) -> Any:
    """Return a document that JSON text holds. Raises ProjectError: ``failure``, and the first thing that is wrong."""
    from pydantic import TypeAdapter, ValidationError

    try:
        json.loads(text)
        adapter: TypeAdapter[Any] = TypeAdapter(model)
        return adapter.validate_json(text)
    except json.JSONDecodeError as error:
        words = f"line {error.lineno}, column {error.colno}: {error.msg.lower()}"
        raise ProjectError(f"{failure}: {words}", hint=hint) from None
    except RecursionError:
        raise ProjectError(f"{failure}: nested too deeply", hint=hint) from None
    except ValidationError as error:
        first, *others = complaints(error, skip=skip)
        wrong = ProjectError(f"{failure}: {first}", hint=hint)
        for other in others:
            wrong.add_note(str(other))
        raise wrong from None


def complaints(error: ValidationError, *, skip: tuple[str, ...] = ()) -> list[Complaint]:
    """Return what pydantic found, at most `MAX_COMPLAINTS`. ``skip`` are tags of unions at the beginning of a path."""
    return list(_complaints(error, skip))[:MAX_COMPLAINTS]


def _complaints(error: ValidationError, skip: tuple[str, ...]) -> Iterator[Complaint]:
    for found in error.errors(include_url=False):
        place = found["loc"]
        if place and place[0] in skip:
            place = place[1:]
        yield Complaint(place, _words(found), found["type"] == "extra_forbidden")


def _words(found: ErrorDetails) -> str:
    kind, context = found["type"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key"
    if kind == "missing":
        return "required, but missing"
    if kind in ("literal_error", "union_tag_invalid"):
        wanted = context.get("expected") or context.get("expected_tags")
        return f"must be {wanted}, not {_shown(context.get('tag', found['input']))}"
    if kind == "string_pattern_mismatch":
        return f"must match {context['pattern']}, not {_shown(found['input'])}"
    _, should, rest = found["msg"].partition("should ")
    rest = rest.replace("valid dictionary", "mapping").replace("valid array", "list")
    return f"must {rest}, not {_shown(found['input'])}" if should else found["msg"].lower()


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:60]}…"
