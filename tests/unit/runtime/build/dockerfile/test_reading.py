"""Dockerfiles: what is read, what is refused, and where the caret stands."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from composer.errors import BuildFailed, DockerfileInvalid
from composer.runtime.build.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Heredoc,
    Instruction,
    Label,
    Maintainer,
    Mount,
    Onbuild,
    Place,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from composer.runtime.build.dockerfile.reading import parse, parse_trigger


def one(text: str | bytes, escape: str = "\\") -> Instruction:
    """Return the only instruction of a stage."""
    lines = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    found = parse(f"# escape={escape}\nFROM scratch\n".encode() + lines)
    (stage,) = found.stages
    (instruction,) = stage.instructions
    return instruction


def faults(text: str | bytes) -> list[tuple[int, int, str]]:
    with pytest.raises(DockerfileInvalid) as caught:
        parse(text)
    return [(fault.at.line, fault.at.column, fault.message) for fault in caught.value.faults]


def fault(text: str) -> str:
    """Return the column and the message of the only fault of an instruction on line 2."""
    ((line, column, message),) = faults(f"FROM scratch\n{text}\n")
    assert line == 2
    return f"{column}: {message}"


# ---------------------------------------------------------------------------- the file


def test_a_whole_file() -> None:
    found = parse(
        b"\xef\xbb\xbf# syntax=docker/dockerfile:1 more\n"
        b"#escape = `\n"
        b"# Check=skip=all\n"
        b"# a comment\n"
        b'arg A=1 B="x y" C\n'
        b"from --platform=$P image:$A as Base # no\n".replace(b" # no", b"")
        + b"run x\n"
        b"FROM base\n",
        "dir/Dockerfile",
    )
    assert (found.path, found.escape, found.syntax, found.check) == (
        "dir/Dockerfile",
        "`",
        "docker/dockerfile:1",
        "skip=all",
    )
    assert found.arguments[0].pairs == (("A", "1"), ("B", '"x y"'), ("C", None))
    first, second = found.stages
    assert first.base[1:] == ("--platform=$P image:$A as Base", "image:$A", "$P", "base")
    assert [type(each) for each in first.instructions] == [Run]
    assert second.base.name == "" and second.instructions == ()
    assert [statement.keyword for statement in found.statements] == ["arg", "from", "run", "FROM"]
    assert found.statements[0].comments == ("a comment",)
    assert found.lines[6] == "run x"


@pytest.mark.parametrize(
    ("text", "escape", "syntax"),
    [
        ("# escape=`\nFROM a", "`", ""),
        ("# syntax=x\n# escape=`\nFROM a", "`", "x"),
        ("  # ESCAPE = `  \r\nFROM a", "`", ""),
        ("\n# escape=`\nFROM a", "\\", ""),
        ("# comment\n# escape=`\nFROM a", "\\", ""),
        ("# unknown=1\n# escape=`\nFROM a", "\\", ""),
        ("# syntax x\n# escape=`\nFROM a", "\\", ""),
        ("FROM a\n# escape=`", "\\", ""),
        ("# syntax=\n# escape=`\nFROM a", "\\", ""),
    ],
)
def test_directives_are_the_first_lines(text: str, escape: str, syntax: str) -> None:
    found = parse(text)
    assert (found.escape, found.syntax) == (escape, syntax)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a \\\n  b", "a   b"),
        ("a \\  \t\n  b", "a   b"),
        ("a\\\nb", "ab"),
        ("a \\\n# comment\n   # another\n\n  \nb", "a b"),
        ("a \\\r\n b", "a  b"),
        ("a \\\\\nUSER b", None),
        ("a \\\\", "a \\\\"),
        ("a \\", "a"),
        ("a \\\n\n", "a"),
    ],
)
def test_continued_lines(text: str, expected: str | None) -> None:
    if expected is None:
        assert [each.text for each in parse(f"FROM x\nUSER {text}\n").stages[0].instructions] == [
            "a \\\\",
            "b",
        ]
    else:
        assert one(f"USER {text}") == User(_at(one(f"USER {text}")), expected, expected)


def _at(instruction: Instruction) -> Place:
    return instruction.at


def test_an_escape_character_alone_on_a_line() -> None:
    assert [each.text for each in parse("FROM x\n\\\nUSER a\n").stages[0].instructions] == ["a"]


def test_a_backtick_continues_where_the_file_says_so() -> None:
    found = one('ENV a=C:\\x\\ `\n  b=`"`$', escape="`")
    assert isinstance(found, Env)
    assert found.pairs == (("a", "C:\\x\\"), ("b", '`"`$'))


def test_places_count_from_one_and_span_heredocs() -> None:
    found = parse("FROM x\n\n  RUN a \\\n  b <<E\ntext\nE\nUSER c\n").stages[0].instructions
    assert [each.at for each in found] == [Place(3, 3, 6), Place(7, 1, 7)]


def test_what_the_checks_look_at() -> None:
    found = parse("# one\n\n# two\nARG a\n#\n# three\nFROM x\nRUN a \\\n\n  b\nUSER c\n").statements
    assert [(each.comments, each.empty_continuation) for each in found] == [
        (("one", "two"), 0),
        (("three",), 0),
        ((), 10),
        ((), 0),
    ]


# ---------------------------------------------------------------------------- instructions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CMD a  b", Cmd(Place(3, 1, 3), "a  b", Command(("a  b",)))),
        ('CMD ["a", "b c"]', Cmd(Place(3, 1, 3), '["a", "b c"]', Command(("a", "b c"), True))),
        ("CMD ['a']", Cmd(Place(3, 1, 3), "['a']", Command(("['a']",)))),
        ('CMD ["a",]', Cmd(Place(3, 1, 3), '["a",]', Command(('["a",]',)))),
        ('CMD ["a"] b', Cmd(Place(3, 1, 3), '["a"] b', Command(('["a"] b',)))),
        ("CMD []", Cmd(Place(3, 1, 3), "[]", Command((), True))),
        ("CMD [NaN]", Cmd(Place(3, 1, 3), "[NaN]", Command(("[NaN]",)))),
        (r'CMD ["\ud800\u00e9"]', Cmd(Place(3, 1, 3), r'["\ud800\u00e9"]', Command(("\ufffdé",), True))),
        ("CMD", Cmd(Place(3, 1, 3), "", Command(("",)))),
        ("entrypoint x", Entrypoint(Place(3, 1, 3), "x", Command(("x",)))),
        ("ENV a b  c ", Env(Place(3, 1, 3), "a b  c", (("a", "b  c"),))),
        ("ENV a b=c", Env(Place(3, 1, 3), "a b=c", (("a", "b=c"),))),
        (
            r"""ENV a=1 b="2 3" c='4 5' d=6\ 7 e=""",
            Env(
                Place(3, 1, 3),
                r"""a=1 b="2 3" c='4 5' d=6\ 7 e=""",
                (("a", "1"), ("b", '"2 3"'), ("c", "'4 5'"), ("d", r"6\ 7"), ("e", "")),
            ),
        ),
        (r'ENV a="b\"c"', Env(Place(3, 1, 3), r'a="b\"c"', (("a", r'"b\"c"'),))),
        ("ENV a=b=c", Env(Place(3, 1, 3), "a=b=c", (("a", "b=c"),))),
        ('LABEL "a b"=c', Label(Place(3, 1, 3), '"a b"=c', (('"a b"', "c"),))),
        ("ARG a b= c=d", Arg(Place(3, 1, 3), "a b= c=d", (("a", None), ("b", ""), ("c", "d")))),
        ("EXPOSE 90 80/udp", Expose(Place(3, 1, 3), "90 80/udp", ("80/udp", "90"))),
        ('VOLUME ["/a b", " /c "]', Volume(Place(3, 1, 3), '["/a b", " /c "]', ("/a b", "/c"))),
        ("VOLUME /a  /b", Volume(Place(3, 1, 3), "/a  /b", ("/a", "/b"))),
        ("USER a b", User(Place(3, 1, 3), "a b", "a b")),
        ("WORKDIR /a b", Workdir(Place(3, 1, 3), "/a b", "/a b")),
        ("STOPSIGNAL $s", Stopsignal(Place(3, 1, 3), "$s", "$s")),
        ("MAINTAINER a <b>", Maintainer(Place(3, 1, 3), "a <b>", "a <b>")),
        ('SHELL ["a", "-c"]', Shell(Place(3, 1, 3), '["a", "-c"]', ("a", "-c"))),
        ("HEALTHCHECK none", Healthcheck(Place(3, 1, 3), "none", None)),
        (
            "HEALTHCHECK --interval=1m30s --timeout=0 --start-period=1.5s --start-interval=2ms --retries=3 CMD x y",
            Healthcheck(
                Place(3, 1, 3),
                "--interval=1m30s --timeout=0 --start-period=1.5s --start-interval=2ms --retries=3 CMD x y",
                Command(("x y",)),
                90_000_000_000,
                0,
                1_500_000_000,
                2_000_000,
                3,
            ),
        ),
        ('HEALTHCHECK CMD ["x"]', Healthcheck(Place(3, 1, 3), 'CMD ["x"]', Command(("x",), True))),
        ("COPY a b /c/", Copy(Place(3, 1, 3), "a b /c/", ("a", "b"), "/c/")),
        ('COPY ["a b", "c"]', Copy(Place(3, 1, 3), '["a b", "c"]', ("a b",), "c")),
        (
            "COPY --from=x --chown=1:2 --chmod=0644 --link --parents=FALSE --exclude=*.o --exclude='b c' a b",
            Copy(
                Place(3, 1, 3),
                "--from=x --chown=1:2 --chmod=0644 --link --parents=FALSE --exclude=*.o --exclude='b c' a b",
                ("a",),
                "b",
                (),
                "x",
                "1:2",
                "0644",
                True,
                False,
                ("*.o", "b c"),
            ),
        ),
        ("COPY -- --a b", Copy(Place(3, 1, 3), "-- --a b", ("--a",), "b")),
        (
            "ADD --checksum=sha256:1 --keep-git-dir --unpack=false http://x/y /z",
            Add(
                Place(3, 1, 3),
                "--checksum=sha256:1 --keep-git-dir --unpack=false http://x/y /z",
                ("http://x/y",),
                "/z",
                checksum="sha256:1",
                keep_git_dir=True,
                unpack=False,
            ),
        ),
        ("ADD a b", Add(Place(3, 1, 3), "a b", ("a",), "b")),
    ],
)
def test_one_instruction(text: str, expected: Instruction) -> None:
    assert one(text) == expected


@pytest.mark.parametrize(
    ("text", "sources", "documents"),
    [
        ("COPY <<E /x\na\nE", (), (Heredoc("E", "a\n"),)),
        ("COPY <<E /x\nE", (), (Heredoc("E", ""),)),
        (
            'COPY a <<"E" <<-F b /x\n$a\nE\n\t\tc\n\td\n\tF',
            ("a", "b"),
            (Heredoc("E", "$a\n", False), Heredoc("F", "c\nd\n")),
        ),
        ("COPY <<E /x\na\r\nE\r", (), (Heredoc("E", "a\r\n"),)),
        ("COPY 3<<a.txt /x\nb \na.txt", (), (Heredoc("a.txt", "b \n"),)),
        ("COPY <<E \\\n  # comment\n  /x\nFROM y\n# z\nE", (), (Heredoc("E", "FROM y\n# z\n"),)),
        ('COPY ["<<E", "/x"]', (), (Heredoc("E", ""),)),
        ("COPY a<<E /x", ("a<<E",), ()),
        ("COPY <<<E /x", ("<<<E",), ()),
    ],
)
def test_heredocs_of_copy(text: str, sources: tuple[str, ...], documents: tuple[Heredoc, ...]) -> None:
    found = one(text)
    assert isinstance(found, Copy)
    assert (found.sources, found.heredocs, found.target) == (sources, documents, "/x")


@pytest.mark.parametrize(
    ("text", "shown", "script", "program"),
    [
        ("RUN a", "a", "a", ""),
        ('RUN ["a"]', '["a"]', "", ""),
        ("RUN <<E\na\nb\nE", "<<E (a...)", "a\nb\n", ""),
        ("RUN <<E\n\n  a\nE", "<<E (a)", "\n  a\n", ""),
        ("RUN --network=none <<-E\n\ta\nE", "--network=none <<-E (a)", "a\n", ""),
        ("RUN <<file\n#!/bin/x\ny\nfile", "<<file (#!/bin/x...)", "#!/bin/x\ny\n", "file"),
        ("RUN python <<E\na\nE", "python <<E", "python <<E\na\nE", ""),
        (
            "RUN <<A cat <<-'B'\na\nA\n\tb\n\tB",
            "<<A cat <<-'B'",
            "<<A cat <<-'B'\na\nA\tb\nB".replace("A\t", "A\n\t"),
            "",
        ),
        ("RUN a << E\nb\nE", "a << E", "a << E\nb\nE", ""),
        ("RUN echo '<<E'", "echo '<<E'", "echo '<<E'", ""),
        ("RUN echo 1<2", "echo 1<2", "echo 1<2", ""),
    ],
)
def test_what_run_runs(text: str, shown: str, script: str, program: str) -> None:
    found = one(text)
    assert isinstance(found, Run)
    assert (found.text, found.script, found.program) == (shown, script, program)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type=cache,target=/x", Mount("cache", {"target": "/x"})),
        ("target=/x,from=y", Mount("bind", {"target": "/x", "from": "y"})),
        ("TYPE=Cache,dst=/x,src=y,ro", Mount("cache", {"target": "/x", "source": "y", "readonly": "true"})),
        ("type=bind,destination=a,rw=1", Mount("bind", {"target": "a", "readwrite": "1"})),
        (
            "type=cache,id=a,id=b,sharing=LOCKED,mode=0700,uid=0,gid=1",
            Mount("cache", {"id": "b", "sharing": "locked", "mode": "0700", "uid": "0", "gid": "1"}),
        ),
        ("type=tmpfs,size=64m,target=/t", Mount("tmpfs", {"size": "64m", "target": "/t"})),
        ("required,type=secret,id=x,env=", Mount("secret", {"required": "true", "id": "x", "env": ""})),
        ("type=ssh,required=false", Mount("ssh", {"required": "false"})),
        ("type=$T,sharing=$S,mode=$M", Mount("$T", {"sharing": "$S", "mode": "$M"})),
        (r"type=bind,\"source=a,b\"", Mount("bind", {"source": "a,b"})),
        ('\'type=bind,"source=a""b"\'', Mount("bind", {"source": 'a"b'})),
    ],
)
def test_mounts(text: str, expected: Mount) -> None:
    found = one(f"RUN --mount={text} x")
    assert isinstance(found, Run)
    assert found.mounts == (expected,)


@pytest.mark.parametrize("separator", ["\x1c", "\x1d", "\x1e", "\x1f"])
def test_separators_of_ascii_are_no_white_space(separator: str) -> None:
    """For Go they are none; for Python's `str.strip` they are."""
    text = f"FROM x\nRUN {separator}--network=none a\nVOLUME {separator}/v{separator}\n"
    run, volume = parse(text).stages[0].instructions
    assert isinstance(run, Run) and isinstance(volume, Volume)
    assert (run.script, run.network) == (f"{separator}--network=none a", "default")
    assert volume.paths == (f"{separator}/v{separator}",)


def test_a_trigger_of_onbuild_is_kept_as_text_and_read_again() -> None:
    found = one("ONBUILD COPY <<E /x\na\nE")
    assert isinstance(found, Onbuild)
    assert found.trigger == "COPY <<E /x\na\nE"
    assert parse_trigger(found.trigger) == Copy(Place(1, 1, 3), "<<E /x", (), "/x", (Heredoc("E", "a\n"),))


@pytest.mark.parametrize("text", ["", "FROM x", "ONBUILD RUN x", "MAINTAINER x", "RUN a\nRUN b", "COPY a"])
def test_what_is_no_trigger(text: str) -> None:
    with pytest.raises(DockerfileInvalid):
        parse_trigger(text)


# ---------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUNX x", "1: unknown instruction 'RUNX'"),
        ("FROM", "1: FROM needs one image, or an image and a name"),
        ("FROM a b", "1: FROM needs one image, or an image and a name"),
        ("FROM a AS 1", "11: invalid stage name '1'"),
        ("FROM a AS b/c", "11: invalid stage name 'b/c'"),
        ("FROM --platfrom=x a", "6: unknown flag '--platfrom'"),
        ("ARG", "1: ARG has no name"),
        ("ARG a =b", "7: ARG has an empty name"),
        ("ARG --a b", "5: unknown flag '--a'"),
        ("ENV", "1: ENV has no name"),
        ("ENV a", "5: ENV has no value for 'a'"),
        ("ENV a=1 b", "9: ENV has no value for 'b'"),
        ("LABEL =x", "7: LABEL has an empty name"),
        ("USER", "1: USER has no argument"),
        ("WORKDIR --x y", "9: unknown flag '--x'"),
        ("SHELL x", "7: SHELL needs a JSON array of strings"),
        ("SHELL []", "7: SHELL needs a JSON array of strings"),
        ("EXPOSE", "1: EXPOSE has no port"),
        ("VOLUME", "1: VOLUME has no path"),
        ('VOLUME ["a", " "]', "13: VOLUME has an empty path"),
        ('CMD ["a", 1]', "5: JSON array has an element that is no string"),
        ("COPY a", "1: COPY has no destination"),
        ("COPY", "1: COPY has no source"),
        ("ADD --from=x a b", "5: unknown flag '--from'"),
        ("COPY --link=x a b", "6: invalid boolean 'x' for flag --link"),
        ("COPY --link --link a b", "13: flag --link is given twice"),
        ("COPY --chown a b", "6: flag --chown has no value"),
        ("COPY --from=$x a b", "6: flag --from cannot have variables"),
        ("COPY a <<E\nE", "8: heredoc cannot be the destination of COPY"),
        ("COPY <<E /x\na", "1: heredoc 'E' has no end"),
        ("RUN []", "5: RUN has no command"),
        ("RUN --network=x y", "5: unknown value 'x' for flag --network"),
        ("RUN --security=x y", "5: unknown value 'x' for flag --security"),
        ("RUN --device=a,b y", "16: unknown device option 'b'"),
        ("RUN --device=required y", "5: device has no name"),
        ("RUN --mount=type=x y", "18: unknown mount type 'x'"),
        ("RUN --mount=typ=bind y", "13: unknown mount option 'typ'"),
        ("RUN --mount= y", "5: unknown mount option ''"),
        ("RUN --mount=target y", "13: mount option 'target' has no value"),
        (
            "RUN --mount=type=cache,sharing=x y",
            "32: mount option 'sharing': unknown value 'x': use shared, private or locked",
        ),
        (
            "RUN --mount=type=cache,mode=8 y",
            "29: mount option 'mode': invalid mode '8': use octal digits, such as 0755",
        ),
        (
            "RUN --mount=type=cache,uid=-1 y",
            "28: mount option 'uid': invalid number '-1': use one from 0 to 4294967295",
        ),
        (
            "RUN --mount=type=cache,ro=x y",
            "27: mount option 'readonly': invalid boolean 'x': use true or false",
        ),
        ("RUN --mount=type=cache,size=1m y", "24: mount option 'size' is not for type cache"),
        ("RUN --mount=type=bind,required y", "23: mount option 'required' is not for type bind"),
        ("RUN --mount=type=ssh,sharing=shared y", "22: mount option 'sharing' is not for type ssh"),
        ("RUN --mount=type=secret y", "13: mount of type secret names no secret"),
        ("RUN --mount=type=secret,id=a,source=b y", "30: mount of type secret has both id and source"),
        ("RUN --mount=type=secret,id=a,from=b y", "30: mount option 'from' is not for type secret"),
        ("RUN --mount=from=$x,target=/y z", "13: mount option 'from' has a variable"),
        (r"RUN --mount=type=bind,\"a y", "5: mount 'type=bind,\"a': quoted field has no end"),
        (
            "RUN --mount='type=bind,x\"' y",
            '5: mount \'type=bind,x"\': quote within a field: put the whole field into quotes, as in "source=a,b"',
        ),
        ("HEALTHCHECK", "1: HEALTHCHECK has no type"),
        ("HEALTHCHECK x", "13: unknown type 'x' of HEALTHCHECK"),
        ("HEALTHCHECK CMD", "1: HEALTHCHECK CMD has no command"),
        ("HEALTHCHECK CMD []", "1: HEALTHCHECK CMD has no command"),
        ("HEALTHCHECK NONE x", "18: HEALTHCHECK NONE takes no arguments"),
        (
            "HEALTHCHECK --interval=1x CMD y",
            "13: flag --interval: invalid duration '1x': use a number and a unit, such as 30s, 1m30s or 500ms",
        ),
        (
            "HEALTHCHECK --interval=1d CMD y",
            "13: flag --interval: invalid duration '1d': use h, m, s, ms, us or ns",
        ),
        ("HEALTHCHECK --interval=1us CMD y", "13: flag --interval: duration '1us' is out of range"),
        ("HEALTHCHECK --interval=-1s CMD y", "13: flag --interval: duration '-1s' is out of range"),
        ("HEALTHCHECK --interval=9999999h CMD y", "13: flag --interval: duration '9999999h' is out of range"),
        ("HEALTHCHECK --retries=-1 CMD y", "13: flag --retries: invalid number '-1'"),
        ("ONBUILD", "1: ONBUILD has no instruction"),
        ("ONBUILD onbuild RUN x", "9: ONBUILD cannot be a trigger of ONBUILD"),
        ("ONBUILD FROM x", "9: FROM cannot be a trigger of ONBUILD"),
        ("ONBUILD COPY x", "9: COPY has no destination"),
        ("ONBUILD RUN --mount=type=x y", "26: unknown mount type 'x'"),
        ("ONBUILD RUNX y", "9: unknown instruction 'RUNX'"),
        ("USER a\0b", "7: NUL character in an instruction"),
        ("USER a\udcffb", "7: text is not valid UTF-8"),
        ("COPY <<E /x\nE\n\\", "1: unknown instruction ''"),
    ],
)
def test_what_is_refused(text: str, expected: str) -> None:
    (line, column, message), *others = faults(f"FROM scratch\n{text}\n")
    assert not others
    assert f"{column}: {message}" == expected
    assert line == (4 if text.endswith("\\") else 2)


def test_bytes_that_are_no_text_are_a_fault_outside_of_comments() -> None:
    assert parse(b"# caf\xe9\nFROM x\nRUN a \\\n# \xe9\n b\n").stages
    assert faults(b"FROM x\nRUN a \\\n  # \xff\n  b\xe9\n")[0][2] == "text is not valid UTF-8"
    assert faults(b"FROM x\nRUN <<E\na\n\xe9\nE\n") == [(4, 1, "text is not valid UTF-8")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (1, 1, "Dockerfile has no instructions")),
        ("# comment\n\n", (1, 1, "Dockerfile has no instructions")),
        ("ARG a\n", (1, 1, "Dockerfile has no FROM")),
        ("# escape=x\nFROM a\n", (1, 1, "unknown escape character 'x'")),
        ("# syntax=a\n# syntax=b\nFROM a\n", (2, 1, "directive 'syntax' is used twice")),
        (
            "# syntax=a\n# check=skip\nFROM a\n",
            (2, 1, "unknown check option 'skip': use skip=, error= or experimental="),
        ),
        ("# check=error=maybe\nFROM a\n", (1, 1, "invalid boolean 'maybe': use true or false")),
        ("RUN x\nFROM a\n", (1, 1, "RUN before the first FROM belongs to no stage")),
    ],
)
def test_a_file_is_refused(text: str, expected: tuple[int, int, str]) -> None:
    assert faults(text) == [expected]


def test_all_faults_come_at_once_with_their_lines() -> None:
    text = "FROM a\nRUNX b\nCOPY \\\n  --form=c \\\n  d /e\n"
    with pytest.raises(BuildFailed) as caught:
        parse(text, "app/Dockerfile")
    error = caught.value
    assert str(error) == "app/Dockerfile:2:1: unknown instruction 'RUNX'"
    assert error.hint is None  # each fault has its own
    assert error.__notes__ == [
        "    2 | RUNX b\n      | ^\nhint: did you mean 'RUN'?",
        "app/Dockerfile:4:3: unknown flag '--form'\n    4 |   --form=c \\\n      |   ^\nhint: did you mean '--from'?",
    ]


def test_a_single_fault_has_its_hint_where_errors_have_it() -> None:
    with pytest.raises(DockerfileInvalid) as caught:
        parse("FROM a\nRUNX b\n")
    assert caught.value.hint == "did you mean 'RUN'?"
    assert caught.value.__notes__ == ["    2 | RUNX b\n      | ^"]


def test_a_long_line_is_shown_around_its_fault() -> None:
    with pytest.raises(DockerfileInvalid) as caught:
        parse("FROM a\nCOPY " + "\t" * 5000 + "\n")
    excerpt = "".join(caught.value.__notes__)
    assert max(map(len, excerpt.splitlines())) < 140
    with pytest.raises(DockerfileInvalid) as caught:
        parse(f"FROM a\nENV {'a=1 ' * 5000}bad\n")
    _, line, caret = "".join(caught.value.__notes__).rpartition("    2 | ")[0:3]
    assert caret.splitlines()[0][caret.splitlines()[1].index("^") - len("    2 | ") :].startswith("bad")
    assert line


# ---------------------------------------------------------------------------- large files


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nRUN " + "x" * 10_000_000,
        "FROM a\nENV " + "a=b\\ c " * 200_000,
        "FROM a\nENV a='" + "b" * 10_000_000 + "'",
        "FROM a\nCMD [" + '"a",' * 1_000_000 + '"b"]',
        "FROM a\n" + "RUN x\n" * 100_000,
        "FROM a\nRUN x" + " \\\n  y" * 500_000,
        "FROM a\nRUN x \\\n" + "\n# c\n" * 500_000,
        "# c\n" * 1_000_000 + "FROM a",
        "FROM a\nCOPY <<E /x\n" + "y\n" * 2_000_000 + "E\n",
        "FROM a\nCOPY " + "<<E " * 20_000 + "/x\n" + "E\n" * 20_000,
        "FROM a\nCMD " + "[" * 1_000_000,
        "FROM a\nCOPY " + "--exclude=x " * 200_000 + "a b",
    ],
    ids=range(12),
)
def test_large_files_are_read(text: str) -> None:
    assert len(parse(text).stages) == 1


# ---------------------------------------------------------------------------- any text

_PIECES = st.lists(
    st.sampled_from(
        [
            *"FROM scratch AS x RUN COPY ADD ENV ARG CMD ONBUILD HEALTHCHECK SHELL VOLUME LABEL".split(),
            *[
                "\n",
                "\n",
                "\n",
                " ",
                " ",
                "\t",
                "\r\n",
                "\\",
                "\\\n",
                "#",
                "# escape=`\n",
                "`",
                "\0",
                "\udcff",
            ],
            *["<<E", "<<-E", "\nE\n", "$", "${", "}", "[", "]", '"', "'", "=", ",", "\ufeff"],
            *["--", "--mount=", "type=", "cache", "from", "--from="],
        ]
    ),
    max_size=40,
)


@given(_PIECES.map("".join))
@example("FROM x\n\\")
def test_nothing_but_faults_is_raised(text: str) -> None:
    try:
        found = parse(text)
    except DockerfileInvalid as error:
        lines = text.removeprefix("\ufeff").split("\n")
        assert all(1 <= each.at.line <= len(lines) for each in error.faults)
        assert error.faults == tuple(sorted(error.faults, key=lambda each: each.at[1:3]))
    else:
        assert parse(text) == found
        assert found.stages


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    try:
        parse(data)
    except DockerfileInvalid as error:
        str(error).encode()
