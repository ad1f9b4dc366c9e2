"""Git repositories of this machine's servers as sources: references, checksums, submodules, and what is kept."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from composer.errors import BuildFailed
from composer.runtime.build.context.git import Git
from composer.runtime.build.context.git_references import GitReference, parse_git_reference
from tests.integration.build.places import things
from tests.integration.build.servers import Repositories, commit, git

pytestmark = pytest.mark.root


@pytest.fixture
def program(tmp_path: Path) -> Git:
    return Git(str(tmp_path / "git"), {"PATH": os.environ["PATH"]})


def reference_of(repositories: Repositories, rest: str) -> GitReference:
    found = parse_git_reference(f"{repositories.server.url}/{rest}")
    assert found is not None
    return found


def test_the_default_branch(repositories: Repositories, program: Git, place: Path) -> None:
    old = os.umask(0o077)
    try:
        found = program.check_out(reference_of(repositories, "main.git"), str(place))
    finally:
        os.umask(old)
    assert found == repositories.last
    made = things(place)
    assert sorted(made) == ["Dockerfile", "file", "out", "run.sh", "sub", "sub/dir", "sub/dir/Dockerfile"]
    assert (made["run.sh"].mode, made["file"].mode, made["sub"].mode) == (0o755, 0o644, 0o755)
    assert made["out"].what == "/etc"


@pytest.mark.parametrize(
    "rest", ["#v1", "#refs/tags/v1", "?tag=v1", "#both", "?branch=both", "#refs/heads/both"]
)
def test_branches_and_tags(rest: str, repositories: Repositories, program: Git, place: Path) -> None:
    """A branch comes before a tag of its name, and a tag stands for its commit."""
    assert program.check_out(reference_of(repositories, f"main.git{rest}"), str(place)) == repositories.first
    assert sorted(things(place)) == ["Dockerfile"]


def test_a_tag_that_is_asked_for(repositories: Repositories, program: Git, place: Path) -> None:
    assert program.check_out(reference_of(repositories, "main.git?tag=both"), str(place)) == repositories.last


def test_a_commit(repositories: Repositories, program: Git, tmp_path: Path) -> None:
    for number, ref in enumerate((repositories.last, repositories.first, repositories.first)):
        place = tmp_path / str(number)
        place.mkdir()
        assert program.check_out(reference_of(repositories, f"main.git#{ref}"), str(place)) == ref


def test_checksums_of_commits(repositories: Repositories, program: Git, place: Path, tmp_path: Path) -> None:
    good = reference_of(repositories, f"main.git?ref=v1&checksum={repositories.first[:12]}")
    assert program.check_out(good, str(place)) == repositories.first
    with pytest.raises(
        BuildFailed, match=f"expected checksum to match {repositories.first}, got {repositories.last}"
    ):
        program.check_out(good._replace(ref="", checksum=repositories.first), str(tmp_path / "none"))


def test_the_git_directory_is_kept_on_demand(repositories: Repositories, program: Git, place: Path) -> None:
    program.check_out(reference_of(repositories, "main.git"), str(place), keeps_git_dir=True)
    assert git(place, "-c", "safe.directory=*", "rev-parse", "HEAD") == repositories.last
    assert git(place, "-c", "safe.directory=*", "status", "--porcelain") == ""
    assert git(place, "remote", "get-url", "origin") == f"{repositories.server.url}/main.git"


def test_submodules(repositories: Repositories, program: Git, place: Path, tmp_path: Path) -> None:
    program.check_out(reference_of(repositories, "above.git"), str(place))
    assert (place / "mod/inner").read_text() == "of the submodule"
    assert not [path for path in place.rglob("*") if path.name == ".git"]
    (tmp_path / "without").mkdir()
    program.check_out(reference_of(repositories, "above.git?submodules=false"), str(tmp_path / "without"))
    assert os.listdir(tmp_path / "without/mod") == []


@pytest.mark.parametrize("name", ["local", "program"])
def test_submodules_of_this_machine_are_refused(
    name: str, repositories: Repositories, program: Git, place: Path
) -> None:
    with pytest.raises(BuildFailed) as caught:
        program.check_out(reference_of(repositories, f"{name}.git"), str(place))
    assert "not allowed" in str(caught.value)
    assert not os.path.exists("/tmp/never")


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("none.git", "access denied or repository not exported: /none.git"),
        ("main.git#none", "repository does not contain ref none"),
        (f"main.git#{'0' * 40}", None),
    ],
)
def test_what_is_not_there(
    rest: str, message: str | None, repositories: Repositories, program: Git, place: Path
) -> None:
    with pytest.raises(BuildFailed) as caught:
        program.check_out(reference_of(repositories, rest), str(place))
    assert str(caught.value).startswith(f"cannot fetch '{repositories.server.url}/")
    assert message is None or message in str(caught.value)
    assert caught.value.hint is not None


def test_a_new_commit_is_fetched(repositories: Repositories, program: Git, tmp_path: Path) -> None:
    main = repositories.server.directory / "moving.git"
    shutil.copytree(repositories.main, main, symlinks=True)
    try:
        for number in range(2):
            place = tmp_path / f"p{number}"
            place.mkdir()
            wanted = commit(main, "more", "more" * (number + 1))
            assert program.check_out(reference_of(repositories, "moving.git"), str(place)) == wanted
            assert (place / "more").read_text() == "more" * (number + 1)
        git(main, "commit", "-q", "--amend", "-m", "history is rewritten")
        (tmp_path / "p2").mkdir()
        assert program.check_out(reference_of(repositories, "moving.git"), str(tmp_path / "p2")) == git(
            main, "rev-parse", "HEAD"
        )
    finally:
        shutil.rmtree(main)


def test_a_half_made_cache_is_made_anew(repositories: Repositories, tmp_path: Path, place: Path) -> None:
    reference = reference_of(repositories, "main.git")
    cache = tmp_path / "git"
    kept = cache / hashlib.sha256(reference.remote.encode()).hexdigest()
    kept.mkdir(parents=True)
    (kept / "HEAD").write_text("")
    assert Git(str(cache), {"PATH": os.environ["PATH"]}).check_out(reference, str(place)) == repositories.last


def test_configuration_and_hooks_are_not_read(
    repositories: Repositories, tmp_path: Path, place: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f"[core]\n\thooksPath = {home}\n[init]\n\ttemplateDir = {home}\n")
    for name in ("post-checkout", "reference-transaction"):
        (home / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (home / name).chmod(0o755)
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GIT_TEMPLATE_DIR": str(home),
        "GIT_DIR": "/nonexistent",
    }
    Git(str(tmp_path / "git"), variables).check_out(reference_of(repositories, "main.git"), str(place))
    assert not (tmp_path / "ran").exists()


def test_without_git(repositories: Repositories, tmp_path: Path, place: Path) -> None:
    with pytest.raises(BuildFailed, match="git is not installed") as caught:
        Git(str(tmp_path / "git"), {"PATH": str(place)}).check_out(
            reference_of(repositories, "main.git"), str(place)
        )
    assert caught.value.hint is not None
