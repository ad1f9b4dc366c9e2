"""The arguments of COPY and ADD."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from composer.runtime.build.dockerfile import heredocs, words
from composer.runtime.build.dockerfile.instructions import Add, Copy, Heredoc
from composer.runtime.build.dockerfile.statements import BOOL, TEXT, TEXTS

if TYPE_CHECKING:
    from composer.runtime.build.dockerfile.forms import Token
    from composer.runtime.build.dockerfile.statements import Flags, Writing

_COMMON = {"chown": TEXT, "chmod": TEXT, "link": BOOL, "exclude": TEXTS}


class _Files(NamedTuple):
    sources: tuple[str, ...]
    target: str
    heredocs: tuple[Heredoc, ...]


def read_copy(writing: Writing) -> Copy:
    flags = writing.flags({**_COMMON, "from": TEXT, "parents": BOOL})
    files = _files(writing)
    return Copy(
        writing.at,
        writing.text,
        *files,
        origin=_origin(writing, flags),
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=flags.boolean("link") or False,
        parents=flags.boolean("parents") or False,
        excludes=flags.texts("exclude"),
    )


def read_add(writing: Writing) -> Add:
    flags = writing.flags({**_COMMON, "checksum": TEXT, "keep-git-dir": BOOL, "unpack": BOOL})
    files = _files(writing)
    return Add(
        writing.at,
        writing.text,
        *files,
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=flags.boolean("link") or False,
        excludes=flags.texts("exclude"),
        checksum=flags.text("checksum"),
        keep_git_dir=flags.boolean("keep-git-dir"),
        unpack=flags.boolean("unpack"),
    )


def _origin(writing: Writing, flags: Flags) -> str:
    """Return ``--from``. It cannot have variables: the stages that are needed are known before any is built."""
    text = flags.text("from")
    try:
        is_plain = words.expand(text, {}, writing.escape).text == text
    except words.WordInvalid:
        is_plain = False
    if not is_plain:
        writing.fault(
            flags.given["from"][-1].offset,
            "flag --from cannot have variables",
            "name a stage there that has the variable in its FROM",
        )
    return text


def _files(writing: Writing) -> _Files:
    found = writing.list_of_words()
    if len(found) < 2:
        missing = "destination" if found else "source"
        raise writing.stop(f"{writing.name} has no {missing}", f"write {writing.name} SOURCE DESTINATION")
    *sources, target = found
    if _heredoc(writing, target):
        writing.fault(
            target.offset,
            f"heredoc cannot be the destination of {writing.name}",
            f"write {writing.name} <<NAME DESTINATION",
        )
    contents = {each.word.name: each.content for each in writing.heredocs}
    inline, paths = [], []
    for source in sources:
        word = _heredoc(writing, source)
        if word is None:
            paths.append(source.text)
            continue
        content = contents.get(word.name, "")
        content = heredocs.without_tabs(content) if word.chomps else content
        inline.append(Heredoc(word.name, content, word.expands))
    return _Files(tuple(paths), target.text, tuple(inline))


def _heredoc(writing: Writing, token: Token) -> heredocs.HeredocWord | None:
    try:
        return heredocs.heredoc_word(token.text)
    except words.WordInvalid:
        return None
