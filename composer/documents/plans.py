"""Plans: what ``plan --json`` prints, and what ``plan --out`` writes and ``apply`` reads. docs/plan.md"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from composer.documents.base import Document
from composer.documents.reading import read_json
from composer.errors import ProjectError

Action = Literal[
    "build",
    "connect",
    "create",
    "disconnect",
    "kill",
    "mend",
    "move",
    "prepare",
    "pull",
    "push",
    "remove",
    "rename",
    "run",
    "start",
    "stop",
    "tag",
    "wait",
]
Kind = Literal["container", "hook", "image", "model", "network", "ports", "service", "volume"]
VERSION = 1
_HINT = "create one with composer plan --out FILE"


class Operation(Document):
    """One step of a plan."""

    id: int
    action: Action
    kind: Kind
    name: str = Field(description="The name of the resource.")
    text: str = Field(description="The action in words.")
    cause: str = Field(description="The reason; empty if another operation states it.")
    needs: tuple[int, ...] = Field(description="The ids of operations that must have succeeded before.")
    after: tuple[int, ...] = Field(
        description="The ids of operations that must have finished before, successfully or not."
    )
    service: str | None = Field(default=None, description="Only for containers and waits.")
    number: int | None = Field(default=None, description="The number of the container in its service.")
    condition: str | None = Field(default=None, description="The condition to wait for.")


class Plan(Document):
    """The operations that a command would perform. Values that look like secrets are not included."""

    version: Literal[1]
    command: Literal["up", "down"]
    project: str
    changes: bool = Field(description="Whether anything would change; waiting alone is not a change.")
    operations: tuple[Operation, ...] = Field(
        description="In an order in which they could run one after the other."
    )
    unchanged: tuple[str, ...] = Field(description="The names of unchanged containers.")
    warnings: tuple[str, ...]


class SavedOperation(Operation):
    """One step of a saved plan."""

    digest: str = Field(description="A digest of the complete operation, keyed with this machine's key.")


class Inputs(Document):
    """The input of the plan. Paths are absolute."""

    files: tuple[str, ...] = Field(description="The files of --file; empty if they are searched for.")
    working_dir: str
    directory: str | None = Field(description="--project-directory.")
    name: str = Field(description="The project name.")
    name_origin: Literal["given", "written", "directory"] | None = Field(
        default=None,
        description="The origin of the name: an option or variable, the compose file, or the directory.",
    )
    profiles: tuple[str, ...]
    env_files: tuple[str, ...]
    backend: str | None = Field(description="--backend.")


class UpOptions(Document):
    """The options of ``up``, under the engine's names."""

    services: tuple[str, ...]
    recreate: Literal["diverged", "force", "never"]
    recreate_dependencies: Literal["diverged", "force", "never"]
    scale: dict[str, int]
    dependencies: bool
    start: bool
    remove_orphans: bool
    ignore_orphans: bool
    renew_anonymous_volumes: bool
    replace_volumes: bool
    new_volumes: bool
    timeout_s: float | None
    wait: bool
    wait_timeout_s: float | None
    wait_restarts: int | None
    pull: str | None
    build: bool | None
    on_failure: Literal["keep", "rollback", "down"]
    oneoff: None = None


class DownOptions(Document):
    """The options of ``down``, under the engine's names."""

    services: tuple[str, ...]
    volumes: bool
    images: Literal["", "local", "all"]
    timeout_s: float | None
    spare: tuple[str, ...]
    kept_volumes: tuple[str, ...]


class _Saved(Plan):
    operations: tuple[SavedOperation, ...] = Field(
        description="In an order in which they could run one after the other."
    )
    inputs: Inputs


class SavedUp(_Saved):
    """A plan of ``up`` in a file."""

    command: Literal["up"]
    options: UpOptions


class SavedDown(_Saved):
    """A plan of ``down`` in a file."""

    command: Literal["down"]
    options: DownOptions


SavedPlan = Annotated[SavedUp | SavedDown, Field(discriminator="command")]


class _Header(Document):
    """The fields that are read first, from a plan of any version."""

    model_config = ConfigDict(extra="ignore")

    version: int


def read(text: str, path: str) -> SavedUp | SavedDown:
    """Read a saved plan. Raises ProjectError for an invalid plan, with the location, and for unsupported versions."""
    no_plan = f"'{path}' is not a composer plan file"
    version = read_json(_Header, text, no_plan, hint=_HINT).version
    if version != VERSION:
        raise ProjectError(f"unsupported plan version {version} in '{path}', expected {VERSION}", hint=_HINT)
    if "inputs" not in json.loads(text):
        raise ProjectError(f"'{path}' cannot be applied: it is the output of plan --json", hint=_HINT)
    found: SavedUp | SavedDown = read_json(
        SavedPlan, text, f"'{path}' cannot be applied", hint=_HINT, skip=("up", "down")
    )
    return found
