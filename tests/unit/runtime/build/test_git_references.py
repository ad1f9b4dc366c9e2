"""References to git repositories, and what a context's text refers to."""

from __future__ import annotations

import pytest

from composer.errors import BuildFailed
from composer.runtime.build.context.contexts import Kind, classify
from composer.runtime.build.context.git_references import GitReference, parse_git_reference, with_checksum

HTTPS = "https://h.example/a/b.git"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HTTPS, GitReference(HTTPS)),
        (f"{HTTPS}#main", GitReference(HTTPS, "main")),
        (f"{HTTPS}#main:sub/dir", GitReference(HTTPS, "main", "sub/dir")),
        (f"{HTTPS}#:sub", GitReference(HTTPS, "", "sub")),
        (f"{HTTPS}#v1:/../x/./y/", GitReference(HTTPS, "v1", "x/y")),
        (f"{HTTPS}?ref=main", GitReference(HTTPS, "main")),
        (f"{HTTPS}?tag=v1&subdir=/s", GitReference(HTTPS, "refs/tags/v1", "s")),
        (f"{HTTPS}?branch=refs/heads/b", GitReference(HTTPS, "refs/heads/b")),
        (f"{HTTPS}?commit=0123abc", GitReference(HTTPS, checksum="0123abc")),
        (f"{HTTPS}?keep-git-dir", GitReference(HTTPS, keeps_git_dir=True)),
        (
            f"{HTTPS}?keep-git-dir=false&submodules=0",
            GitReference(HTTPS, keeps_git_dir=False, has_submodules=False),
        ),
        (f"{HTTPS}?ref=a#a:d", GitReference(HTTPS, "a", "d")),
        ("http://h:8080/a.git", GitReference("http://h:8080/a.git")),
        ("https://me:secret@h/a.git#b", GitReference("https://me:secret@h/a.git", "b")),
        ("ssh://git@h/a#b", GitReference("ssh://git@h/a", "b")),
        ("git://h/a", GitReference("git://h/a")),
        ("git@h.example:a/b.git", GitReference("git@h.example:a/b.git")),
        ("git@h.example:a/b#ref:d", GitReference("git@h.example:a/b", "ref", "d")),
        ("me@h:a?branch=x", GitReference("me@h:a", "refs/heads/x")),
    ],
)
def test_references(text: str, expected: GitReference) -> None:
    assert parse_git_reference(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a/b.git",
        "./git@h:a",
        "github.com/a/b",
        "https://h/a.tar.gz",
        "https://h/a.git/file",
        "https://h/a.github",
        "ext::sh -c x",
        "file:///a/b.git",
        "ftp://h/a.git",
        "C:/a",
        "h:a/b.git",
        "",
    ],
)
def test_what_is_no_repository(text: str) -> None:
    assert parse_git_reference(text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HTTPS}?what=1", "unexpected query 'what'"),
        (f"{HTTPS}?ref=", "query 'ref' has no value"),
        (f"{HTTPS}?ref=a&ref=b", "a query has multiple values"),
        (f"{HTTPS}?ref=a#b", "ref conflicts: 'b' vs 'a'"),
        (f"{HTTPS}?tag=a&branch=a", "ref conflicts: 'refs/tags/a' vs 'refs/heads/a'"),
        (f"{HTTPS}?subdir=a#b:c", "subdir conflicts: 'c' vs 'a'"),
        (f"{HTTPS}?submodules=maybe", "invalid submodules value: 'maybe'"),
        (f"{HTTPS}?checksum=main", "invalid checksum 'main'"),
        (f"{HTTPS}#--upload-pack=x", "names no branch, tag or commit"),
        (f"{HTTPS}#a b", "names no branch, tag or commit"),
        (f"{HTTPS}#+refs/*", "names no branch, tag or commit"),
        (f"{HTTPS}#a..b", "names no branch, tag or commit"),
        ("ssh://-oProxyCommand=x/a", "invalid git reference"),
        ("git@-oProxyCommand:a", "invalid git reference"),
        ("git:///a", "invalid git reference"),
    ],
)
def test_malformed_references(text: str, message: str) -> None:
    with pytest.raises(BuildFailed) as caught:
        parse_git_reference(text)
    assert message in str(caught.value)


def test_a_login_is_not_shown() -> None:
    found = parse_git_reference("https://me:secret@h/a.git")
    assert found is not None
    assert found.shown == "https://h/a.git"
    assert with_checksum(found, "abcdef1").remote == found.remote


@pytest.mark.parametrize(
    ("text", "kind", "rest"),
    [
        ("/a/b", Kind.DIRECTORY, "/a/b"),
        ("/a/b.git", Kind.DIRECTORY, "/a/b.git"),
        ("-", Kind.INPUT, "-"),
        (HTTPS, Kind.GIT, HTTPS),
        ("git@h:a", Kind.GIT, "git@h:a"),
        ("github.com/a/b", Kind.GIT, "github.com/a/b"),
        ("https://h/a.tgz", Kind.URL, "https://h/a.tgz"),
        ("http://h", Kind.URL, "http://h"),
        ("docker-image://alpine:3", Kind.IMAGE, "alpine:3"),
        ("oci-layout:///a/b@sha256:1", Kind.LAYOUT, "/a/b@sha256:1"),
        ("target:base", Kind.TARGET, "base"),
        ("service:web", Kind.SERVICE, "web"),
    ],
)
def test_kinds_of_contexts(text: str, kind: Kind, rest: str) -> None:
    assert classify(text) == (kind, rest)


@pytest.mark.parametrize(
    "text",
    [
        "https://me:hunter2@h/a.git#a..b",
        "https://me:hunter2@h/a.git?foo=1",
        "https://me:hunter2@h/a.git?submodules=maybe",
        "ssh://me:hunter2@h/a.git#a..b",
    ],
)
def test_no_message_has_a_password(text: str) -> None:
    with pytest.raises(BuildFailed) as refused:
        parse_git_reference(text)
    assert "hunter2" not in str(refused.value)
    reference = parse_git_reference(text.partition("#")[0].partition("?")[0])
    assert reference is not None and "hunter2" not in reference.shown
    assert reference.shown.startswith("ssh://me@h" if text.startswith("ssh") else "https://h/")
