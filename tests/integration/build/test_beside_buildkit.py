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
from composer.runtime.build.context.adding import Fetching, copy_parts, gathered
from composer.runtime.build.context.modes import parse_mode
from composer.runtime.build.context.owners import resolve_owner
from composer.runtime.build.context.trees import Tree
from composer.runtime.build.dockerfile.instructions import Add, Copy, Heredoc, Place
from tests.conftest import ENGINE
from tests.integration.build.cases import CASES, Case, line
from tests.integration.build.places import Thing, contents, copied, opened, things, write
from tests.integration.build.servers import Answer, Repositories, Server, packed

pytestmark = [pytest.mark.docker, pytest.mark.beside, pytest.mark.root]

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
    return built_from("\n".join(one.text() for one in case.lines), context, scratch)


def built_from(lines: str, context: Path, scratch: Path) -> Mapping[str, Thing] | str:
    """Build a stage from scratch with these instructions."""
    if not shutil.which("docker"):
        pytest.skip("needs docker's command")
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


# ---------------------------------------------------------------------------- URLs, repositories and inline files

_FETCHED = (
    "ADD SERVER/d/a.txt /x/",
    "ADD SERVER/d/a.txt /x",
    "ADD SERVER/dated /x/",
    "ADD SERVER/ /x/",
    "ADD SERVER/named/ /x/",
    "ADD SERVER/a.tar /x/",
    "ADD --unpack=true SERVER/a.tar /x/",
    "ADD --unpack=true SERVER/d/a.txt /x/",
    "ADD --chown=5:6 SERVER/d/a.txt /x/y/",
    "ADD --chmod=644 SERVER/d/a.txt /x/y/",
    "ADD --checksum=sha256:982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1 SERVER/d/a.txt /x/",
    "ADD --checksum=sha256:0000000000000000000000000000000000000000000000000000000000000000 SERVER/d/a.txt /x/",
    "ADD SERVER/missing /x/",
    "ADD SERVER/d/a.txt local SERVER/dated /x/",
)


@pytest.mark.parametrize("text", _FETCHED)
def test_fetches_as_buildkit_does(text: str, server: Server, fetching: Fetching, tmp_path: Path) -> None:
    context, root, scratch = tmp_path / "context", tmp_path / "root", tmp_path / "scratch-of-buildkit"
    for path in (context, root, scratch):
        path.mkdir()
    write(context / "local")
    server.answers = {
        "/d/a.txt": [Answer(b"text")],
        "/dated": [Answer(b"dated", headers={"Last-Modified": "Fri, 14 Jul 2017 02:40:00 GMT"})],
        "/": [Answer(b"nameless")],
        "/named/": [Answer(b"named")],
        "/a.tar": [Answer(packed("f", "d/g"))],
    }
    one = line(text.replace("SERVER", server.url))
    flags = dict(word[2:].partition("=")[::2] for word in text.split() if word.startswith("--"))
    instruction = Add(
        Place(1),
        text,
        one.sources,
        one.target,
        checksum=flags.get("checksum", ""),
        unpack=True if "unpack" in flags else None,
    )
    extra = "".join(f" --{key}={flags[key]}" for key in ("checksum", "unpack") if key in flags)
    theirs = built_from(one.text().replace("ADD", f"ADD{extra}", 1), context, scratch)
    mine: Mapping[str, Thing] | str
    try:
        with (
            opened(context) as tree_fd,
            opened(root) as root_fd,
            gathered(instruction, Tree(tree_fd, owner=(0, 0)), fetching) as parts,
        ):
            owner = resolve_owner(root_fd, one.chown) if one.chown else None
            copy_parts(parts, root_fd, owner=owner, mode=parse_mode(one.chmod) if one.chmod else None)
        mine = things(root)
    except BuildFailed as error:
        mine = str(error)
    assert isinstance(mine, str) is isinstance(theirs, str), (mine, theirs)
    assert isinstance(mine, str) or mine == theirs


def test_inline_files_as_buildkit_does(fetching: Fetching, tmp_path: Path) -> None:
    context, root, scratch = tmp_path / "context", tmp_path / "root", tmp_path / "scratch-of-buildkit"
    for path in (context, root, scratch):
        path.mkdir()
    text = (
        "COPY --chown=5:6 <<one <<two /x/\nfirst\none\nsecond\ntwo\nCOPY --chmod=750 <<three /y\nthird\nthree"
    )
    theirs = built_from(text, context, scratch)
    with opened(context) as tree_fd, opened(root) as root_fd:
        tree = Tree(tree_fd, owner=(0, 0))
        files = (Heredoc("one", "first\n"), Heredoc("two", "second\n"))
        with gathered(Copy(Place(1), "", (), "/x/", files), tree, fetching) as parts:
            copy_parts(parts, root_fd, owner=(5, 6))
        with gathered(Copy(Place(1), "", (), "/y", (Heredoc("three", "third\n"),)), tree, fetching) as parts:
            copy_parts(parts, root_fd, mode=parse_mode("750"))
    assert isinstance(theirs, dict)
    # they are made now
    assert {name: thing._replace(time=0) for name, thing in things(root).items()} == {
        name: thing._replace(time=0) for name, thing in theirs.items()
    }


@pytest.mark.parametrize(
    ("rest", "flags"),
    [("#v1", ""), ("", ""), ("#:sub", ""), ("?branch=both", ""), ("#none", ""), ("#both", "--chown=5:6")],
)
def test_repositories_as_buildkit_does(
    rest: str, flags: str, repositories: Repositories, fetching: Fetching, tmp_path: Path
) -> None:
    context, root, scratch = tmp_path / "context", tmp_path / "root", tmp_path / "scratch-of-buildkit"
    for path in (context, root, scratch):
        path.mkdir()
    source = f"{repositories.server.url}/main.git{rest}"
    theirs = built_from(f"ADD {flags} {source} /x/", context, scratch)
    mine: Mapping[str, Thing] | str
    try:
        with (
            opened(context) as tree_fd,
            opened(root) as root_fd,
            gathered(Add(Place(1), "", (source,), "/x/"), Tree(tree_fd), fetching) as parts,
        ):
            copy_parts(parts, root_fd, owner=(5, 6) if flags else None)
        mine = things(root)
    except BuildFailed as error:
        mine = str(error)
    assert isinstance(mine, str) is isinstance(theirs, str), (mine, theirs)
    if not isinstance(mine, str) and not isinstance(theirs, str):
        # of when they were checked out
        assert {name: thing._replace(time=0) for name, thing in mine.items()} == {
            name: thing._replace(time=0) for name, thing in theirs.items()
        }
