"""What services use: networks, volumes, configs, secrets, models."""

from __future__ import annotations

from composer.schema.views.base import Labels, Options, Texts, View


class Pool(View):
    """Addresses of a network: ``subnet`` and ``ip_range`` as address/length, ``aux_addresses`` by host name."""

    subnet: str | None = None
    gateway: str | None = None
    ip_range: str | None = None
    aux_addresses: Options = {}


class Ipam(View):
    """The address management of a network."""

    driver: str | None = None
    config: tuple[Pool, ...] = ()
    options: Options = {}


class Network(View):
    """A network. ``name`` is its real name; an ``external`` one is neither created nor removed."""

    name: str = ""
    driver: str | None = None
    driver_opts: Options = {}
    ipam: Ipam = Ipam()
    external: bool = False
    internal: bool = False
    attachable: bool = False
    labels: Labels = {}
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None


class Volume(View):
    """A named volume. ``name`` is its real name; an ``external`` one is neither created nor removed."""

    name: str = ""
    driver: str | None = None
    driver_opts: Options = {}
    external: bool = False
    labels: Labels = {}


class _FileObject(View):
    """What configs and secrets share: a file of the host (absolute path), or the value of a variable."""

    name: str = ""
    file: str | None = None
    environment: str | None = None
    external: bool = False
    labels: Labels = {}
    template_driver: str | None = None


class Config(_FileObject):
    """A config: from a host file, with inline content, or from a variable."""

    content: str | None = None


class Secret(_FileObject):
    """A secret: from a host file, from a variable, or from a driver."""

    driver: str | None = None
    driver_opts: Options = {}


class Model(View):
    """An AI model that services use. ``context_size`` is in tokens; 0 is the default of the model."""

    name: str | None = None
    model: str = ""
    context_size: int = 0
    runtime_flags: Texts = ()
