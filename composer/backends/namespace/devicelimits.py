"""Devices that a service asks for and nothing on this machine describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.engine.wanted import Limitation
from composer.runtime.host import devices

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_SPECIFICATION = (
    "describe it in /etc/cdi; for GPUs of NVIDIA: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
)


def limits(value: Any) -> list[Limitation]:
    """Say what of ``devices`` nothing on this machine describes."""
    return [
        _limitation(("devices", index), [str(device["source"])])
        for index, device in enumerate(value or ())
        if devices.is_described(str(device.get("source", ""))) and not _is_there([str(device["source"])])
    ]


def request_limits(path: tuple[str | int, ...], value: Any) -> list[Limitation]:
    """Say what of ``gpus``, or of the devices that ``deploy`` reserves, cannot be had."""
    found = []
    wanted = [{"count": "all"}] if value == "all" else value or ()
    for index, one in enumerate(wanted):
        capabilities = set(one.get("capabilities") or ("gpu",))
        place = path if value == "all" else (*path, index)
        try:
            names = (
                devices.names_of(one, devices.specifications())
                if "gpu" in capabilities or one.get("driver") == "cdi"
                else []
            )
        except ValueError as error:
            found.append(Limitation(place, str(error), hint=_NO_SPECIFICATION))
            continue
        if not names or not _is_there(names):
            found.append(_limitation(place, names or sorted(capabilities)))
        if one.get("options"):
            reason = "CDI specifications have no options: they are for the device drivers of an engine"
            found.append(Limitation((*place, "options"), reason, fatal=False))
    return found


def _is_there(names: Sequence[str]) -> bool:
    known = {f"{one.kind}={name}" for one in devices.specifications() for name in one.devices}
    return known.issuperset(names)


def _limitation(path: tuple[str | int, ...], names: Sequence[str]) -> Limitation:
    shown = ", ".join(f"'{name}'" for name in names)
    return Limitation(
        path, f"no CDI specification for device {shown} on this machine", hint=_NO_SPECIFICATION
    )
