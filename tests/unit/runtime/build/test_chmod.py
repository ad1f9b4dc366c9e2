"""``--chmod`` in octal and in symbols."""

from __future__ import annotations

import stat

import pytest

from composer.errors import BuildFailed
from composer.runtime.build.context.modes import parse_mode
from composer.runtime.build.context.selecting import target_path

FILE, DIRECTORY = stat.S_IFREG, stat.S_IFDIR


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("755", FILE | 0o600, 0o755),
        ("0644", DIRECTORY | 0o4711, 0o644),
        ("4755", FILE, 0o4755),
        ("00000777", FILE, 0o777),
        ("u=rwX,go=rX", FILE | 0o600, 0o644),
        ("u=rwX,go=rX", FILE | 0o100, 0o755),
        ("u=rwX,go=rX", DIRECTORY | 0o600, 0o755),
        ("+x", FILE | 0o644, 0o755),
        ("a-w", FILE | 0o666, 0o444),
        ("go=", FILE | 0o777, 0o700),
        ("=r", FILE | 0o7777, 0o1444),
        ("u+s", FILE | 0o755, 0o4755),
        ("ug+s", FILE | 0o755, 0o6755),
        ("o+s", FILE | 0o755, 0o755),
        ("+t", DIRECTORY | 0o755, 0o1755),
        ("-t", DIRECTORY | 0o1755, 0o755),
        ("u=rx", FILE | 0o4600, 0o500),
        ("g=u", FILE | 0o750, 0o770),
        ("go=u-w", FILE | 0o700, 0o755),
        ("o+g", FILE | 0o741, 0o745),
        ("o-u", FILE | 0o707, 0o700),
        ("u+r-w", FILE | 0o200, 0o400),
        ("-X", FILE | 0o755, 0o644),
        ("u-x,+X", FILE | 0o700, 0o711 | 0o100),
        ("a+X", FILE | 0o600, 0o600),
    ],
)
def test_permissions(text: str, before: int, after: int) -> None:
    assert oct(parse_mode(text).apply(before)) == oct(after)


@pytest.mark.parametrize(
    "text", ["", "8", "77777", "0o755", "7a", "foo", "u", "u=rw,", ",u=r", "u=q", "-", "x", "u=r g=r"]
)
def test_what_is_no_mode_is_refused(text: str) -> None:
    if text == "-":
        assert parse_mode(text).apply(FILE | 0o640) == 0o640  # nothing taken away, as chmod(1) has it
        return
    with pytest.raises(BuildFailed, match="invalid chmod parameter"):
        parse_mode(text)


@pytest.mark.parametrize(
    ("target", "workdir", "path"),
    [
        ("/x", "/", "/x"),
        ("/x/", "/", "/x/"),
        ("x", "/w", "/w/x"),
        (".", "/w", "/w/"),
        ("./", "/w", "/w/"),
        ("", "/w", "/w/"),
        ("/", "/w", "/"),
        (".", "/", "/"),
        ("../../../y", "/w/v", "/y"),
        ("a//b/../c/", "w", "/w/a/c/"),
        ("//x", "/", "/x"),
    ],
)
def test_targets(target: str, workdir: str, path: str) -> None:
    assert target_path(target, workdir) == path
