"""Compose files in git repositories: one commit, checked out into a directory of the cache.

The `git` program fetches, as the user whose repositories these are: with their configuration, credential helpers and
keys, but without questions, hooks, submodules or protocols that run programs. A reference that is a whole commit needs
no network once it is there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from composer.errors import BuildFailed, ProjectError
from composer.patterns import pattern
from composer.references import without_login
from composer.runtime.build.context import git_program
from composer.runtime.build.context.git_program import Git
from composer.runtime.build.context.git_references import parse_git_reference
from composer.schema import files
from composer.schema.options import Fetched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from composer.runtime.build.context.git_program import Ended
    from composer.runtime.build.context.git_references import GitReference
    from composer.session.remote.cache import Cache

_COMMIT = pattern("[0-9a-f]{40}|[0-9a-f]{64}")
_OPTIONS = ("submodule.recurse=false", "fetch.recurseSubmodules=false")
_OF_ANOTHER_REPOSITORY = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
)
"""Set where we are called from a hook."""
_LONGEST_S = 600
_MAX_BYTES = 1 << 30
_MAX_FILES = 200_000


class GitFiles:
    """Gets compose files from git repositories."""

    def __init__(self, cache: Cache, environment: Mapping[str, str]) -> None:
        self._cache = cache
        self._git = Git(
            _environment(environment),
            ProjectError,
            "the file is in a git repository",
            _OPTIONS,
            longest_s=_LONGEST_S,
            most_file_bytes=_MAX_BYTES,
        )

    def fetch(self, text: str) -> Fetched:
        """Return the compose file that a reference leads to. Raises ProjectError."""
        reference = parsed(text)
        repository = _Repository(reference, self._git)
        commit = repository.commit()
        if not commit.startswith(reference.checksum):
            raise ProjectError(
                f"expected commit {reference.checksum}, but the reference is commit {commit}",
                hint="correct the checksum, or name the commit as the reference",
            )
        root = self._cache.get(commit, lambda directory: repository.check_out(commit, directory))
        path = compose_file(root, reference.subdir)
        prefix = f"{reference.shown}#{reference.ref}:"
        return Fetched(path, root, prefix + os.path.relpath(path, root), prefix)


def parsed(text: str) -> GitReference:
    """Return what a reference refers to. Raises ProjectError for one that leads out of the repository, or is none."""
    _refuse_outside(text)
    try:
        found = parse_git_reference(text, is_context=True)
    except (BuildFailed, ValueError) as error:
        raise ProjectError(
            without_login(str(error)), hint="write https://HOST/PATH.git#REF:DIRECTORY"
        ) from error
    if found is None:
        raise ProjectError(
            "it is neither a git repository nor an artifact of a registry",
            hint="write https://HOST/PATH.git#REF:DIRECTORY or oci://HOST/NAME:TAG; download other files first",
        )
    return found


def _refuse_outside(text: str) -> None:
    """Raise ProjectError for a directory that is none of the repository's, before anybody tidies it up."""
    rest, _, fragment = text.partition("#")
    named = [fragment.partition(":")[2]]
    named += [value for key, value in parse_qsl(rest.partition("?")[2]) if key == "subdir"]
    for subdir in named:
        if subdir.startswith(("/", "\\")) or subdir[1:2] == ":":
            raise ProjectError(
                f"git subdirectory must be relative, got: {subdir}", hint="name it from the repository's top"
            )
        if ".." in subdir.replace("\\", "/").split("/"):
            raise ProjectError(
                f"git subdirectory path traversal detected: {subdir}",
                hint="name a directory of the repository, without '..'",
            )


def compose_file(root: str, subdir: str) -> str:
    """Return the compose file of a directory, or the file itself. Raises ProjectError for one that is outside."""
    path = os.path.join(root, subdir) if subdir else root
    if os.path.isdir(path):
        names = [name for name in files.COMPOSE_NAMES if files.is_named(os.path.join(path, name))]
        if not names:
            where = f"'{subdir}' of the repository" if subdir else "the repository"
            raise ProjectError(
                f"there is no compose file in {where}", hint=f"add {files.COMPOSE_NAMES[0]}, or name the file"
            )
        path = os.path.join(path, names[0])
    real, top = os.path.realpath(path), os.path.realpath(root)
    if not real.startswith(f"{top}/") or real.startswith(f"{top}/.git/"):
        raise ProjectError(
            f"'{os.path.relpath(path, root)}' is a link that leads out of the repository",
            hint="put the compose file itself into the repository",
        )
    if not os.path.isfile(real):
        raise ProjectError(
            f"there is no file '{subdir}' in the repository",
            hint="check the directory behind the ref and ':'",
        )
    return path


# ------------------------------------------------------------------ the git program


class _Repository:
    """A repository that is somewhere else."""

    def __init__(self, reference: GitReference, git: Git) -> None:
        self._reference, self._git = reference, git
        self._ref = reference.ref or "HEAD"

    def commit(self) -> str:
        """Return the commit that the reference is now. Raises ProjectError."""
        ref = self._ref
        if _COMMIT.fullmatch(ref):
            return ref
        wanted = (ref, f"{ref}^{{}}", f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/tags/{ref}^{{}}")
        done = self._run("/", "ls-remote", "--exit-code", "--", self._reference.remote, *wanted)
        if done.code not in (0, 2):
            raise self._failed(done)
        found = {name: commit for commit, _, name in (line.partition("\t") for line in done.out.splitlines())}
        # a branch before a tag, and the commit of a tag that has a message
        names = (f"{ref}^{{}}", ref, f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}")
        commit = next((found[name] for name in names if name in found), "")
        if not _COMMIT.fullmatch(commit):
            raise ProjectError(
                f"repository does not contain ref {ref}",
                hint="name a branch, a tag, or a commit of 40 digits",
            )
        return commit

    def check_out(self, commit: str, directory: str) -> None:
        """Put a commit into an empty directory. Raises ProjectError."""
        form = "sha256" if len(commit) == 64 else "sha1"
        self._must(directory, "init", "--quiet", "--template=", f"--object-format={form}")
        remote = self._reference.remote
        done = self._run(directory, "fetch", "--quiet", "--no-tags", "--depth=1", "--", remote, commit)
        if done.code:
            # a server that cannot cut history short, or shows no single commits
            refs = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
            whole = self._run(directory, "fetch", "--quiet", "--no-tags", "--", remote, *refs)
            if whole.code:
                raise self._failed(done)
        if self._run(directory, "cat-file", "-e", f"{commit}^{{commit}}").code:
            raise ProjectError(
                f"repository does not contain commit {commit}",
                hint="check the commit, or name a branch or a tag",
            )
        self._check_size(commit, directory)
        self._must(directory, "checkout", "--quiet", "--force", "--detach", commit)

    def _check_size(self, commit: str, directory: str) -> None:
        """Refuse what would fill the disk: packed, a gigabyte of zeros is small."""
        listing = ("ls-tree", "-r", "-l", "--full-tree", commit)
        done = self._git.run(listing, directory, only_prints=True)
        if done.code not in (0, git_program.TOO_MUCH):
            raise self._failed(done)
        sizes = [line.partition("\t")[0].split()[-1] for line in done.out.splitlines()]
        total = sum(int(size) for size in sizes if size.isdigit())
        if done.code or len(sizes) > _MAX_FILES or total > _MAX_BYTES:
            at_least = "at least " if done.code else ""
            raise ProjectError(
                f"the repository is too large: {at_least}{len(sizes)} files, {total >> 20} MiB "
                f"(limit: {_MAX_FILES} files, {_MAX_BYTES >> 20} MiB)",
                hint="clone it, and name the local file",
            )

    def _must(self, directory: str, *arguments: str) -> str:
        done = self._run(directory, *arguments)
        if done.code:
            raise self._failed(done)
        return done.out

    def _failed(self, done: Ended) -> ProjectError:
        remote = self._reference.remote
        found = done._replace(err=done.err.replace(remote, without_login(remote)))
        return ProjectError(
            f"cannot fetch from the repository: {without_login(found.causes()[0])}",
            hint="check the URL and the network; a private repository needs a credential helper of git or an SSH key "
            "that asks no question",
        )

    def _run(self, directory: str, *arguments: str) -> Ended:
        return self._git.run(arguments, directory)


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return git's environment: nobody is asked anything, unless the user has set that git may."""
    found = {name: value for name, value in given.items() if name not in _OF_ANOTHER_REPOSITORY}
    found["GIT_TERMINAL_PROMPT"] = given.get("GIT_TERMINAL_PROMPT") or "0"
    if not given.get("GIT_SSH") and not given.get("GIT_SSH_COMMAND"):
        found["GIT_SSH_COMMAND"] = "ssh -o ControlMaster=no -o BatchMode=yes"
    if found["GIT_TERMINAL_PROMPT"] == "0":
        found.setdefault("GIT_ASKPASS", "/bin/false")  # else a window asks
    found.setdefault(
        "GIT_LFS_SKIP_SMUDGE", "1"
    )  # the repository would say which server large files come from
    return {**found, **git_program.FIXED}
