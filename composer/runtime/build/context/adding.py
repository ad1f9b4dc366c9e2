"""All sources of a COPY or an ADD, whatever they are: files of a tree, URLs, git repositories, inline files.

Each becomes a part: a selection in a tree. What is fetched is in directories of ours while the parts are in use.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from composer.errors import BuildFailed
from composer.runtime.base import making
from composer.runtime.build.context.copying import Copied, copy
from composer.runtime.build.context.digests import digest
from composer.runtime.build.context.fetching import fetch, is_url
from composer.runtime.build.context.git_references import parse_git_reference, with_checksum
from composer.runtime.build.context.selecting import Selection, select
from composer.runtime.build.context.trees import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from composer.registry.transport import Transport
    from composer.runtime.build.context.downloads import Downloads
    from composer.runtime.build.context.git import Git
    from composer.runtime.build.context.git_references import GitReference
    from composer.runtime.build.context.modes import Mode
    from composer.runtime.build.context.statcache import StatCache
    from composer.runtime.build.dockerfile.instructions import Add, Copy, Heredoc

_T = TypeVar("_T")


class Fetching(NamedTuple):
    """What is needed for sources that are not in a tree.

    ``scratch`` is a directory for what lasts as long as it is used; ``open_transport`` and ``open_git`` are for each
    URL and repository; ``wait`` waits for some seconds; ``downloads`` keeps files of URLs for the next build.
    """

    scratch: str
    open_transport: Callable[[], Transport]
    open_git: Callable[[], Git]
    wait: Callable[[float], None]
    downloads: Downloads | None = None


class Part(NamedTuple):
    """Some sources of an instruction, in one tree. ``unpacks``: archives among them are unpacked."""

    tree: Tree
    selection: Selection
    unpacks: bool = False


@contextlib.contextmanager
def gathered(
    instruction: Copy | Add, tree: Tree, fetching: Fetching, *, workdir: str = "/", step: str = ""
) -> Iterator[tuple[Part, ...]]:
    """Find, and fetch, what an instruction takes; its words are expanded already. ``tree`` is where its files are.

    ``step`` begins the messages (``Dockerfile:3: ADD a /b``). Raises BuildFailed.
    """
    with contextlib.ExitStack() as stack:
        yield tuple(_Gathering(instruction, tree, fetching, workdir, step or instruction.text, stack).parts())


class _Gathering:
    """The sources of one instruction."""

    def __init__(
        self,
        instruction: Copy | Add,
        tree: Tree,
        fetching: Fetching,
        workdir: str,
        step: str,
        stack: contextlib.ExitStack,
    ) -> None:
        self._instruction, self._tree, self._fetching = instruction, tree, fetching
        self._workdir, self._step, self._stack = workdir, step, stack

    def parts(self) -> Iterator[Part]:
        sources = self._instruction.sources
        if self._checksum and (len(sources) != 1 or self._instruction.heredocs):
            raise self._failed("checksum can't be specified for multiple sources")
        for source in sources:
            reference = self._reference(source)
            if reference is not None:
                yield self._repository(reference)
            elif is_url(source):
                yield self._url(source)
            elif self._checksum:
                raise self._failed("checksum requires HTTP(S) or Git sources")
            else:
                yield self._files(source)
        if self._instruction.heredocs:
            yield self._inline(self._instruction.heredocs)

    @property
    def _checksum(self) -> str:
        return getattr(self._instruction, "checksum", "")

    @property
    def _is_add(self) -> bool:
        return hasattr(self._instruction, "unpack")

    def _failed(self, message: str, hint: str | None = None) -> BuildFailed:
        return BuildFailed(f"{self._step}: {message}", hint=hint)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Put the instruction before what goes wrong."""
        try:
            yield
        except BuildFailed as error:
            raise self._failed(str(error), error.hint) from error

    def _select(self, tree: Tree, sources: Sequence[str]) -> Selection:
        return select(
            tree,
            sources,
            self._instruction.target,
            workdir=self._workdir,
            parents=bool(getattr(self._instruction, "parents", False)) and tree is self._tree,
            excludes=self._instruction.excludes,
            step=self._step,
        )

    def _files(self, source: str) -> Part:
        unpack = getattr(self._instruction, "unpack", None)
        return Part(
            self._tree, self._select(self._tree, [source]), self._is_add if unpack is None else bool(unpack)
        )

    def _reference(self, source: str) -> GitReference | None:
        with self._named():
            reference = parse_git_reference(source)
        if reference is not None and not self._is_add:
            raise self._failed("source can't be a git ref for COPY", "use ADD")
        return reference

    def _repository(self, reference: GitReference) -> Part:
        keeps = self._agreed(
            "keep-git-dir", getattr(self._instruction, "keep_git_dir", None), reference.keeps_git_dir
        )
        checksum = self._agreed("checksum", self._checksum or None, reference.checksum or None) or ""
        with self._named():
            directory = self._stack.enter_context(
                making.temporary_directory(self._fetching.scratch, mode=0o755)
            )
            wanted = with_checksum(reference, checksum)
            self._fetching.open_git().check_out(wanted, directory, keeps_git_dir=bool(keeps))
            tree = self._opened(directory)
            return Part(tree, self._select(tree, [reference.subdir or "."]))

    def _agreed(self, what: str, ours: _T | None, theirs: _T | None) -> _T | None:
        if ours is not None and theirs is not None and ours != theirs:
            raise self._failed(f"{what} of the instruction and of the URL differ: {ours} and {theirs}")
        return ours if theirs is None else theirs

    def _url(self, url: str) -> Part:
        if not self._is_add:
            raise self._failed("source can't be a URL for COPY", "use ADD")
        tree = self._made()
        with self._named():
            found = fetch(
                url,
                tree.fd,
                self._fetching.open_transport(),
                wait=self._fetching.wait,
                checksum=self._checksum,
                downloads=self._fetching.downloads,
            )
        source = _literal(found.name)
        return Part(tree, self._select(tree, [source]), bool(getattr(self._instruction, "unpack", None)))

    def _inline(self, heredocs: Sequence[Heredoc]) -> Part:
        tree = self._made()
        names: list[str] = []
        for heredoc in heredocs:
            name = posixpath.basename(heredoc.name)
            if name in ("", ".", ".."):
                raise self._failed(f"invalid name for an inline file: '{heredoc.name}'")
            # one after the other may have the same name, and then the same target
            os.mkdir(str(len(names)), 0o755, dir_fd=tree.fd)
            path = f"{len(names)}/{name}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with open(os.open(path, flags, 0o644, dir_fd=tree.fd), "wb") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(heredoc.content.encode("utf-8", "surrogateescape"))
            names.append(_literal(path))
        return Part(tree, self._select(tree, names)._replace(excludes=None))

    def _made(self) -> Tree:
        """Make a directory that is a tree until the parts have been used."""
        return self._opened(self._stack.enter_context(making.temporary_directory(self._fetching.scratch)))

    def _opened(self, directory: str) -> Tree:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._stack.callback(os.close, fd)
        return Tree(fd, owner=(0, 0))


def _literal(name: str) -> str:
    """Return a name as a pattern that it alone matches."""
    if not set("*?[") & set(name):
        return name
    return "".join(
        {"\\": "[\\\\]"}.get(letter, f"[{letter}]") if letter in "*?[\\" else letter for letter in name
    )


def digest_parts(parts: Sequence[Part], cache: StatCache | None = None) -> str:
    """Return the checksum (``sha256:…``) of all that `copy_parts` would write from these parts. Raises BuildFailed."""
    return _joined(parts, [digest(part.tree, part.selection, cache) for part in parts])


def copy_parts(
    parts: Sequence[Part],
    root: int,
    *,
    owner: tuple[int, int] | None = None,
    mode: Mode | None = None,
    epoch_ns: int | None = None,
    cache: StatCache | None = None,
    wants_digest: bool = True,
) -> Copied:
    """Copy all parts into the open directory ``root``, one after the other; as `copying.copy`. Raises BuildFailed."""
    done = [
        copy(
            part.tree,
            part.selection,
            root,
            owner=owner,
            mode=mode,
            epoch_ns=epoch_ns,
            cache=cache,
            wants_digest=wants_digest,
            unpacks=part.unpacks,
        )
        for part in parts
    ]
    whole = _joined(parts, [one.digest for one in done]) if wants_digest else ""
    return Copied(whole, sum(one.files for one in done), sum(one.size_bytes for one in done))


def _joined(parts: Sequence[Part], digests: Sequence[str]) -> str:
    lines = [f"{part.unpacks:d} {digest}\n" for part, digest in zip(parts, digests, strict=True)]
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"
