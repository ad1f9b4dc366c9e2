"""The typed view of a canonical tree: frozen pydantic models, built when somebody asks for one.

For the Python API, for programs that read what ``config --format json`` writes, and for the published schema;
hashing, comparing and rendering use the tree. Attributes have Compose's names and their values are the canonical
ones: durations are Go's texts (``1m30s``, see `composer.units`), sizes decimal texts in bytes. What the file did not
say is None or empty; the two stay apart where Compose keeps them apart (``command``). The tree leaves out zeros and
empty texts, even of attributes that the schema requires, so no field is required here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.schema.tree import plain
from composer.schema.views.base import View
from composer.schema.views.building import Build, FileMount
from composer.schema.views.connecting import (
    BindOptions,
    Dependency,
    Endpoint,
    EnvFile,
    Healthcheck,
    ImageOptions,
    Logging,
    ModelUse,
    Mount,
    Port,
    TmpfsOptions,
    VolumeOptions,
)
from composer.schema.views.deploying import (
    Deploy,
    Develop,
    DiscreteResource,
    GenericResource,
    Hook,
    Limits,
    Placement,
    Preference,
    Reservations,
    Resources,
    RestartPolicy,
    UpdateConfig,
    Watch,
)
from composer.schema.views.limits import (
    BlockIO,
    BlockRate,
    BlockWeight,
    CredentialSpec,
    Device,
    DeviceRequest,
    Ulimit,
)
from composer.schema.views.project import Project
from composer.schema.views.resources import Config, Ipam, Model, Network, Pool, Secret, Volume
from composer.schema.views.services import (
    Extension,
    Job,
    PreStart,
    Provider,
    Schedule,
    Service,
    Triggers,
    Workload,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BindOptions",
    "BlockIO",
    "BlockRate",
    "BlockWeight",
    "Build",
    "Config",
    "CredentialSpec",
    "Dependency",
    "Deploy",
    "Develop",
    "Device",
    "DeviceRequest",
    "DiscreteResource",
    "Endpoint",
    "EnvFile",
    "Extension",
    "FileMount",
    "GenericResource",
    "Healthcheck",
    "Hook",
    "ImageOptions",
    "Ipam",
    "Job",
    "Limits",
    "Logging",
    "Model",
    "ModelUse",
    "Mount",
    "Network",
    "Placement",
    "Pool",
    "Port",
    "PreStart",
    "Preference",
    "Project",
    "Provider",
    "Reservations",
    "Resources",
    "RestartPolicy",
    "Schedule",
    "Secret",
    "Service",
    "TmpfsOptions",
    "Triggers",
    "Ulimit",
    "UpdateConfig",
    "View",
    "Volume",
    "VolumeOptions",
    "Watch",
    "Workload",
    "build",
    "build_project",
]

_KINDS: dict[str, type[View]] = {
    "jobs": Job,
    "services": Service,
    "networks": Network,
    "volumes": Volume,
    "configs": Config,
    "secrets": Secret,
    "models": Model,
}


def build(section: str, tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the typed view of a section, by name."""
    kind = _KINDS[section]
    return {name: kind.model_validate(plain(value)) for name, value in tree.items()}


def build_project(tree: Mapping[str, Any]) -> Project:
    """Return the typed view of a whole canonical tree."""
    return Project.model_validate(plain(tree))
