"""COPY beside BuildKit: each case is built by `docker buildx build`, and copied by us into a directory.

Compared are names, types, modes, owners, contents, links, device numbers, extended attributes and the times of files;
not the times of directories and of what is made of sockets, which differ from one build of BuildKit's to the next.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from composer.errors import BuildFailed
from tests.conftest import ENGINE
from tests.integration.build.cases import CASES, Case
from tests.integration.build.places import Thing, contents, copied, things

pytestmark = [pytest.mark.docker, pytest.mark.root]

_LETTERS = {
    tarfile.REGTYPE: "f",
    tarfile.DIRTYPE: "d",
    tarfile.SYMTYPE: "l",
    tarfile.FIFOTYPE: "p",
    tarfile.CHRTYPE: "c",
    tarfile.BLKTYPE: "b",
}
_XATTR = "SCHILY.xattr."


def in_archive(path: Path) -> Mapping[str, Thing]:
    """Return what is in a tar by name; a hard link is what it leads to."""
    found: dict[str, Thing] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.rstrip("/")
            if member.islnk():
                found[name] = found[member.linkname]
                continue
            kind, what = _LETTERS[member.type], member.linkname
            if kind == "f":
                file = archive.extractfile(member)
                assert file is not None
                what = contents(file.read())
            elif kind in "cb":
                what = f"{member.devmajor}:{member.devminor}"
            xattrs = tuple(
                sorted(
                    (key.removeprefix(_XATTR), value.encode("utf-8", "surrogateescape"))
                    for key, value in member.pax_headers.items()
                    if key.startswith(_XATTR)
                )
            )
            time = int(member.mtime) if kind == "f" and member.size else 0
            found[name] = Thing(kind, member.mode, (member.uid, member.gid), what, time, xattrs)
    return found


def built(case: Case, context: Path, scratch: Path) -> Mapping[str, Thing] | str:
    """Return what BuildKit makes of a case, or what it says of it."""
    if not shutil.which("docker"):
        pytest.skip("needs docker's command")
    lines = "\n".join(one.text() for one in case.lines)
    (scratch / "Dockerfile").write_text(f"FROM scratch\n{lines}\n")
    output = scratch / "out.tar"
    command = ["docker", "buildx", "build", "--no-cache", "--provenance=false", "--progress=plain"]
    command += [f"--output=type=tar,dest={output}", "--file", str(scratch / "Dockerfile"), str(context)]
    environment = {**os.environ, "DOCKER_HOST": os.environ[ENGINE]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        assert "failed to build" in done.stderr, done.stderr
        return done.stderr.strip().splitlines()[-1]
    return in_archive(output)


def ours(case: Case, context: Path, root: Path) -> Mapping[str, Thing] | str:
    try:
        for one in case.lines:
            copied(
                context,
                root,
                one.sources,
                one.target,
                chown=one.chown,
                chmod=one.chmod,
                excludes=one.excludes,
                unpacks=one.name == "ADD",
            )
    except BuildFailed as error:
        return str(error)
    return things(root)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_copies_as_buildkit_does(case: Case, tmp_path: Path) -> None:
    context, root, scratch = tmp_path / "context", tmp_path / "root", tmp_path / "scratch"
    for path in (context, root, scratch):
        path.mkdir()
    case.make(context)
    theirs, mine = built(case, context, scratch), ours(case, context, root)
    if isinstance(theirs, str) or isinstance(mine, str):
        assert isinstance(theirs, str) and isinstance(mine, str), (theirs, mine)
    assert mine == theirs or isinstance(mine, str)
