"""Mounts of RUN once their variables are known."""

from __future__ import annotations

import pytest

from composer.runtime.build.dockerfile.instructions import Mount
from composer.runtime.build.dockerfile.mounts import expanded, is_readonly, parse_mount

VALUES = {"t": "Cache", "mode": "0700", "bad": "x", "dir": "/a b", "empty": ""}


def mount(text: str) -> Mount:
    found, faults = parse_mount(text)
    assert not faults
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type=$t,target=$dir/x,mode=$mode", Mount("cache", {"target": "/a b/x", "mode": "0700"})),
        ("type=tmpfs,size=${none:-1g}", Mount("tmpfs", {"size": "1g"})),
        (
            "type=secret,id=$t$none,required=${none:-true}",
            Mount("secret", {"id": "Cache", "required": "true"}),
        ),
        (r"target=\$t", Mount("bind", {"target": "$t"})),
    ],
)
def test_variables_are_replaced(text: str, expected: Mount) -> None:
    assert expanded(mount(text), VALUES) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type=$bad", "unknown mount type 'x'"),
        ("type=$t,mode=$bad", "invalid mode 'x'"),
        ("type=$t,size=1m", "'size' is not for type cache"),
        ("type=bind,ro=$bad", "invalid boolean 'x'"),
        ("type=secret,id=$empty", "names no secret"),
        ("target=${t", "substitution has no '}'"),
        ("type=cache,sharing=$bad", "unknown value 'x'"),
    ],
)
def test_what_the_variables_make_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("'", ".").replace("}", ".")):
        expanded(mount(text), VALUES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type=bind", True),
        ("type=bind,rw", False),
        ("type=bind,rw=false", True),
        ("type=bind,ro=false", False),
        ("type=bind,rw,ro", True),
        ("type=bind,ro,rw", False),
        ("type=cache", False),
        ("type=cache,ro", True),
        ("type=tmpfs", False),
        ("type=secret,id=a", True),
    ],
)
def test_read_only(text: str, expected: bool) -> None:
    assert is_readonly(expanded(mount(text), {})) == expected
