"""Inspected objects, with Docker's keys."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from composer.documents.base import Document


class ImageSettings(Document):
    """The image configuration. It has the keys of the image, such as Env, Cmd and ExposedPorts, and these."""

    model_config = ConfigDict(extra="allow")

    Labels: dict[str, str]
    Volumes: dict[str, dict[str, str]]


class ImagePlatform(Document):
    """What an image runs on."""

    os: str
    architecture: str
    variant: str | None = None


class ImageSize(Document):
    """The size of an image in the store."""

    Unpacked: int = Field(description="Bytes.")


class ImageOfPlatform(Document):
    """One image of an index."""

    ID: str
    Platform: ImagePlatform
    Size: ImageSize


class ImageManifest(Document):
    """One manifest of an index."""

    ID: str = Field(description="The digest of the manifest.")
    Kind: Literal["image"]
    Available: bool
    ImageData: ImageOfPlatform


class ImageLayers(Document):
    """The layers of an image, lowest first: the digests of their archives before compression."""

    Type: Literal["layers"]
    Layers: tuple[str, ...]


class Image(Document):
    """An image."""

    Id: str
    RepoTags: tuple[str, ...]
    RepoDigests: tuple[str, ...]
    Created: str
    Os: str | None = None
    Architecture: str | None = None
    Variant: str | None = None
    Index: str | None = Field(
        default=None, description="The digest of the index, of a name with images for several platforms."
    )
    Manifests: tuple[ImageManifest, ...] | None = Field(default=None, description="The images of the index.")
    Size: int = Field(description="Bytes.")
    Config: ImageSettings
    RootFS: ImageLayers


class Pool(Document):
    """Addresses of a network."""

    Subnet: str | None = None
    IPRange: str | None = None
    Gateway: str | None = None
    AuxiliaryAddresses: dict[str, str] | None = None


class Ipam(Document):
    """How a network's addresses are chosen."""

    Driver: str
    Config: tuple[Pool, ...]


class NetworkContainer(Document):
    """A container's place in a network."""

    Name: str
    MacAddress: str
    IPv4Address: str
    IPv6Address: str


class Network(Document):
    """A network."""

    Name: str
    Id: str
    Created: str
    Scope: str
    Driver: str
    EnableIPv4: bool
    EnableIPv6: bool
    IPAM: Ipam
    Internal: bool
    Attachable: bool
    Containers: dict[str, NetworkContainer] = Field(description="Containers by id.")
    Options: dict[str, str]
    Labels: dict[str, str]


class Volume(Document):
    """A volume."""

    CreatedAt: str
    Driver: str
    Labels: dict[str, str]
    Mountpoint: str = Field(description="The path of its data on the host.")
    Name: str
    Options: dict[str, str]
    Scope: str
