"""Lists, with the keys and the texts that Docker's commands have. Most values are texts for people, as there."""

from __future__ import annotations

from pydantic import Field

from composer.documents.base import Document


class Publisher(Document):
    """A port of a container; ``PublishedPort`` is 0 where it is only exposed."""

    URL: str
    TargetPort: int
    PublishedPort: int
    Protocol: str


class ContainerRow(Document):
    """A container of the project."""

    Command: str
    CreatedAt: str
    ExitCode: int = Field(description="0 while it has not ended.")
    Health: str = Field(description="Empty without a health check.")
    ID: str
    Image: str
    Labels: str = Field(description="KEY=VALUE, with commas between them.")
    LocalVolumes: str
    Mounts: str
    Name: str
    Names: str
    Networks: str
    Ports: str
    Project: str
    Publishers: tuple[Publisher, ...]
    RunningFor: str
    Service: str
    Size: str
    State: str = Field(description="created, running, restarting, paused, removing, exited or dead.")
    Status: str


class ProjectRow(Document):
    """A project on this machine. ``Backend`` is composer's own."""

    Name: str
    Status: str = Field(description="How many containers are in which state.")
    ConfigFiles: str
    Backend: str


class ContainerImage(Document):
    """The image of a container."""

    ID: str
    ContainerName: str
    Repository: str
    Tag: str
    Platform: str
    Size: int = Field(description="Bytes; 0 where the image is gone.")
    Created: str = Field(description="RFC 3339; empty where nothing says so.")


class StatsRow(Document):
    """What a container uses, in words."""

    BlockIO: str
    CPUPerc: str = Field(description="Of one processor: 200% is two.")
    Container: str
    ID: str
    MemPerc: str
    MemUsage: str
    Name: str
    NetIO: str
    PIDs: str


class ImageRow(Document):
    """A name of an image that the backend has."""

    Repository: str
    Tag: str
    ID: str
    CreatedSince: str
    CreatedAt: str
    Size: str


class NetworkRow(Document):
    """A network of the backend. ``Project`` is composer's own."""

    ID: str
    Name: str
    Driver: str
    Project: str
    Labels: str


class VolumeRow(Document):
    """A volume of the backend. ``Project`` is composer's own; what is not known is N/A."""

    Availability: str
    Group: str
    Links: str
    Size: str
    Status: str
    Driver: str
    Name: str
    Mountpoint: str
    Scope: str
    Project: str
    Labels: str


class DiskRow(Document):
    """How much one kind of things uses of the disk."""

    Type: str
    TotalCount: str
    Active: str
    Size: str
    Reclaimable: str
