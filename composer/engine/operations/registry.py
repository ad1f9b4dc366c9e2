"""The registry of operations: what there is to say of each type, and how it is carried out.

A new operation is a type with its row, in the module of what it is about, and its name in `Operation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from composer.engine.operations import containers, images, providers, resources, waiting
from composer.engine.operations.containers import (
    ConnectNetwork,
    CreateContainer,
    DisconnectNetwork,
    KillContainer,
    MovePorts,
    RemoveContainer,
    RenameContainer,
    RunHook,
    StartContainer,
    StopContainer,
)
from composer.engine.operations.images import BuildImage, PullImage, PushImage, RemoveImage, TagImage
from composer.engine.operations.providers import PrepareModel, RemoveProvided, StartProvider, StopProvided
from composer.engine.operations.resources import (
    CreateNetwork,
    CreateVolume,
    MendNetwork,
    RemoveNetwork,
    RemoveVolume,
)
from composer.engine.operations.waiting import WaitService

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.engine.backend import Backend
    from composer.engine.operations.row import Report, Resource, Row

Operation: TypeAlias = (
    CreateNetwork
    | RemoveNetwork
    | MendNetwork
    | ConnectNetwork
    | DisconnectNetwork
    | CreateVolume
    | RemoveVolume
    | PullImage
    | BuildImage
    | PushImage
    | RemoveImage
    | CreateContainer
    | RunHook
    | StartContainer
    | StopContainer
    | KillContainer
    | RemoveContainer
    | RenameContainer
    | MovePorts
    | TagImage
    | StartProvider
    | RemoveProvided
    | StopProvided
    | PrepareModel
    | WaitService
)

ROWS: dict[type, Row] = {**resources.ROWS, **images.ROWS, **containers.ROWS, **providers.ROWS, **waiting.ROWS}


def action_of(operation: Operation) -> str:
    """Return what an operation does: ``start container``."""
    return ROWS[type(operation)].action


def progress_of(operation: Operation) -> tuple[str, str]:
    """Return the word while it lasts and the word when it is done: ``starting``, ``started``."""
    row = ROWS[type(operation)]
    return row.progress(operation) if row.progress is not None else (row.doing, row.done)


def text_of(operation: Operation) -> str:
    """Return an operation in words, without its cause: ``start container app-web-1``."""
    return f"{action_of(operation)} {subject_of(operation)}"


def brief_of(operation: Operation) -> str:
    """Return an operation in the words that do where its resource is named already: ``start``."""
    row = ROWS[type(operation)]
    return row.brief(operation) if row.brief is not None else text_of(operation)


def resource_of(operation: Operation) -> Resource:
    """Return what an operation is about: all steps of a recreation have one resource."""
    return ROWS[type(operation)].resource(operation)


def subject_of(operation: Operation) -> str:
    """Return whom an operation is done to: ``app-web-1``, ``app-web-1 with SIGTERM``."""
    return ROWS[type(operation)].subject(operation)


def effect_of(operation: Operation) -> str:
    """Return what an operation does to its resource: MAKES, REMOVES, …"""
    return ROWS[type(operation)].effect


def is_abandoned(operation: Operation) -> bool:
    """Tell whether nobody waits for its end once the command is cancelled."""
    return ROWS[type(operation)].is_abandoned


def facts_of(operation: Operation) -> Mapping[str, Any]:
    """Return what its JSON has besides what every operation has: ``service`` where it is about one."""
    return ROWS[type(operation)].facts(operation)


def perform(backend: Backend, operation: Operation, report: Report) -> Any:
    """Carry out one operation, all effects through the backend. ``report`` takes news for the user while it lasts.

    Raises Kept where something optional was left as it is.
    """
    carry_out = ROWS[type(operation)].perform
    assert carry_out is not None, f"{action_of(operation)} is the coordinator's"
    return carry_out(backend, operation, report)
