"""What the doctor calls left over on Docker Engine."""

from __future__ import annotations

from typing import Any

from composer.backends.docker import doctor


class Engine:
    """Answers of an engine: networks that its filter calls dangling, and containers."""

    def __init__(self, networks: list[str], containers: list[dict[str, Any]]) -> None:
        self._answers = {"/networks": [{"Name": name} for name in networks], "/containers/json": containers}

    def get(self, path: str, query: dict[str, Any]) -> list[dict[str, Any]]:
        return self._answers[path]


def test_a_network_that_a_container_has_is_in_use_whatever_the_filter_says() -> None:
    """The hint is to remove it: that would stop a project that runs."""
    containers = [{"NetworkSettings": {"Networks": {"shop_default": {}}}}, {"NetworkSettings": None}]
    (found,) = doctor._networks(Engine(["shop_default", "old_default"], containers))  # type: ignore[arg-type]
    assert found.text.endswith(": old_default")
    (found,) = doctor._networks(Engine(["shop_default"], containers))  # type: ignore[arg-type]
    assert found.text == "none"
