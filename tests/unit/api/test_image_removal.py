"""The removal of some of an image's platforms: all of them, or refused."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlencode

import pytest

from composer.api.http.call import Call, Query
from composer.api.http.problems import Problem
from composer.api.images import changing, finding
from composer.runtime.images import Image
from composer.runtime.images.removal import Removed


def remove(monkeypatch: pytest.MonkeyPatch, *platforms: str, version: tuple[int, int] = (1, 51)) -> list[str]:
    """Return which names a request with these platforms removes, of an image of two platforms."""
    other = Image("sha256:" + "b" * 64, (), (), {}, platform="linux/arm64")
    found = Image("sha256:" + "a" * 64, ("x:1",), (), {}, platform="linux/amd64", others=(other,))
    monkeypatch.setattr(finding, "image", lambda world, name: found)
    removed: list[str] = []

    def take(name: str, **how: Any) -> Removed:
        removed.append(name)
        return Removed()

    store = SimpleNamespace(find=lambda id: None)
    world = SimpleNamespace(
        engine=SimpleNamespace(images=SimpleNamespace(remove=take)),
        core=SimpleNamespace(store=store, metas=list),
    )
    said = [dict(zip(("os", "architecture"), text.split("/"), strict=True)) for text in platforms]
    query = Query(urlencode([("platforms", json.dumps(one)) for one in said]))
    call = SimpleNamespace(world=world, parameters={"name": "x:1"}, query=query, version=version)
    changing.remove(cast("Call", call))
    return removed


def test_all_platforms_are_removed_with_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert remove(monkeypatch) == ["x:1"]
    assert remove(monkeypatch, "linux/arm64", "linux/amd64") == ["x:1"]


def test_a_part_of_them_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Problem, match=r"platforms is not supported .* x:1 has linux/amd64, too") as caught:
        remove(monkeypatch, "linux/arm64")
    assert caught.value.status == 501


def test_a_platform_that_there_is_not_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Problem, match="has no platform linux/s390x") as caught:
        remove(monkeypatch, "linux/s390x")
    assert caught.value.status == 404


def test_older_clients_know_no_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    assert remove(monkeypatch, "linux/arm64", version=(1, 49)) == ["x:1"]
