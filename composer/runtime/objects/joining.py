"""Connecting a container to networks after it was created, and taking it out of them.

What a container gets at its start is in its files, and changing these is all there is to do for one that does not
run. One that runs is then brought to what they say by its supervisor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.runtime.base import records, state

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.runtime.base.record_types import EndpointRequest, NetworkRecord
    from composer.runtime.objects import specs
    from composer.runtime.objects.networks import Networks


def connect(directory: str, endpoint: specs.Endpoint, networks: Networks) -> list[EndpointRequest]:
    """Write down that a container joins a network; return the endpoints that it had."""
    record = networks.request(endpoint)

    def add(endpoints: list[EndpointRequest]) -> list[EndpointRequest]:
        return [*(e for e in endpoints if e["network"] != record["network"]), record]

    return _rewrite(directory, add)


def disconnect(directory: str, network: NetworkRecord) -> list[EndpointRequest]:
    """Write down that a container leaves a network; return the endpoints that it had."""
    return _rewrite(directory, lambda endpoints: [e for e in endpoints if e["network_id"] != network["id"]])


def restore(directory: str, endpoints: list[EndpointRequest]) -> None:
    """Write down the endpoints that it had before."""
    _rewrite(directory, lambda _: endpoints)


def _rewrite(
    directory: str, change: Callable[[list[EndpointRequest]], list[EndpointRequest]]
) -> list[EndpointRequest]:
    """Change the endpoints in the configuration, and what is shown of them; the configuration is what counts.

    Return what they were.
    """
    config = state.config_of(directory)
    network = records.extras(config)["network"]
    before = list(network.get("endpoints", ()))
    endpoints = change(list(before))
    network["endpoints"] = endpoints
    records.write_config(directory, config)
    meta = records.meta(directory)
    if meta is not None:
        meta["networks"] = [[e["network"], e["network_id"]] for e in endpoints]
        meta["aliases"] = {e["network"]: e["aliases"] for e in endpoints}
        records.write_meta(directory, meta)
    return before
