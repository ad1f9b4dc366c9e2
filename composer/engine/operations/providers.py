"""Operations on services that an external program provides."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.engine.observed import Advance
from composer.engine.operations.row import MAKES, REMOVES, STOPS, Row, about, field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.engine.backend import Backend
    from composer.engine.operations.row import Report
    from composer.engine.providers.models import Model
    from composer.engine.providers.protocol import Message, Provider, Variables


class StartProvider(NamedTuple):
    """Have a provider make what a service stands for. It may be there already."""

    service: str
    provider: Provider
    project: str
    environment: Mapping[str, str]
    cause: str


class RemoveProvided(NamedTuple):
    """Have a provider remove what it made for a service."""

    service: str
    provider: Provider
    project: str
    environment: Mapping[str, str]
    cause: str


class StopProvided(NamedTuple):
    """Have a provider stop what it made for a service, if it can."""

    service: str
    provider: Provider
    project: str
    environment: Mapping[str, str]
    cause: str


class PrepareModel(NamedTuple):
    """Have Docker's model runner pull and configure a model; ``name`` is what the compose file calls it."""

    name: str
    model: Model
    environment: Mapping[str, str]
    cause: str


def _prepare(_: Backend, operation: PrepareModel, report: Report) -> str:
    from composer.engine.providers import models

    def tell(phase: str) -> None:
        report(Advance(phase.capitalize(), is_phase=True))

    return models.prepare(operation.model, operation.environment, tell)


def _run(_: Backend, operation: StartProvider | RemoveProvided | StopProvided, report: Report) -> Variables:
    from composer.engine.providers import program, protocol

    commands = {StartProvider: protocol.UP, RemoveProvided: protocol.DOWN, StopProvided: protocol.STOP}

    def tell(message: Message) -> None:
        if message.kind == protocol.INFO:
            report(Advance(protocol.first_line(message.text), is_phase=True))

    return program.run(
        operation.provider,
        commands[type(operation)],
        operation.service,
        operation.project,
        operation.environment,
        tell,
    )


# Docker Compose shows such a service by its name alone
_SERVICE, _NAME = about("", "service"), field("service")


def _facts(operation: StartProvider | RemoveProvided | StopProvided) -> Mapping[str, str]:
    return {"service": operation.service}


ROWS: dict[type, Row] = {
    StartProvider: Row("create service", "creating", "created", MAKES, _SERVICE, _NAME, _run, facts=_facts),
    RemoveProvided: Row(
        "remove service", "removing", "removed", REMOVES, _SERVICE, _NAME, _run, facts=_facts
    ),
    PrepareModel: Row(
        "prepare model",
        "configuring",
        "configured",
        MAKES,
        about("", "model.name"),
        field("model.name"),
        _prepare,
        is_abandoned=True,  # it is the model runner that pulls
    ),
    StopProvided: Row("stop service", "stopping", "stopped", STOPS, _SERVICE, _NAME, _run, facts=_facts),
}
