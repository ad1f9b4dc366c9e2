"""How a container of the built-in runtime was made, from its record: `translate` backwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.engine.inspected import Settings
from composer.runtime.base import records
from composer.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMES = ("interval", "timeout", "start_period", "start_interval")


def settings(config: Mapping[str, Any]) -> Settings:
    """Return what an OCI configuration of ours says, in the words of a Compose service."""
    extras, process = records.extras(config), config["process"]
    policy, mode = extras["restart"], str(extras["network"].get("mode") or "")
    name, maximum = policy["policy"], policy["maximum"]
    check = extras.get("health") or {}
    own = (f"HOSTNAME={config.get('hostname')}", "TERM=xterm")  # put there by us
    return Settings(
        environment=dict(text.partition("=")[::2] for text in process["env"] if text not in own),
        healthcheck={
            **({"test": list(check["test"])} if check.get("test") else {}),
            **{key: format_duration(int(check[key])) for key in _TIMES if check.get(key)},
            **({"retries": int(check["retries"])} if check.get("retries") else {}),
        },
        user=str(process["user"].get("name") or ""),
        working_dir=str(process.get("cwd") or ""),
        restart="" if name == "no" else f"{name}:{maximum}" if maximum else name,
        network_mode=mode if mode in ("host", "none") or mode.startswith("container:") else "",
        privileged=bool(extras.get("privileged")),
        read_only=bool(config["root"].get("readonly")),
        tty=bool(process.get("terminal")),
        stdin_open=bool(extras.get("stdin")),
    )
