"""Names of images, in full and as people write them."""

from __future__ import annotations

import pytest

from composer import references
from composer.errors import ImageError

_DIGEST = "sha256:" + "a" * 64
_NAMES = [
    ("redis", "docker.io/library/redis:latest", "redis:latest"),
    ("redis:7-alpine", "docker.io/library/redis:7-alpine", "redis:7-alpine"),
    ("docker.io/redis", "docker.io/library/redis:latest", "redis:latest"),
    ("index.docker.io/library/redis", "docker.io/library/redis:latest", "redis:latest"),
    ("me/app", "docker.io/me/app:latest", "me/app:latest"),
    ("me/library/app", "docker.io/me/library/app:latest", "me/library/app:latest"),
    ("ghcr.io/me/app:v1", "ghcr.io/me/app:v1", "ghcr.io/me/app:v1"),
    ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
    ("localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"),
    ("[::1]:5000/app:v1", "[::1]:5000/app:v1", "[::1]:5000/app:v1"),
    ("UPPER/app", "UPPER/app:latest", "UPPER/app:latest"),
    ("a__b/c-d.e", "docker.io/a__b/c-d.e:latest", "a__b/c-d.e:latest"),
    (f"redis@{_DIGEST}", f"docker.io/library/redis@{_DIGEST}", f"redis@{_DIGEST}"),
    (f"redis:7@{_DIGEST}", f"docker.io/library/redis:7@{_DIGEST}", f"redis:7@{_DIGEST}"),
]


@pytest.mark.parametrize(("written", "full", "familiar"), _NAMES)
def test_full_and_familiar(written: str, full: str, familiar: str) -> None:
    found = references.parse(written)
    assert (str(found), found.familiar()) == (full, familiar)
    assert references.parse(full) == references.parse(familiar) == found


@pytest.mark.parametrize(
    "written",
    ["", ":", "redis:", "Redis", "a//b", "/a", "a/", "a b", "redis:-x", "redis:" + "t" * 129, "a@sha256:12",
     "a@md5:" + "0" * 32, "-a", "a___b", "../etc/passwd", "a:b:c", "a:b/c", "a@", "@", "ho_st.io/a", "a" * 256],
)  # fmt: skip
def test_what_is_no_reference_is_refused(written: str) -> None:
    with pytest.raises(ImageError, match="invalid reference format"):
        references.parse(written)


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("", ("", None, None)),
        ("redis", ("redis", None, None)),
        ("redis:", ("redis", "", None)),
        ("localhost:5000/a/b", ("localhost:5000/a/b", None, None)),
        ("[::1]:5000/a:1.2", ("[::1]:5000/a", "1.2", None)),
        ("a:1@sha256:12", ("a", "1", "sha256:12")),
        ("a@", ("a", None, "")),
        ("No Name!", ("No Name!", None, None)),
        ("<none>:<none>", ("<none>", "<none>", None)),
    ],
)
def test_any_text_is_taken_apart_as_it_is_written(
    written: str, parts: tuple[str, str | None, str | None]
) -> None:
    assert references.split(written) == parts


@pytest.mark.parametrize(
    ("written", "is_latest"),
    [
        ("redis", True),
        ("redis:latest", True),
        ("localhost:5000/redis", True),
        ("redis:7", False),
        (f"redis@{_DIGEST}", False),
        (f"redis:latest@{_DIGEST}", False),
    ],
)
def test_what_floats(written: str, is_latest: bool) -> None:
    assert references.is_latest(written) is is_latest


@pytest.mark.parametrize(("written", "full", "familiar"), _NAMES)
def test_a_name_alone(written: str, full: str, familiar: str) -> None:
    parsed = references.parse(written)
    assert parsed.familiar_name() == references.split(familiar).name
    assert references.full_name(references.split(written).name) == parsed[:2]


def test_ids() -> None:
    assert references.id_prefix("a" * 12) == "a" * 12
    assert references.id_prefix("sha256:" + "0" * 64) == "0" * 64
    assert references.id_prefix("a" * 11) is None
    assert references.id_prefix("redis") is None
