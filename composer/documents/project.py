"""What is said of compose files: the project, where its values came from, what is wrong with them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, RootModel

from composer.documents.base import Document
from composer.schema.views import Project as Project


class Origin(Document):
    """A value of the project, and where it came from."""

    path: tuple[str | int, ...] = Field(description="Keys and indices.")
    value: Any = Field(description="null, a text, a number, a boolean, or an empty list or object.")
    file: str | None = Field(description="null: in no file.")
    line: int | None
    column: int | None
    why: str | None = Field(description="A default, a variable, an override; null: it was written there.")


class Variable(Document):
    """A variable that the files use."""

    Name: str
    DefaultValue: str = Field(description="What is used when it is not set.")
    PresenceValue: str = Field(description="What is used when it is set, by ${NAME:+VALUE}.")
    Required: bool


class Variables(RootModel[dict[str, Variable]]):
    """The variables that the files use, by name."""


class LintFinding(Document):
    """One thing that is wrong, or seldom wanted. docs/lint.md has the rules."""

    rule: str
    severity: Literal["error", "warning", "advice"]
    message: str
    file: str | None
    line: int | None
    column: int | None
    hint: str | None


class LintReport(Document):
    """What was found in the compose files."""

    complete: bool = Field(description="False: advice needs a project without errors.")
    errors: int
    warnings: int
    advice: int
    findings: tuple[LintFinding, ...]
