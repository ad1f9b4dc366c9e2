"""Following the output of a container that is removed in the moment in which it ends, and may be so already."""

from __future__ import annotations

import json
import os
import pathlib
import shutil

import pytest

from composer.errors import NotFound
from composer.runtime.base.state import Paths
from composer.runtime.objects.attaching import AttachSession
from composer.runtime.objects.log_reader import Logs, _Reader
from composer.runtime.streams.log import Log


def test_its_last_lines_are_not_lost_with_it(tmp_path: pathlib.Path) -> None:
    (tmp_path / "meta.json").write_text(json.dumps({"auto_remove": True}))
    log = Log(str(tmp_path))
    log.append(0, b"first\n")
    reader = _Reader("id", str(tmp_path))
    assert [line.data for line in reader.new_lines()] == [b"first\n"]
    log.append(0, b"to stdout\n")
    log.append(1, b"to stderr\n")
    log.close()
    shutil.rmtree(tmp_path)
    assert [line.data for line in reader.new_lines()] == [b"to stdout\n", b"to stderr\n"]
    assert len(_open_below(tmp_path)) == 3
    reader.close()
    assert not _open_below(tmp_path)


def _open_below(directory: pathlib.Path) -> list[str]:
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    targets = [os.readlink(link) for link in links if os.path.lexists(link)]
    return [target for target in targets if target.startswith(f"{directory}/")]


def test_one_that_goes_in_the_middle_is_no_error(tmp_path: pathlib.Path) -> None:
    """Of any container: another command may remove it while its log is read."""
    log = Log(str(tmp_path))
    log.append(0, b"first\n")
    log.append(1, b"second\n")
    log.close()
    lines = _Reader("id", str(tmp_path)).new_lines()
    assert next(lines).data == b"first\n"
    shutil.rmtree(tmp_path / "logs")
    assert [line.data for line in lines] == [b"second\n"]


def test_following_what_is_gone_makes_nothing_of_it_again(tmp_path: pathlib.Path) -> None:
    paths = Paths(str(tmp_path / "lib"), str(tmp_path / "run"))
    followed = Logs(paths, ["gone"], follow=True, since_ns=0, until_ns=None, tail=None)
    assert list(followed) == []
    with pytest.raises(NotFound):
        AttachSession(
            paths.container("gone"),
            begin=lambda: (-1, False),
            wait=lambda _: 0,
            kill=lambda _: None,
        )
    assert not (tmp_path / "lib").exists()
