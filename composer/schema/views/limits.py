"""What a container may use: limits of the kernel, devices, and the speed of disks."""

from __future__ import annotations

from pydantic import Field

from composer.schema.views.base import Labels, SizeText, Texts, View


class Ulimit(View):
    """The limits of one resource (``setrlimit``), in the unit of that resource; -1 is unlimited, a missing one is 0.

    ``single`` stands for both. The schema does not know it: it comes through where a limit's name has upper case.
    """

    single: int = 0
    soft: int = 0
    hard: int = 0


class Device(View):
    """A device of the host in a container. ``permissions`` are of ``r``, ``w`` and ``m``."""

    source: str = ""
    target: str | None = None
    permissions: str | None = None


class DeviceRequest(View):
    """A request for devices of a driver, such as GPUs. ``count`` -1 is all of them; 0 is unset."""

    capabilities: Texts = ()
    driver: str | None = None
    count: int = 0
    device_ids: Texts = ()
    options: Labels = {}


class BlockRate(View):
    """A rate limit of a block device, in bytes or operations per second, as a string of digits."""

    path: str = Field(default="", alias="Path")
    rate: SizeText = Field(default="0", alias="Rate")


class BlockWeight(View):
    """A block device's share of the disk time, 10 to 1000."""

    path: str = Field(default="", alias="Path")
    weight: int = Field(default=0, alias="Weight")


class BlockIO(View):
    """Shares and limits of block devices. ``weight`` is from 10 to 1000; 0 is none.

    The canonical form writes the fields of the entries with capitals, as docker compose does.
    """

    weight: int = 0
    weight_device: tuple[BlockWeight, ...] = ()
    device_read_bps: tuple[BlockRate, ...] = ()
    device_read_iops: tuple[BlockRate, ...] = ()
    device_write_bps: tuple[BlockRate, ...] = ()
    device_write_iops: tuple[BlockRate, ...] = ()


class CredentialSpec(View):
    """Windows credentials: a config of the project, a file, or a key of the registry."""

    config: str | None = None
    file: str | None = None
    registry: str | None = None
