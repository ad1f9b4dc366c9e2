"""Reports about compose files: the project, the origins of its values, and the findings of lint."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, RootModel

from composer.documents.base import Document
from composer.schema.views import Project as Project


class Origin(Document):
    """A value of the project, and its origin."""

    path: tuple[str | int, ...] = Field(description="The keys and indices that lead to the value.")
    value: Any = Field(description="null, a string, a number, a boolean, or an empty list or object.")
    file: str | None = Field(description="null if the value is not from a file.")
    line: int | None
    column: int | None
    why: str | None = Field(
        description="A default, a variable or an override; null if the value itself is written there."
    )


class Variable(Document):
    """A variable that the compose files use."""

    Name: str
    DefaultValue: str = Field(description="The value if the variable is not set.")
    PresenceValue: str = Field(description="The value if the variable is set, from ${NAME:+VALUE}.")
    Required: bool


class Variables(RootModel[dict[str, Variable]]):
    """The variables that the compose files use, by name."""


class LintFinding(Document):
    """An error, a warning or advice. The rules are listed in docs/lint.md."""

    rule: str
    severity: Literal["error", "warning", "advice"]
    message: str
    file: str | None
    line: int | None
    column: int | None
    hint: str | None


class LintReport(Document):
    """All findings in the compose files."""

    complete: bool = Field(description="False if advice was skipped because of errors.")
    errors: int
    warnings: int
    advice: int
    findings: tuple[LintFinding, ...]
