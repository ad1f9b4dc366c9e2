"""Cases of COPY and ADD: a context, and the instructions of a stage that is built from scratch."""

from __future__ import annotations

import gzip
import io
import os
import socket
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.integration.build.places import MTIME_NS, Make, write


class Line(NamedTuple):
    """One COPY or ADD."""

    sources: tuple[str, ...]
    target: str
    chown: str = ""
    chmod: str = ""
    excludes: tuple[str, ...] = ()
    name: str = "COPY"

    def text(self) -> str:
        flags = [f"--chown={self.chown}"] if self.chown else []
        flags += [f"--chmod={self.chmod}"] if self.chmod else []
        flags += [f"--exclude={pattern}" for pattern in self.excludes]
        return " ".join([self.name, *flags, *self.sources, self.target])


class Case(NamedTuple):
    name: str
    make: Make
    lines: tuple[Line, ...]


def line(text: str) -> Line:
    """Read ``--chown=5 a b /c``, or the same after ADD."""
    words = text.split()
    name = words.pop(0) if words[0] in ("ADD", "COPY") else "COPY"
    flags = [word[2:].partition("=") for word in words if word.startswith("--")]
    plain = tuple(word for word in words if not word.startswith("--"))
    single = {key: value for key, _, value in flags}
    excludes = tuple(value for key, _, value in flags if key == "exclude")
    return Line(plain[:-1], plain[-1], single.get("chown", ""), single.get("chmod", ""), excludes, name)


def usual(context: Path) -> None:
    """Files, directories, and links in and out of them."""
    for name in (
        "a.txt",
        "b.txt",
        "d/e/f.txt",
        "d/g.md",
        "d/deep/er/still/x",
        "home/x.txt",
        "wide/1/q",
        "wide/2/q",
    ):
        write(context / name, name)
    write(context / "passwd", "root:x:0:0::/:/bin/sh\njo:x:7:8::/:/bin/sh\n12:x:55:56::/:\n")
    write(context / "group", "root:x:0:\nteam:x:9:\n")
    for name, to in (("la", "a.txt"), ("ld", "d"), ("labs", "/d"), ("d/up", "../a.txt"), ("lchain", "ld/up")):
        (context / name).symlink_to(to)
    (context / "d").chmod(0o2750)
    os.chown(context / "d/g.md", 5, 6)
    (context / "empty").mkdir()


def modes(context: Path) -> None:
    for number, mode in enumerate((0o4755, 0o2755, 0o1644, 0o400, 0o000, 0o7777)):
        write(context / f"m/{number}", mode=mode)
    (context / "m").chmod(0o1777)
    os.setxattr(context / "m/0", "user.note", b"of a file")
    os.setxattr(context / "m", "user.note", b"of a directory")


def specials(context: Path) -> None:
    write(context / "a")
    os.mkfifo(context / "fifo", 0o640)
    os.mknod(context / "null", 0o600 | 0o020000, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as end:
        # a socket's path is short
        here = os.getcwd()
        os.chdir(context)
        try:
            end.bind("socket")
        finally:
            os.chdir(here)


def hard(context: Path) -> None:
    """Files with several names."""
    write(context / "z/a", "one file")
    write(context / "m/q", "another")
    (context / "z/b").hardlink_to(context / "z/a")
    (context / "m/c").hardlink_to(context / "z/a")
    (context / "q2").hardlink_to(context / "m/q")


def links(context: Path) -> None:
    """Links that lead to where something is to be copied."""
    usual(context)
    (context / "to").mkdir()
    (context / "to/etc").symlink_to("/etc")
    (context / "to/up").symlink_to("../../../over")
    (context / "to/loop").symlink_to("loop")
    (context / "to/file").symlink_to("/elsewhere/file")
    (context / "over").mkdir()
    write(context / "over/etc")


def ignoring(text: str) -> Make:
    def make(context: Path) -> None:
        for name in (
            "a.txt",
            "b.md",
            "d/x.txt",
            "d/y/z.txt",
            "d/y/k",
            "keep/q",
            "node_modules/m/p",
            ".git/c",
            ".hid",
        ):
            write(context / name)
        write(context / "e/e/e/e")
        (context / "l1").symlink_to("d/y/z.txt")
        (context / "l2").symlink_to("d")
        write(context / ".dockerignore", text)

    return make


def archives(context: Path) -> None:
    """Archives of every compression, hostile ones, and what only looks like one."""
    whole: tuple[Member, ...] = (
        ("./", {"type": b"5", "mode": 0o711, "uid": 2}, b""),
        ("p", {"type": b"5", "mode": 0o700, "uid": 3, "gid": 4}, b""),
        ("p/f", {"mode": 0o4751, "uid": 3, "gid": 4}, b"hello"),
        ("p/l", {"type": b"2", "linkname": "/etc/x"}, b""),
        ("p/h", {"type": b"1", "linkname": "p/f", "mode": 0o4751, "uid": 3, "gid": 4}, b""),
        ("./q/r/s", {"uid": 9}, b"implied directories"),
        ("/abs/x", {}, b"absolute"),
        ("fifo", {"type": b"6"}, b""),
        ("null", {"type": b"3", "devmajor": 1, "devminor": 3}, b""),
    )
    for name, mode in (("a.tar", "w"), ("a.tgz", "w:gz"), ("a.tbz", "w:bz2"), ("a.txz", "w:xz")):
        pack(context / name, mode, whole)
    pack(context / "up.tar", "w", (("../../over", {}, b"1"), ("ok", {}, b"2")))
    pack(context / "link.tar", "w", (("l", {"type": b"2", "linkname": "/"}, b""), ("l/x", {}, b"1")))
    pack(context / "hard.tar", "w", (("h", {"type": b"1", "linkname": "../../etc/passwd"}, b""),))
    pack(context / "file.tar", "w", (("x", {}, b"1"),))
    pack(context / "directory.tar", "w", (("x", {"type": b"5", "mode": 0o755}, b""), ("x/y", {}, b"1")))
    write(context / "plain.tar", "no archive at all")
    write(context / "text.gz").write_bytes(gzip.compress(b"no archive either", mtime=0))
    write(context / "empty.tar").write_bytes(bytes(10240))
    write(context / "short.tgz").write_bytes((context / "a.tgz").read_bytes()[:60])
    (context / "la").symlink_to("a.tar")
    write(context / "d/other")
    pack(context / "d/in.tar", "w", whole)
    for path in context.rglob("*"):
        os.utime(path, ns=(MTIME_NS, MTIME_NS), follow_symlinks=False)


Member = tuple[str, Mapping[str, object], bytes]


def pack(path: Path, mode: str, members: Iterable[Member]) -> None:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, attributes, data in members:
            member = tarfile.TarInfo(name)
            member.mtime, member.size = 1_400_000_000, len(data)
            for key, value in attributes.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(data))


def names(context: Path) -> None:
    for name in ("a[1].txt", "a1.txt", "a2.txt", "sp ace", "ünï", "-dash", "new\nline", "x" * 250):
        write(context / name)


def _one(name: str, make: Make, *lines: str) -> Case:
    return Case(name, make, tuple(line(text) for text in lines))


_COPIES = """
d /x
d /x/
d/ /x/
d/. /x/
. /
. /x/y/
/ /x
empty /x
a.txt /x
a.txt /x/
a.txt/ /x/
a.txt .
a.txt ./x/
a.txt ../../y
../a.txt /x
/d/../a.txt /x
a.txt b.txt /x/
a.txt b.txt /x
la /x
ld /x
labs /x
ld/e/f.txt /x
lchain /x
l* /x/
*.txt /x/
d/* /x/
*/x.txt /x/
*/*/*.txt /x/
wide/[12]/q /x/
wide/[^1] /x/
?.txt /x/
nomatch* /x/
a.txt nomatch* /x/
missing /x
d/missing /x
missing/x* /x
a.txt/x /x
--exclude=e d /x
--exclude=*.md d /x
--exclude=**/*.txt d /x
--exclude=/e d /x
--exclude=* d /x
--exclude=* --exclude=!e/f.txt d /x
--exclude=deep --exclude=!deep/er/still d /x
--exclude=a.txt a.txt /x/
--exclude=a.txt *.txt /x/
--chown=5:6 d /x/y/
--chown=5 d /x/y
--chown=:6 d /x/y
""".strip().splitlines()

_IGNORES = (
    "*\n!keep",
    "**/*.txt",
    "d\n!d/y",
    "d\n!d/y/z.txt",
    "d/*\n!d/y\nd/y/k",
    "/d",
    "d/",
    "# comment\n  a.txt  \n\n",
    "\ufeffa.txt",
    "!a.txt\na.txt",
    "a.txt\n!a.txt\na.txt\n!*.txt",
    "**",
    "**/e",
    "*/*",
    "?.txt",
    "[ab].*",
    "d/**",
    "**/y/**",
    "*\n!**/*.txt",
    ".*",
    "..\n.",
    "./a.txt",
    "d/../a.txt",
    "l1",
    "**d",
    "*\n!d/*\n!keep/",
    "d/**/z*",
    "!",
    "a[",
)

_ADDITIONS = """
a.tar /x/
a.tar /x
a.tgz /x
a.tbz /x
a.txz /x
la /x
a* /x/
plain.tar /x
text.gz /x
empty.tar /x
short.tgz /x
d /x
d/* /x/
link.tar /x
up.tar /x
hard.tar /x
--chown=5:6 a.tar /x/y
--chmod=600 a.tar /x/y
--exclude=p a.tar /x/
file.tar plain.tar /x/
""".strip().splitlines()

CASES = (
    *(_one(f"ADD {text}", archives, f"ADD {text}") for text in _ADDITIONS),
    _one("archive's directory over a file", archives, "ADD file.tar /x", "ADD directory.tar /x"),
    _one("archive's file over a directory", archives, "ADD directory.tar /x", "ADD file.tar /x"),
    _one("archive onto a file", archives, "plain.tar /x", "ADD a.tar /x"),
    *(_one(text, usual, text) for text in _COPIES),
    _one(
        "named owner",
        usual,
        "passwd group /etc/",
        "--chown=jo d /x/y",
        "--chown=jo:team a.txt /z",
        "--chown=12 b.txt /w",
    ),
    _one("twice", usual, "d /x", "d /x"),
    _one("merged", usual, "home /x/e", "d /x"),
    _one("file over file", usual, "a.txt /x/b", "b.txt /x/b"),
    _one("file over directory", usual, "d /x/a.txt", "a.txt b.txt /x/"),
    _one("directory over file", usual, "a.txt /x", "d /x"),
    _one("directory over file below", usual, "a.txt /x/e", "d /x"),
    _one("file over directory below", usual, "home /x/g.md", "d /x"),
    _one("modes", modes, ". /x/"),
    _one("octal mode", modes, "--chmod=640 . /x/y/"),
    _one("octal mode of a file", modes, "--chmod=4711 m/3 /x/y/"),
    _one("symbolic mode", modes, "--chmod=u=rwX,go=rX . /x/y/"),
    _one("more symbols", modes, "--chmod=a+x,g-w,o=g,+t . /x/y/"),
    _one("set-id symbols", modes, "--chmod=ug+s,o-rwx . /x/y/"),
    _one("mode and owner", modes, "--chmod=4750 --chown=3:4 m/0 /x/"),
    _one("bad mode", modes, "--chmod=9 m /x"),
    _one("too large mode", modes, "--chmod=77777 m /x"),
    _one("no mode", modes, "--chmod=foo m /x"),
    _one("special files", specials, ". /x/"),
    _one("a FIFO", specials, "fifo /x"),
    _one("a device", specials, "null /x"),
    _one("a socket", specials, "socket /x"),
    _one("hard links", hard, ". /x/"),
    _one("hard links by name", hard, "z/b m/c /x/"),
    _one("hard links of two sources", hard, "z m /x/"),
    _one("onto a link to a directory", links, "to /t", "a.txt /t/etc/", "b.txt /t/etc"),
    _one("into a link", links, "to /t", "a.txt /t/etc/k/l", "d /t/up/x"),
    _one("contents onto a link", links, "to /t", "d /t/etc"),
    _one("onto a link to a file", links, "to /t", "a.txt /t/file"),
    _one("a link replaced in a directory", links, "to /t", "over /t"),
    _one("directory over a link", links, "to /t", "home /u/etc", "to /u"),
    _one("link over itself", links, "to /t", "to /t"),
    _one("names", names, ". /x/"),
    _one("class of brackets", names, "a[[]1].txt /x/"),
    _one("class", names, "a[0-1].txt /x/"),
    _one("bad class", names, "a[ /x/"),
    *(_one(f"ignore {text!r}", ignoring(text), ". /") for text in _IGNORES),
    _one("link to what is ignored", ignoring("d"), "l1 /x"),
    _one("link into what is ignored", ignoring("d\n!d/y"), "l2 /x"),
    _one("through an ignored link", ignoring("l2"), "l2/x.txt /x"),
    _one("ignored directory", ignoring("d"), "d /x"),
    _one("ignored contents", ignoring("d/*"), "d /x"),
    _one("ignored wildcard", ignoring("a.txt"), "*.txt /x/"),
    _one("ignored but for what is excluded", ignoring("d\n!d/y/z.txt"), "--exclude=y/z.txt d /x"),
)
