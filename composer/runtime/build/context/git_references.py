"""References to git repositories: ``https://host/path.git#REF:DIRECTORY``, ``git@host:path?branch=…&subdir=…``.

Grammar: https://docs.docker.com/build/concepts/context/#git-repositories and .../#url-queries.
"""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from composer.errors import BuildFailed
from composer.patterns import pattern
from composer.references import without_login

_SCHEMES = ("http", "https", "ssh", "git")
_SCP = pattern(r"([A-Za-z0-9_-]+@[A-Za-z0-9.-]+:[^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_COMMIT = pattern("[0-9a-f]{7,64}")
_BOOLEANS = {text: text[0] in "1tT" for text in "1 0 t f T F true false True False TRUE FALSE".split()}


class GitReference(NamedTuple):
    """A place in a repository. ``ref`` is a branch, a tag or a commit, empty for the default branch.

    ``keeps_git_dir`` is None where nothing was said; ``checksum`` is the commit that it must be, or how it begins.
    """

    remote: str
    ref: str = ""
    subdir: str = ""
    checksum: str = ""
    keeps_git_dir: bool | None = None
    has_submodules: bool = True

    @property
    def shown(self) -> str:
        """The repository without a login, for messages."""
        return without_login(self.remote)


def parse_git_reference(text: str, *, is_context: bool = False) -> GitReference | None:
    """Return what a source or a context refers to; None where it is no git repository.

    An HTTP(S) URL is one when its path ends with ``.git``; ``github.com/…`` is one as a context alone. Raises
    BuildFailed for a reference that is one and is malformed.
    """
    if is_context and text.startswith("github.com/"):
        text = f"https://{text}"
    elif text.startswith(("http://", "https://")) and not _path(text).endswith(".git"):
        return None
    scheme, separator, _ = text.partition("://")
    if separator:
        if scheme.lower() not in _SCHEMES:
            return None
        try:
            parts = urlsplit(text)
        except ValueError as error:
            raise BuildFailed(
                f"invalid git reference '{without_login(text)}': {error}",
                hint="write https://HOST/PATH.git#REF:DIRECTORY",
            ) from None
        remote, query, fragment = (
            urlunsplit(parts._replace(query="", fragment="")),
            parts.query,
            parts.fragment,
        )
        if not parts.hostname or parts.hostname.startswith("-"):
            raise BuildFailed(
                f"invalid git reference '{without_login(text)}'",
                hint="write https://HOST/PATH.git#REF:DIRECTORY",
            )
    else:
        found = _SCP.fullmatch(text)
        if found is None:
            return None
        remote, query, fragment = found[1], found[2] or "", found[3] or ""
        if remote.startswith("-") or "@-" in remote:
            raise BuildFailed(
                f"invalid git reference '{without_login(text)}'", hint="write git@HOST:PATH#REF:DIRECTORY"
            )
    ref, _, subdir = fragment.partition(":")
    reference = _queried(GitReference(remote, ref, _inside(subdir)), query, text)
    return _checked(reference, text)


def with_checksum(reference: GitReference, checksum: str) -> GitReference:
    """Return a reference that has to be a commit, or one that begins so. Raises BuildFailed for what is no commit."""
    return _checked(reference._replace(checksum=checksum), reference.shown)


def _path(text: str) -> str:
    try:
        return urlsplit(text).path
    except ValueError:
        return ""


def _inside(subdir: str) -> str:
    return posixpath.normpath(f"/{subdir}").lstrip("/")


def _checked(reference: GitReference, text: str) -> GitReference:
    """Refuse what git would take for an option, or for more than one reference."""
    ref = reference.ref
    if ref.startswith(("-", "+")) or any(character in ref for character in " \t\n\0:^~?*[\\") or ".." in ref:
        raise BuildFailed(
            f"invalid git reference '{without_login(text)}': '{ref}' names no branch, tag or commit"
        )
    if reference.checksum and not _COMMIT.fullmatch(reference.checksum):
        raise BuildFailed(
            f"invalid checksum '{reference.checksum}' for a git repository",
            hint="write the commit, 40 digits",
        )
    if any(character in reference.remote for character in "\n\0"):
        raise BuildFailed("invalid git reference: it has a line break")
    return reference


def _queried(reference: GitReference, query: str, text: str) -> GitReference:
    """Add what the query says; it must not contradict the fragment. Raises BuildFailed."""
    pairs = parse_qsl(query, keep_blank_values=True)
    values = dict(pairs)
    if len(values) < len(pairs):
        raise BuildFailed(f"invalid git reference '{without_login(text)}': a query has multiple values")
    for key, value in values.items():
        if key in ("submodules", "keep-git-dir"):
            if value and value not in _BOOLEANS:
                raise BuildFailed(
                    f"invalid git reference '{without_login(text)}': invalid {key} value: '{value}'"
                )
            flag = _BOOLEANS[value] if value else True
            if key == "submodules":
                reference = reference._replace(has_submodules=flag)
            else:
                reference = reference._replace(keeps_git_dir=flag)
        elif not value:
            raise BuildFailed(f"invalid git reference '{without_login(text)}': query '{key}' has no value")
        elif key in ("checksum", "commit"):
            reference = reference._replace(checksum=value)
        elif key == "subdir":
            reference = reference._replace(subdir=_agreed("subdir", reference.subdir, _inside(value), text))
        elif key in _REFS:
            prefix = _REFS[key]
            value = value if value.startswith(prefix) else prefix + value
            reference = reference._replace(ref=_agreed("ref", reference.ref, value, text))
        else:
            raise BuildFailed(
                f"invalid git reference '{without_login(text)}': unexpected query '{key}'",
                hint="use ref, tag, branch, subdir, checksum, keep-git-dir, submodules",
            )
    return reference


_REFS = {"ref": "", "tag": "refs/tags/", "branch": "refs/heads/"}


def _agreed(field: str, known: str, value: str, text: str) -> str:
    if known not in ("", value):
        raise BuildFailed(
            f"invalid git reference '{without_login(text)}': {field} conflicts: '{known}' vs '{value}'"
        )
    return value
