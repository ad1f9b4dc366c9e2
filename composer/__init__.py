"""Runs Compose projects on a built-in container runtime or on Docker Engine.

    with composer.Stack("compose.yaml") as stack:
        stack.up()
        stack["web"].wait_http(80)

Nothing is imported here before it is used: a command pays only for the modules that it uses.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from composer import errors as errors
    from composer.schema.model import Project as Project
    from composer.stacks.asynchronous import AsyncStack as AsyncStack
    from composer.stacks.databases import Database as Database
    from composer.stacks.loading import load as load
    from composer.stacks.reports import ServiceReport as ServiceReport
    from composer.stacks.reports import StackFailed as StackFailed
    from composer.stacks.results import Address as Address
    from composer.stacks.results import CommandFailed as CommandFailed
    from composer.stacks.results import LogLine as LogLine
    from composer.stacks.results import Result as Result
    from composer.stacks.service import Service as Service
    from composer.stacks.snapshots import Snapshot as Snapshot
    from composer.stacks.stack import Stack as Stack
    from composer.version import __version__ as __version__

_PLACES = {
    "__version__": "version",
    "Address": "stacks.results",
    "AsyncStack": "stacks.asynchronous",
    "CommandFailed": "stacks.results",
    "Database": "stacks.databases",
    "LogLine": "stacks.results",
    "Project": "schema.model",
    "Result": "stacks.results",
    "Service": "stacks.service",
    "ServiceReport": "stacks.reports",
    "Snapshot": "stacks.snapshots",
    "Stack": "stacks.stack",
    "StackFailed": "stacks.reports",
    "load": "stacks.loading",
}

__all__ = [*_PLACES, "errors"]


def __getattr__(name: str) -> object:
    """Import what is asked for (PEP 562)."""
    if name == "errors":
        import composer.errors

        return composer.errors
    if name not in _PLACES:
        raise AttributeError(f"module 'composer' has no attribute '{name}'")
    from importlib import import_module

    found = getattr(import_module(f"composer.{_PLACES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
