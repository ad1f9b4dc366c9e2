"""What all views have in common: how a model is made of a tree, and the names of the units."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class View(BaseModel):
    """A part of the canonical tree. Frozen; what the tree does not have keeps its default and is not "set".

    ``model_dump(by_alias=True, exclude_unset=True)`` gives the tree back. An attribute that no field stands for is
    an error, so that none can be lost.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", defer_build=True, populate_by_name=True, protected_namespaces=()
    )


Duration = Annotated[str, Field(description="A time in Go's form, such as 1m30s; composer.units reads it.")]
SizeText = Annotated[
    str,
    Field(description="A number of bytes, in decimal digits; -1 means unlimited, where a limit is possible."),
]
Mode = Annotated[str, Field(description="The bits of a file's mode, in octal digits, such as 0440.")]
Labels = Annotated[dict[str, str], Field(description="Labels by name.")]
Options = Annotated[
    dict[str, str], Field(description="Options of a driver by name; every value is a string.")
]
Variables = Annotated[
    dict[str, str | None],
    Field(description="Values by name; null: the value is taken from the environment, or unset."),
]
Texts = tuple[str, ...]
Words = Annotated[
    tuple[str, ...] | None,
    Field(description="The arguments of a command; null keeps that of the image, an empty list clears it."),
]
