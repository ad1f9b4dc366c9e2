"""Lists, with the keys and values of Docker's commands. Most values are strings for people, as there."""

from __future__ import annotations

from pydantic import Field

from composer.documents.base import Document


class Publisher(Document):
    """A port of a container; ``PublishedPort`` is 0 if the port is exposed, but not published."""

    URL: str
    TargetPort: int
    PublishedPort: int
    Protocol: str


class ContainerRow(Document):
    """A container of the project."""

    Command: str
    CreatedAt: str
    ExitCode: int = Field(description="0 until the container exits.")
    Health: str = Field(description="Empty if the container has no health check.")
    ID: str
    Image: str
    Labels: str = Field(description="Comma-separated KEY=VALUE items.")
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
    """A project on this machine. ``Backend`` and ``Instance`` are composer's own."""

    Name: str
    Instance: str = Field(description="The instance that it is of its project; empty for none.")
    Status: str = Field(description="Number of containers in each state.")
    ConfigFiles: str
    Backend: str


class ContainerImage(Document):
    """The image of a container."""

    ID: str
    ContainerName: str
    Repository: str
    Tag: str
    Platform: str
    Size: int = Field(description="Bytes; 0 if the image no longer exists.")
    Created: str = Field(description="RFC 3339; empty if unknown.")


class StatsRow(Document):
    """The resource usage of a container, in strings with units."""

    BlockIO: str
    CPUPerc: str = Field(description="Percentage of one CPU: 200% is two CPUs.")
    Container: str
    ID: str
    MemPerc: str
    MemUsage: str
    Name: str
    NetIO: str
    PIDs: str


class ImageRow(Document):
    """A reference (name and tag) of an image of the backend."""

    Repository: str
    Tag: str
    Digest: str
    ID: str
    CreatedSince: str
    CreatedAt: str
    Size: str


class HistoryRow(Document):
    """A step of how an image was made, the last one first. ``ID`` is ``<missing>`` for a step of no image here."""

    ID: str
    CreatedSince: str
    CreatedAt: str
    CreatedBy: str
    Size: str
    Comment: str


class NetworkRow(Document):
    """A network of the backend. ``Project`` is composer's own; the flags are ``true`` or ``false``."""

    ID: str
    Name: str
    Driver: str
    Scope: str
    CreatedAt: str
    IPv4: str
    IPv6: str
    Internal: str
    Project: str
    Labels: str


class VolumeRow(Document):
    """A volume of the backend. ``Project`` is composer's own; unknown values are N/A."""

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
    """The disk usage of one type of objects."""

    Type: str
    TotalCount: str
    Active: str
    Size: str
    Reclaimable: str
