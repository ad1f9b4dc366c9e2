"""Names of images, in full and as people write them."""

from __future__ import annotations

import pytest

from composer.errors import ImageError
from composer.registry import reference

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
    found = reference.parse(written)
    assert (str(found), found.familiar()) == (full, familiar)
    assert reference.parse(full) == reference.parse(familiar) == found


@pytest.mark.parametrize(
    "written",
    ["", ":", "redis:", "Redis", "a//b", "/a", "a/", "a b", "redis:-x", "redis:" + "t" * 129, "a@sha256:12",
     "a@md5:" + "0" * 32, "-a", "a___b", "../etc/passwd", "a:b:c", "ho_st.io/a", "a" * 256],
)  # fmt: skip
def test_what_is_no_reference_is_refused(written: str) -> None:
    with pytest.raises(ImageError, match="not an image reference"):
        reference.parse(written)


def test_ids() -> None:
    assert reference.id_prefix("a" * 12) == "a" * 12
    assert reference.id_prefix("sha256:" + "0" * 64) == "0" * 64
    assert reference.id_prefix("a" * 11) is None
    assert reference.id_prefix("redis") is None
