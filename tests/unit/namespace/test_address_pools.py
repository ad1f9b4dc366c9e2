"""``address_pools`` of the configuration file, as the built-in runtime takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer.backends.namespace.networkoptions import address_pools
from composer.errors import ProjectError


def _written(tmp_path: Path, text: str) -> dict[str, str]:
    directory = tmp_path / "composer"
    directory.mkdir(exist_ok=True)
    (directory / "config.toml").write_text(text)
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def test_pools_in_their_order(tmp_path: Path) -> None:
    text = """
        [[address_pools]]
        base = "10.200.0.0/16"
        size = 24
        [[address_pools]]
        base = "fd00:1::/48"
        size = 64
    """
    assert address_pools(_written(tmp_path, text)) == (("10.200.0.0/16", 24), ("fd00:1::/48", 64))
    assert address_pools(_written(tmp_path, "")) == ()
    assert address_pools({"HOME": "/nowhere"}) == ()


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ('base = "10.0.0.0/8"', "address_pools[0]: 'size' is required"),
        ('base = "10.0.0.0/24"\nsize = 16', "address_pools[0]: size 16 does not fit pool 10.0.0.0/24"),
        ('base = "ten/8"\nsize = 16', "address_pools[0]: invalid IP address 'ten'"),
    ],
)
def test_what_is_no_pool_is_refused_with_its_place(tmp_path: Path, entry: str, reason: str) -> None:
    with pytest.raises(ProjectError) as caught:
        address_pools(_written(tmp_path, f"[[address_pools]]\n{entry}\n"))
    assert reason in str(caught.value)
