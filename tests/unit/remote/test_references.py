"""What a reference may lead to: files of the repository, and nothing that git would take for something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer.errors import ProjectError
from composer.references import without_login
from composer.registry.settings import Host, Settings
from composer.schema.files import Labels, is_remote
from composer.schema.options import Fetched
from composer.session.remote import git, switches
from composer.session.remote.fetching import Remotes
from composer.session.remote.oci import with_insecure


@pytest.mark.parametrize(
    "text",
    [
        "https://host/repo.git",
        "http://host/repo.git#ref:dir",
        "ssh://git@host/repo",
        "git://host/repo",
        "git@host:repo.git#main",
        "github.com/x/y",
        "oci://host/name:tag",
        "OCI://host/name",
    ],
)
def test_from_elsewhere(text: str) -> None:
    assert is_remote(text)


@pytest.mark.parametrize(
    "text",
    [
        "compose.yaml",
        "./git@host",
        "/a/b@c:d",
        "../github.com/x",
        "-",
        "a:b",
        "file:///x",
        "C:\\x",
        "ext::sh",
    ],
)
def test_of_this_machine(text: str) -> None:
    assert not is_remote(text)


@pytest.mark.parametrize(
    ("text", "ref", "subdir"),
    [
        ("https://host/repo.git", "", ""),
        ("https://host/repo.git#main", "main", ""),
        ("https://host/repo.git#:dir/file.yaml", "", "dir/file.yaml"),
        ("git@host:me/repo.git#v1:dir", "v1", "dir"),
        ("ssh://git@host:22/repo.git#v1", "v1", ""),
        ("github.com/x/y#main:a", "main", "a"),
        ("https://host/repo.git?branch=main&subdir=a", "refs/heads/main", "a"),
    ],
)
def test_parts(text: str, ref: str, subdir: str) -> None:
    found = git.parsed(text)
    assert (found.ref, found.subdir) == (ref, subdir)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://host/repo.git#main:../x", "path traversal"),
        ("https://host/repo.git#main:a/../../x", "path traversal"),
        ("https://host/repo.git#main:a\\..\\x", "path traversal"),
        ("https://host/repo.git?subdir=../x", "path traversal"),
        ("git@host:repo.git#main:..", "path traversal"),
        ("https://host/repo.git#main:/etc", "must be relative"),
        ("https://host/repo.git#main:C:/x", "must be relative"),
        ("https://host/repo.git?subdir=/etc", "must be relative"),
        ("https://host/repo.git#--upload-pack=evil", "names no branch"),
        ("https://host/repo.git#-x:dir", "names no branch"),
        ("https://host/repo.git?ref=--output=x", "names no branch"),
        ("ssh://-oProxyCommand=evil/repo", "invalid git reference"),
        ("git@-evil:repo", "invalid git reference"),
        ("https://host/compose.yaml", "neither a git repository nor an artifact"),
        ("https://host/repo.git?what=x", "unexpected query"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(ProjectError, match=said) as failure:
        git.parsed(text)
    assert failure.value.hint


def test_a_compose_file_that_is_a_link_out_of_the_repository_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "secret.yaml").write_text("password: x")
    (root / "inside.yaml").write_text("services: {}")
    (root / "compose.yaml").symlink_to("inside.yaml")
    assert git.compose_file(str(root), "") == f"{root}/compose.yaml"
    (root / "sub/compose.yaml").symlink_to("../../secret.yaml")
    (root / "out").symlink_to("..")
    for subdir in ("sub", "sub/compose.yaml", "out/secret.yaml"):
        with pytest.raises(ProjectError, match="leads out of the repository"):
            git.compose_file(str(root), subdir)


def test_a_directory_without_a_compose_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with pytest.raises(ProjectError, match="no compose file in 'sub' of the repository"):
        git.compose_file(str(tmp_path), "sub")
    with pytest.raises(ProjectError, match="no file 'none' in the repository"):
        git.compose_file(str(tmp_path), "none")
    (tmp_path / "docker-compose.yml").write_text("")
    (tmp_path / "compose.yml").write_text("")
    assert git.compose_file(str(tmp_path), "") == f"{tmp_path}/compose.yml"


def test_git_asks_nobody_and_belongs_to_no_other_repository() -> None:
    found = git._environment({"GIT_DIR": "/x", "HOME": "/me", "GIT_ALLOW_PROTOCOL": "ext"})
    assert "GIT_DIR" not in found
    assert found["GIT_TERMINAL_PROMPT"] == "0"
    assert "BatchMode=yes" in found["GIT_SSH_COMMAND"]
    assert found["GIT_ALLOW_PROTOCOL"] == "git:http:https:ssh"
    assert (found["GIT_ASKPASS"], found["GIT_LFS_SKIP_SMUDGE"]) == ("/bin/false", "1")
    asked = git._environment({"GIT_TERMINAL_PROMPT": "1", "GIT_LFS_SKIP_SMUDGE": "0"})
    assert "GIT_ASKPASS" not in asked
    assert asked["GIT_LFS_SKIP_SMUDGE"] == "0"
    assert "GIT_SSH_COMMAND" not in git._environment({"GIT_SSH": "/my/ssh"})


@pytest.mark.parametrize(
    ("reference", "switch", "kind"),
    [("https://host/repo.git", switches.GIT, "git"), ("oci://host/name", switches.OCI, "OCI")],
)
def test_switches(reference: str, switch: str, kind: str, tmp_path: Path) -> None:
    off = Remotes({}, {switch: "0"}.get, str(tmp_path))
    with pytest.raises(ProjectError, match=f'{kind} remote resource is disabled by "{switch}"'):
        off.fetch(reference)
    odd = Remotes({}, {switch: "no"}.get, str(tmp_path))
    with pytest.raises(ProjectError, match=f"{switch} environment variable expects boolean value"):
        odd.fetch(reference)


def test_a_registry_without_encryption_is_one_that_was_named() -> None:
    found = with_insecure(Settings(hosts={"other.test": Host(ca="/ca")}), ["host.test:5000", "other.test"])
    assert [found.is_insecure(host) for host in ("host.test:5000", "other.test", "host.test")] == [
        True,
        True,
        False,
    ]
    assert found.host("other.test").ca == "/ca"


def test_labels() -> None:
    labels = Labels("/here")
    labels.add(Fetched("/cache/c/sub/compose.yaml", "/cache/c", "URL#main:sub/compose.yaml", "URL#main:"))
    assert labels("/cache/c/sub/compose.yaml") == "URL#main:sub/compose.yaml"
    assert labels("/cache/c/.env") == "URL#main:.env"
    assert [labels(path) for path in ("/here/a", "/cache/cc/a", "-")] == ["a", "/cache/cc/a", "stdin"]


def test_a_login_is_not_shown() -> None:
    assert without_login("https://me:pass@host/r.git#a@b") == "https://host/r.git#a@b"
    assert without_login("git@host:r.git") == "git@host:r.git"
    assert without_login("ssh://git@host/r.git") == "ssh://git@host/r.git"
    assert without_login("ssh://git:pass@host/r.git") == "ssh://git@host/r.git"
    assert without_login("GIT://me:p:a@ss@host/r.git") == "GIT://me@host/r.git"
    assert without_login("oci://me:pass@host/r:1") == "oci://host/r:1"
    assert without_login("oci://host/r@sha256:00") == "oci://host/r@sha256:00"
    assert without_login("https://me:p%@h[/x") == "https://h[/x"
    for odd in ("pw/secret", "pw#secret", "pw?secret"):
        assert without_login(f"'https://user:{odd}@h:8080/x.git'").endswith("h:8080/x.git'")
        assert "secret" not in without_login(f"https://user:{odd}@h/x.git")
    assert without_login("https://h:8080/x.git#a@b:c") == "https://h:8080/x.git#a@b:c"
    assert without_login("https://h/x.git?token=secret&ref=a") == "https://h/x.git?token=***&ref=a"
    both = "cannot fetch 'https://a:b@h/x' or 'ssh://c:d@h/y'"
    assert without_login(both) == "cannot fetch 'https://h/x' or 'ssh://c@h/y'"


@pytest.mark.parametrize(
    "text", ["oci://me:pass@host/r:1", "ssh://me:pass@h[/r.git", "https://me:pass@h/r.git#a:/b"]
)
def test_no_error_has_a_password(text: str, tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as failed:
        Remotes({}, lambda name: None, str(tmp_path)).fetch(text)
    assert "pass" not in str(failed.value)


def test_the_scheme_of_an_artifact_is_read_in_any_case(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="invalid reference format '///'"):
        Remotes({}, lambda name: None, str(tmp_path)).fetch("OCI://///")
