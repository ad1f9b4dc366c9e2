"""Platforms of images: how they are written, which one fits, and what a build of several makes of them."""

from __future__ import annotations

import pytest

from composer.errors import BuildFailed, ImageError
from composer.runtime.build import outputs, platforms, several
from composer.runtime.build.requests import Request
from composer.runtime.images import Image, indexes, manifests


@pytest.mark.parametrize(
    ("whole", "text"),
    [
        ({"os": "linux", "architecture": "arm64", "variant": "v8"}, "linux/arm64"),
        ({"os": "linux", "architecture": "arm", "variant": "v7"}, "linux/arm/v7"),
        ({"architecture": "amd64", "variant": "v1"}, "linux/amd64"),
        ({"architecture": "amd64", "variant": "v3"}, "linux/amd64/v3"),
        ({"architecture": "arm"}, "linux/arm/v7"),
        ({"architecture": "arm64", "variant": "8"}, "linux/arm64"),
        ({"architecture": "aarch64"}, "linux/arm64"),
    ],
)
def test_a_platform_is_written_in_one_way(whole: dict[str, str], text: str) -> None:
    assert indexes.platform_of(whole) == text
    assert str(platforms.parse(text)) == text
    assert indexes.platform_of(indexes.as_descriptor(text)) == text


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        ("linux/arm64", ["amd64", "arm64/v8"], "arm64/v8"),
        ("linux/arm/v7", ["arm/v5", "arm/v6", "arm64"], "arm/v6"),
        ("linux/arm/v6", ["arm/v7", "arm/v5"], "arm/v5"),
        ("linux/amd64", ["amd64/v3", "amd64"], "amd64"),
        ("linux/amd64/v3", ["amd64", "amd64/v2", "amd64/v4"], "amd64/v2"),
        ("linux/s390x", ["s390x"], "s390x"),
        ("linux/arm/v6", ["arm/v7"], ""),
        ("linux/amd64", ["amd64/v2"], ""),
        ("linux/s390x", ["amd64"], ""),
    ],
)
def test_the_best_that_a_platform_runs_is_chosen(wanted: str, offered: list[str], chosen: str) -> None:
    choices = [{"platform": indexes.as_descriptor(f"linux/{one}")} for one in offered]
    if chosen:
        assert manifests.choose(choices, wanted) == choices[offered.index(chosen)]
        return
    with pytest.raises(ImageError, match=f"no matching manifest for {wanted} "):
        manifests.choose(choices, wanted)


def test_platforms_are_built_once_each() -> None:
    found = platforms.wanted(["amd64", "linux/x86_64", "linux/arm64/v8", "linux/arm64"])
    assert list(map(str, found)) == ["linux/amd64", "linux/arm64"]
    assert platforms.wanted([]) == [platforms.native()]
    with pytest.raises(BuildFailed, match="only linux is supported"):
        platforms.wanted(["linux/amd64", "darwin/arm64"])


def test_dockers_archive_is_for_one_platform() -> None:
    request = Request("/x", outputs=[outputs.parse("type=docker,dest=/y")])
    several.check_outputs(request, platforms.wanted(["amd64"]))
    with pytest.raises(BuildFailed, match=r"type=docker is for one platform.*linux/amd64, linux/arm64"):
        several.check_outputs(request, platforms.wanted(["amd64", "arm64"]))


def test_what_differs_is_said() -> None:
    other = Image("b", (), (), {}, platform="linux/arm64")
    current = Image("a", (), (), {}, platform="linux/amd64", others=(other,))
    assert several.difference(current, ["b", "a"]) == ""
    assert several.difference(current, ["a", "c"]) == "its configuration changed"
    assert several.difference(current, ["a"]) == "its platforms changed"
