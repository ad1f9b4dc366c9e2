"""What networks take."""

from __future__ import annotations

from composer.api.models.base import Body
from composer.api.models.containers import Endpoint  # noqa: TC001 - pydantic reads it


class Pool(Body):
    Subnet: str = ""
    IPRange: str = ""
    Gateway: str = ""
    AuxiliaryAddresses: dict[str, str] | None = None
    AuxAddress: dict[str, str] | None = None


class Ipam(Body):
    Driver: str = ""
    Options: dict[str, str] | None = None
    Config: list[Pool] | None = None


class Source(Body):
    Network: str = ""


class Create(Body):
    """The body of `POST /networks/create`."""

    Name: str = ""
    CheckDuplicate: bool = False
    Driver: str = ""
    Scope: str = ""
    EnableIPv4: bool | None = None
    EnableIPv6: bool | None = None
    IPAM: Ipam | None = None
    Internal: bool = False
    Attachable: bool = False
    Ingress: bool = False
    ConfigOnly: bool = False
    ConfigFrom: Source | None = None
    Options: dict[str, str] | None = None
    Labels: dict[str, str] | None = None


class Connect(Body):
    """The body of `POST /networks/{id}/connect`."""

    Container: str = ""
    EndpointConfig: Endpoint | None = None


class Disconnect(Body):
    """The body of `POST /networks/{id}/disconnect`."""

    Container: str = ""
    Force: bool = False
