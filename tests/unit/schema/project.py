"""Loading from text: what most tests of the loader need."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

from composer.errors import ConfigError, ProjectInvalid
from composer.schema.load import LoadOptions, load
from composer.schema.model import Project


def write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))


def project(directory: Path, text: str = "", beside: dict[str, str] | None = None, **options: Any) -> Project:
    write(directory, {**({"compose.yaml": text} if text else {}), **(beside or {})})
    environment = options.pop("environment", {})
    return load(LoadOptions(working_dir=str(directory), environment=environment, home="/home/me", **options))


def errors(
    directory: Path, text: str = "", beside: dict[str, str] | None = None, **options: Any
) -> list[ConfigError]:
    try:
        project(directory, text, beside, **options)
    except ProjectInvalid as error:
        return list(error.errors)
    return []
