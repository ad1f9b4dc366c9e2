"""What Docker's bodies ask for and no attribute of a Compose service says: put into the configuration itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.api.models import containers as models
    from composer.runtime.objects.log_options import Configure


def configured(configure: Configure, asked: models.Create) -> Configure:
    """Return a making of a configuration that has the rest of what a client asked for, too."""

    def made(image: Mapping[str, Any]) -> dict[str, Any]:
        config = configure(image)
        host, linux = asked.HostConfig, config["linux"]
        # an empty list hides nothing; only what is not said is the default
        if host.MaskedPaths is not None:
            linux["maskedPaths"] = list(host.MaskedPaths)
        if host.ReadonlyPaths is not None:
            linux["readonlyPaths"] = list(host.ReadonlyPaths)
        for group, values in resources_of(host).items():
            linux["resources"].setdefault(group, {}).update(values)
        rows, columns = host.ConsoleSize or (0, 0)
        if asked.Tty and rows and columns:
            config["process"]["consoleSize"] = {"height": rows, "width": columns}
        return config

    return made


def resources_of(asked: models.Resources) -> dict[str, dict[str, Any]]:
    """Return those of OCI's `linux.resources` that no attribute is for."""
    return {"cpu": {"mems": asked.CpusetMems}} if asked.CpusetMems else {}
