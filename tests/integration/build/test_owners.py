"""``--chown``: names become numbers by the files of the image that is written to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from composer.errors import BuildFailed
from composer.runtime.build.context.owners import resolve_owner
from tests.integration.build.places import opened, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    users = ("root:x:0:0", "# jo:x:1:1", "jo:x:7:8", "12:x:55:56", "bad:x:no:1", "big:x:4294967295:1")
    write(tmp_path / "etc/passwd", "".join(f"{user}::/:/bin/sh\n" for user in users))
    write(tmp_path / "etc/group", "root:x:0:\nteam:x:9:jo\n")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("jo", (7, 8)),
        ("jo:team", (7, 9)),
        ("jo:5", (7, 5)),
        ("jo:", (7, 0)),
        ("5", (5, 5)),
        ("5:team", (5, 9)),
        ("5:6", (5, 6)),
        ("12", (12, 12)),
        (":team", (0, 9)),
        ("0", (0, 0)),
        ("4294967294", (4294967294, 4294967294)),
    ],
)
def test_owners(text: str, owner: tuple[int, int], root: Path) -> None:
    with opened(root) as fd:
        assert resolve_owner(fd, text) == owner


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("none", "unable to find user 'none': no matching entries in /etc/passwd"),
        ("jo:none", "unable to find group 'none': no matching entries in /etc/group"),
        ("jo:team:x", "invalid chown parameter: 'jo:team:x'"),
        ("-1", "unable to find user '-1'"),
        ("4294967295", "is out of range"),
        ("99999999999999999999", "is out of range"),
        ("5:4294967295", "is out of range"),
        ("bad", "invalid chown parameter"),
        ("big", "is out of range"),
        ("# jo", "unable to find user '# jo'"),
    ],
)
def test_what_is_no_owner(text: str, message: str, root: Path) -> None:
    with opened(root) as fd, pytest.raises(BuildFailed) as caught:
        resolve_owner(fd, text)
    assert message in str(caught.value)


def test_without_a_passwd_file(tmp_path: Path) -> None:
    with opened(tmp_path) as fd:
        assert resolve_owner(fd, "5:6") == (5, 6)
        with pytest.raises(BuildFailed, match="unable to find user 'jo'"):
            resolve_owner(fd, "jo")


def test_a_passwd_file_elsewhere(tmp_path: Path) -> None:
    """It is looked up in the image, whatever it is there: not this machine's, no FIFO, nothing without an end."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    write(tmp_path / "passwd", "jo:x:7:8::/:\n")
    (root / "etc/passwd").symlink_to("../../passwd")
    os.mkfifo(root / "etc/group")
    with opened(root) as fd:
        for text in ("jo", "5:team"):
            with pytest.raises(BuildFailed, match="unable to find"):
                resolve_owner(fd, text)
        os.unlink(root / "etc/passwd")
        with open(root / "etc/passwd", "wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(BuildFailed, match="exceeds 10 MiB"):
            resolve_owner(fd, "jo")
