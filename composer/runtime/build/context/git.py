"""Git repositories as sources and contexts: one commit, checked out into a directory of ours.

The `git` program does it, with an environment of its own: no configuration of the user's or the machine's, no prompts,
no hooks, and of the protocols those over a network alone. What was fetched is kept in a repository per remote, so that
the next build fetches what is new.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from composer.errors import BuildFailed
from composer.patterns import pattern
from composer.runtime.base import locking, trees
from composer.runtime.build.context import git_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from composer.runtime.build.context.git_program import Ended
    from composer.runtime.build.context.git_references import GitReference

_PASSED = (
    "PATH",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSH_AUTH_SOCK",
)
_FIXED = {
    **git_program.FIXED,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}
_LOCAL = {"GIT_ALLOW_PROTOCOL": "file"}
"""For a fetch from a repository of ours."""
_SSH = "ssh -F /dev/null -o BatchMode=yes"
_OPTIONS = ("core.symlinks=true", "init.defaultBranch=main")
_WHOLE_COMMIT = pattern("[0-9a-f]{40}|[0-9a-f]{64}")


class Git:
    """The git program. ``cache`` is a directory for what was fetched; ``environment`` that of the user.

    ``known_hosts`` is a file of host keys for ssh; without it those that ssh itself knows are good.
    """

    def __init__(self, cache: str, environment: Mapping[str, str], *, known_hosts: str = "") -> None:
        self._cache = cache
        passed = {key: environment[key] for key in _PASSED if key in environment}
        host_keys = f" -o UserKnownHostsFile={known_hosts}" if known_hosts else ""
        self._program = git_program.Git(
            {**passed, **_FIXED, "GIT_SSH_COMMAND": _SSH + host_keys},
            BuildFailed,
            "a git repository is needed for this build",
            _OPTIONS,
        )

    def check_out(self, reference: GitReference, directory: str, *, keeps_git_dir: bool = False) -> str:
        """Put the files of a commit into ``directory``, which is empty; return the commit. Raises BuildFailed."""
        os.makedirs(self._cache, mode=0o700, exist_ok=True)
        kept = os.path.join(self._cache, hashlib.sha256(reference.remote.encode()).hexdigest())
        with locking.locked(f"{kept}.lock"):
            repository = _Repository(self, reference, kept)
            repository.prepare()
            commit = repository.fetch()
            if not commit.startswith(reference.checksum):
                raise BuildFailed(
                    f"expected checksum to match {reference.checksum}, got {commit}",
                    hint="correct the checksum, or name the commit as the reference",
                )
            repository.export(commit, directory)
        if reference.has_submodules and os.path.lexists(f"{directory}/.gitmodules"):
            update = ("submodule", "update", "--init", "--recursive", "--depth=1")
            self.run(update, reference, directory=directory)
        if not keeps_git_dir:
            _remove_git(directory)
        return commit

    def run(
        self, arguments: Sequence[str], reference: GitReference, *, directory: str, local: bool = False
    ) -> str:
        """Run git in a directory and return what it prints. ``local``: it reads a repository of ours."""
        done = self._run(arguments, directory, local=local)
        if done.code:
            found = done._replace(err=done.err.replace(reference.remote, reference.shown))
            raise BuildFailed(
                f"cannot fetch '{reference.shown}': {found.causes()[0]}",
                hint="check the URL and the reference; a private repository needs an SSH agent, or a login in its URL",
            )
        return done.out

    def succeeds(self, arguments: Sequence[str], *, directory: str) -> bool:
        return self._run(arguments, directory).code == 0

    def _run(self, arguments: Sequence[str], directory: str, *, local: bool = False) -> Ended:
        more = {"HOME": self._cache, "GIT_CEILING_DIRECTORIES": os.path.dirname(directory)}
        return self._program.run(arguments, directory, {**more, **(_LOCAL if local else {})})


class _Repository:
    """The bare repository that keeps what was fetched from one remote."""

    def __init__(self, git: Git, reference: GitReference, path: str) -> None:
        self._git, self._reference, self._path = git, reference, path

    def prepare(self) -> None:
        """Make the repository, anew where what is there is none: a kill may have left it half made."""
        if os.path.isdir(self._path):
            if self._git.succeeds(("rev-parse", "--git-dir"), directory=self._path):
                os.utime(self._path)  # when it was used last
                return
            trees.remove_tree(self._path)
        os.mkdir(self._path, 0o700)
        self._run("init", "--bare", "--quiet")

    def _run(self, *arguments: str) -> str:
        return self._git.run(arguments, self._reference, directory=self._path)

    def fetch(self) -> str:
        """Fetch what the reference names, and return its commit."""
        ref, remote = self._reference.ref or "HEAD", self._reference.remote
        if _WHOLE_COMMIT.fullmatch(ref):
            if not self._has(ref) and not self._fetched(remote, ref):
                self._run(
                    "fetch",
                    "--quiet",
                    "--tags",
                    "--force",
                    "--",
                    remote,
                    "+refs/heads/*:refs/remotes/origin/*",
                )
            return self._commit(ref)
        name = self._name(remote, ref)
        if not self._fetched(remote, name):
            # a server that cannot cut history short
            self._run("fetch", "--quiet", "--no-tags", "--", remote, name)
        return self._commit("FETCH_HEAD")

    def _fetched(self, remote: str, name: str) -> bool:
        shallow = ("fetch", "--quiet", "--no-tags", "--depth=1", "--", remote, name)
        return self._git.succeeds(shallow, directory=self._path)

    def _has(self, commit: str) -> bool:
        return self._git.succeeds(("cat-file", "-e", f"{commit}^{{commit}}"), directory=self._path)

    def _commit(self, name: str) -> str:
        return self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()

    def _name(self, remote: str, ref: str) -> str:
        """Return the whole name of a reference as the remote has it: a branch comes before a tag."""
        if ref == "HEAD":
            return ref
        listed = self._run("ls-remote", "--", remote, ref, f"refs/heads/{ref}", f"refs/tags/{ref}")
        names = {line.split("\t")[1] for line in listed.splitlines() if "\t" in line}
        for name in (
            ref if ref.startswith("refs/") else "",
            f"refs/heads/{ref}",
            f"refs/tags/{ref}",
            f"refs/{ref}",
        ):
            if name in names:
                return name
        raise BuildFailed(
            f"cannot fetch '{self._reference.shown}': repository does not contain ref {ref}",
            hint="name a branch, a tag, or a commit of 40 digits",
        )

    def export(self, commit: str, directory: str) -> None:
        """Check a commit out into a repository of its own in ``directory``."""
        reference, run = self._reference, self._git.run
        run(("init", "--quiet"), reference, directory=directory)
        fetch = (
            "fetch",
            "--quiet",
            "--no-tags",
            "--update-shallow",
            "--depth=1",
            "--",
            f"file://{self._path}",
            commit,
        )
        self._run("config", "uploadpack.allowAnySHA1InWant", "true")
        run(fetch, reference, directory=directory, local=True)
        run(("remote", "add", "origin", reference.shown), reference, directory=directory)
        run(("checkout", "--quiet", "--force", "--detach", commit), reference, directory=directory)


def _remove_git(directory: str) -> None:
    """Remove a checkout's repository, and what leads submodules to theirs."""
    for path in list(_git_entries(directory)):
        if os.path.isdir(path) and not os.path.islink(path):
            trees.remove_tree(path)
        else:
            os.unlink(path)


def _git_entries(directory: str) -> Iterator[str]:
    # git checks no file or directory of this name out: each is a repository, or a submodule's way to one
    for above, names, files in os.walk(directory):
        if ".git" in names or ".git" in files:
            yield os.path.join(above, ".git")
        names[:] = [name for name in names if name != ".git"]
