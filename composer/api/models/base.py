"""How bodies are read: Docker's names, unknown fields ignored, null like a missing value, numbers never texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from composer.api.http import reading
from composer.api.http.problems import Problem

if TYPE_CHECKING:
    from composer.api.http.call import Call


class Body(BaseModel):
    """The root of all bodies. Go takes names in any case, and null for what is not there."""

    model_config = ConfigDict(extra="ignore", strict=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _like_go(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        fields = {name.lower(): name for name in cls.model_fields}
        found: dict[str, Any] = {}
        for key, value in given.items():
            if isinstance(value, (int, list)) and not _is_in_range(value):
                raise ValueError(f"{key} is out of range")
            if value is not None:
                found[fields.get(str(key).lower(), str(key))] = value
        return found


def _is_in_range(value: Any) -> bool:
    """Tell whether numbers are those that 64 bits can say: nothing behind this has more."""
    numbers = value if isinstance(value, list) else [value]
    return all(reading.is_in_range(one) for one in numbers if isinstance(one, int))


def _check_size(value: list[int]) -> list[int]:
    if len(value) != 2 or not all(0 <= one < 65536 for one in value):
        raise ValueError("two numbers of 0 … 65535 are expected")
    return value


Size = Annotated[list[int], AfterValidator(_check_size)]
"""The size of a terminal: its rows and its columns."""
AnyBody = TypeVar("AnyBody", bound=Body)


def read(model: type[AnyBody], document: Any) -> AnyBody:
    """Return a document as a model. Raises Problem, naming the field."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Problem(400, f"invalid JSON: {place}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None


def body_of(call: Call, model: type[AnyBody]) -> AnyBody:
    return read(model, call.document())
