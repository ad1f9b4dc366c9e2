"""What a Dockerfile says, instruction by instruction, as written: variables are expanded when a stage is built.

Each instruction has ``at``, its place in the file, and ``text``, what stands behind its keyword on one line, with its
flags, as the progress display shows it; a RUN that is nothing but a heredoc has the first line of that behind it.
Syntax: https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Place(NamedTuple):
    """Where an instruction stands. Lines and columns count from 1; ``last_line`` includes its heredocs."""

    line: int
    column: int = 1
    last_line: int = 0


class Heredoc(NamedTuple):
    """An inline file. ``expands``: the delimiter was not quoted. ``content`` ends with a newline, unless it is empty.

    With ``<<-`` the leading tabs are gone already. A carriage return before the end of a line is kept.
    """

    name: str
    content: str
    expands: bool = True


class Command(NamedTuple):
    """A command line. In exec form (``is_exec``) ``words`` are the arguments, else its one word is for the shell."""

    words: tuple[str, ...]
    is_exec: bool = False


class From(NamedTuple):
    """``FROM [--platform=P] IMAGE [AS NAME]``; ``name`` is in lower case, empty where there is none."""

    at: Place
    text: str
    image: str
    platform: str = ""
    name: str = ""


class Arg(NamedTuple):
    """``ARG NAME[=DEFAULT] …``; the default is None where there is none, else not expanded and with its quotes."""

    at: Place
    text: str
    pairs: tuple[tuple[str, str | None], ...]


class Env(NamedTuple):
    at: Place
    text: str
    pairs: tuple[tuple[str, str], ...]


class Label(NamedTuple):
    at: Place
    text: str
    pairs: tuple[tuple[str, str], ...]


class Mount(NamedTuple):
    """``RUN --mount=type=…``: the options as written, not expanded; aliases (``src``, ``dst``) by their full names."""

    type: str
    options: Mapping[str, str]


class Run(NamedTuple):
    """``RUN``; with heredocs, ``command`` is the line that names them (``<<EOF``, ``python3 <<EOF``).

    ``script`` is what the shell is to run, as it stands in ``created_by`` too: the command, with its heredocs put back
    behind it; of a command that is nothing but a heredoc, the contents. It is empty in exec form.
    """

    at: Place
    text: str
    command: Command
    heredocs: tuple[Heredoc, ...] = ()
    mounts: tuple[Mount, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    devices: tuple[str, ...] = ()
    script: str = ""
    program: str = ""
    """The name of a heredoc that is ``script`` and begins with ``#!``: it is run as /dev/pipes/NAME, by no shell."""


class Copy(NamedTuple):
    """``COPY``. A source that is a heredoc is in ``heredocs``, not in ``sources``."""

    at: Place
    text: str
    sources: tuple[str, ...]
    target: str
    heredocs: tuple[Heredoc, ...] = ()
    origin: str = ""
    """``--from``: a stage's name or number, an image, or a named context."""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()


class Add(NamedTuple):
    """``ADD``. ``keep_git_dir`` and ``unpack`` are None where nothing was said."""

    at: Place
    text: str
    sources: tuple[str, ...]
    target: str
    heredocs: tuple[Heredoc, ...] = ()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    excludes: tuple[str, ...] = ()
    checksum: str = ""
    keep_git_dir: bool | None = None
    unpack: bool | None = None


class Cmd(NamedTuple):
    at: Place
    text: str
    command: Command


class Entrypoint(NamedTuple):
    at: Place
    text: str
    command: Command


class Shell(NamedTuple):
    at: Place
    text: str
    words: tuple[str, ...]


class Healthcheck(NamedTuple):
    """``command`` is None for ``NONE``. Durations in nanoseconds, 0 where nothing was said."""

    at: Place
    text: str
    command: Command | None
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


class Expose(NamedTuple):
    at: Place
    text: str
    ports: tuple[str, ...]


class Volume(NamedTuple):
    at: Place
    text: str
    paths: tuple[str, ...]


class User(NamedTuple):
    at: Place
    text: str
    user: str


class Workdir(NamedTuple):
    at: Place
    text: str
    path: str


class Stopsignal(NamedTuple):
    at: Place
    text: str
    signal: str


class Onbuild(NamedTuple):
    """``trigger`` is the instruction as text with its heredocs, which the stages built from this one begin with."""

    at: Place
    text: str
    trigger: str


class Maintainer(NamedTuple):
    at: Place
    text: str
    name: str


Instruction = (
    Arg
    | Env
    | Label
    | Run
    | Copy
    | Add
    | Cmd
    | Entrypoint
    | Shell
    | Healthcheck
    | Expose
    | Volume
    | User
    | Workdir
    | Stopsignal
    | Onbuild
    | Maintainer
)


class Stage(NamedTuple):
    """A stage: what it is built from, and its instructions in order."""

    base: From
    instructions: tuple[Instruction, ...]


class Statement(NamedTuple):
    """How an instruction is written: what the checks look at. ``at`` is that of the instruction.

    ``keyword`` is in the case of the file, ``arguments`` are what follows the flags, ``comments`` the lines right above
    without their ``#``. ``empty_continuation`` is the line on which an instruction with blank lines in it ends, else 0.
    """

    at: Place
    keyword: str
    arguments: str
    comments: tuple[str, ...] = ()
    empty_continuation: int = 0


class Dockerfile(NamedTuple):
    """A whole file. ``arguments`` are the ARG before the first FROM; ``escape`` is ``\\`` or a backtick.

    ``syntax`` and ``check`` are the directives' values, empty where there are none. ``lines`` are the file's, for
    messages.
    """

    path: str
    lines: tuple[str, ...]
    escape: str
    syntax: str
    check: str
    arguments: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    statements: tuple[Statement, ...] = ()
    """All instructions in order, those before the first FROM included."""
