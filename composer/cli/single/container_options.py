"""What the options of a single container say: variables, ports, mounts. For ``run`` and ``container run``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from composer.cli.options import pair

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.cli.context import Context
    from composer.engine.wanted import MountSpec


def variables(known: Mapping[str, str], given: tuple[str, ...]) -> dict[str, str | None]:
    """Read ``KEY=VALUE``; a bare ``KEY`` takes its value from ``known``; one that is not there leaves the service's.

    Raises click.BadParameter.
    """
    found: dict[str, str | None] = {}
    for entry in given:
        key, equals, value = pair(entry)
        if equals or key in known:
            found[key] = value if equals else known[key]
    return found


def file_variables(context: Context, files: tuple[str, ...]) -> dict[str, str | None]:
    from composer.errors import ProjectError
    from composer.schema.dotenv import parse_env

    found: dict[str, str | None] = {}
    for file in files:
        path = os.path.join(context.working_dir, file)
        try:
            with open(path, encoding="utf-8") as stream:
                found.update(parse_env(stream.read(), path, context.environment.get))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ProjectError(f"cannot read '{file}': {reason.lower()}") from None
    return found


def ports(text: str) -> list[dict[str, Any]]:
    from composer.schema.shortforms import parse_ports

    try:
        return parse_ports(text)
    except ValueError as error:
        raise click.BadParameter(f"'{text}': {error}", param_hint="--publish") from None


def mount(context: Context, text: str, real_name: Callable[[str], str | None]) -> MountSpec:
    """Read ``SOURCE:TARGET[:OPTIONS]``; ``real_name`` returns what a volume of the project is called."""
    from composer import values
    from composer.engine.wanted import MountSpec
    from composer.schema.shortforms import parse_volume

    try:
        found = parse_volume(text)
    except ValueError as error:
        raise click.BadParameter(f"'{text}': {error}", param_hint="--volume") from None
    target, bound = str(found["target"]), found.get("source") if found.get("type") == "bind" else None
    reason = values.mount_problem(target, bound)
    if reason:
        raise click.BadParameter(f"'{text}': cannot mount at {target}: {reason}", param_hint="--volume")
    kind, source = found["type"], found.get("source")
    if kind == "bind" and source:
        source = os.path.normpath(os.path.join(context.working_dir, os.path.expanduser(source)))
    elif kind == "volume" and source:
        source = real_name(source) or source
    options = found.get(kind) or {}
    return MountSpec(kind, source or None, found["target"], bool(found.get("read_only")), options)
