"""How a container is reached and what is mounted in it: ports, networks, mounts, dependencies, health, logs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from composer.schema.views.base import Duration, Labels, Options, SizeText, Texts, View


class Port(View):
    """A published port. ``published`` is a string: a port or a range; None: the engine chooses one."""

    name: str | None = None
    mode: str = "ingress"
    host_ip: str | None = None
    target: int = 0
    published: str | None = None
    protocol: str = "tcp"
    app_protocol: str | None = None


class BindOptions(View):
    """Options of a bind mount. ``selinux`` is ``z`` or ``Z``; ``propagation`` such as ``rslave``."""

    selinux: str | None = None
    propagation: str | None = None
    create_host_path: bool = True
    recursive: str | None = None


class VolumeOptions(View):
    """Options of a volume mount. ``nocopy``: do not copy data from the image; ``subpath`` is in the volume."""

    labels: Labels = {}
    nocopy: bool = False
    subpath: str | None = None


class TmpfsOptions(View):
    """Options of a file system in memory. ``mode`` is a number: 1777 octal is 1023."""

    size: SizeText | None = None
    mode: int = 0


class ImageOptions(View):
    """Options of an image's mount. ``subpath`` is in the image."""

    subpath: str | None = None


class Mount(View):
    """An entry of ``volumes``. ``bind``, ``volume``, ``tmpfs`` and ``image`` are the options of that type.

    ``source`` is a path of the host, a volume of the project or an image; ``target`` the path in the container.
    """

    type: str = ""
    source: str | None = None
    target: str = ""
    read_only: bool = False
    consistency: str | None = None
    bind: BindOptions | None = None
    volume: VolumeOptions | None = None
    tmpfs: TmpfsOptions | None = None
    image: ImageOptions | None = None


class Dependency(View):
    """A dependency of a service. ``restart``: restart it with the other; not ``required``: it starts without it."""

    condition: Literal["service_started", "service_healthy", "service_completed_successfully"] = (
        "service_started"
    )
    restart: bool = False
    required: bool = False


class Endpoint(View):
    """The connection of a service to a network. ``gw_priority`` selects the network of the default gateway."""

    aliases: Texts = ()
    driver_opts: Options = {}
    gw_priority: int = 0
    interface_name: str | None = None
    ipv4_address: str | None = None
    ipv6_address: str | None = None
    link_local_ips: Texts = ()
    mac_address: str | None = None
    priority: int = 0
    use_service_name_alias: bool | None = None


class ModelUse(View):
    """A model that a service uses: the variables that get the model's URL and name."""

    endpoint_var: str | None = None
    model_var: str | None = None


class Healthcheck(View):
    """``test`` begins with NONE, CMD or CMD-SHELL. ``retries`` None is the default, three."""

    test: Texts = ()
    timeout: Duration | None = None
    interval: Duration | None = None
    retries: int | None = None
    start_period: Duration | None = None
    start_interval: Duration | None = None
    disable: bool = False


class Logging(View):
    """The log driver of a service, and its options."""

    driver: str | None = None
    options: Options = {}


class EnvFile(View):
    """A file of variables that has not been read (``config --no-env-resolution``)."""

    path: str = ""
    required: bool = False
    format: str | None = Field(default=None, description="raw: without quotes and interpolation.")
