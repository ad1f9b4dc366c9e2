"""The user's configuration file: what it says holds, what is wrong with it has a line, and it is read once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.cli.configuration import line_of
from tests.unit.cli.console import Console, Lasting


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".config/composer/config.toml"
    path.parent.mkdir(parents=True)
    return path


def test_it_gives_what_nothing_else_says(console: Console, file: Path) -> None:
    console.write("services: {web: {image: nginx}}")
    file.write_text('progress = "json"\nparallel = 3\ncompatibility = true\n')
    result = console("up", "-d")
    assert result.code == 0
    assert all(line.startswith("{") for line in result.err.splitlines()) and result.err
    assert [c.name for c in console.backend.observe("app").containers] == ["app_web_1"]
    assert console("down", COMPOSE_PROGRESS="quiet").err == ""
    assert not console("--progress", "plain", "up", "-d").err.startswith("{")


def test_the_environment_says_no_where_the_file_says_yes(console: Console, file: Path) -> None:
    console.write("services: {web: {image: nginx}}")
    file.write_text("compatibility = true\n")
    console("up", "-d", COMPOSE_COMPATIBILITY="0")
    assert [c.name for c in console.backend.observe("app").containers] == ["app-web-1"]


def test_xdg_config_home_goes_first(console: Console, file: Path, tmp_path: Path) -> None:
    file.write_text("broken")
    other = tmp_path / "xdg/composer"
    other.mkdir(parents=True)
    (other / "config.toml").write_text('backend = "docker"\n')
    docker = console.backends["docker"] = Lasting()
    console.write("services: {web: {image: nginx}}")
    assert console("up", "-d", XDG_CONFIG_HOME=str(tmp_path / "xdg")).code == 0
    assert len(docker.observe("app").containers) == 1


@pytest.mark.parametrize(
    ("text", "line", "words", "hint"),
    [
        (
            'backend = "podman"\n',
            1,
            "backend: unknown backend 'podman'",
            "available backends: namespace, docker",
        ),
        ("# one\n\nparalel = 3\n", 3, "paralel: unknown key", "did you mean 'parallel'?"),
        ('parallel = "3"\n', 1, "parallel: must be a valid integer, not '3'", None),
        ("parallel = true\n", 1, "parallel: must be a valid integer, not true", None),
        ('progress = "loud"\n', 1, "progress: must be 'auto', 'tty', 'plain', 'json' or 'quiet'", None),
        (
            '[registry."r:5"]\ninsecur = true\n',
            2,
            'registry."r:5".insecur: unknown key',
            "'insecure'?",
        ),
        (
            '[registry."docker.io"]\n# why\nmirrors = [\n  "https://a",\n  "ftp://b",\n]\n',
            3,
            'registry."docker.io".mirrors[1]: must match ^https?://',
            None,
        ),
        ('registry = "x"\n', 1, "registry: must be a mapping, not 'x'", None),
        ("a = 1\nb = \n", 2, "invalid TOML: invalid value", None),
        ('a = """\nnever ends\n', 3, "invalid TOML: ", None),
    ],
)
def test_what_is_wrong_has_its_line(
    console: Console, file: Path, text: str, line: int, words: str, hint: str | None
) -> None:
    file.write_text(text)
    result = console("ps")
    assert result.code == 1
    assert result.err.startswith(f"error: {file}:{line}:"), result.err
    assert words in result.err
    assert hint is None or hint in result.err


def test_some_commands_work_whatever_the_file_says(console: Console, file: Path, tmp_path: Path) -> None:
    file.write_text("nonsense")
    assert console("schema", "config-file").code == 0
    assert console("version").code == 0
    assert console("boot", "status", "--root", str(tmp_path)).code == 0, (
        "a start at boot does not depend on it"
    )
    assert console("ps").code == 1


def test_everything_is_said_at_once(console: Console, file: Path) -> None:
    file.write_text('paralel = 3\nansi = 1\n[registry."a"]\nca = 2\n')
    places = [
        line.rpartition("config.toml:")[2][0] for line in console("ps").err.splitlines() if str(file) in line
    ]
    assert places == ["1", "2", "4"]


def test_it_is_read_through_the_model_once(
    console: Console, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('progress = "json"\n')
    cache = file.parents[2] / ".cache/composer/config-file.json"
    console("ls")
    kept = json.loads(cache.read_text())
    assert (kept["text"], kept["values"]["progress"]) == ('progress = "json"\n', "json")
    assert os.stat(cache).st_mode & 0o777 == 0o600
    kept["values"]["progress"] = "quiet"  # to see that this is what is taken
    cache.write_text(json.dumps(kept))
    console.write("services: {web: {image: nginx}}")
    assert console("up", "-d").err == ""
    # another text, another version or a broken cache: the file itself
    file.write_text('progress = "json"\n\n')
    assert console("down").err.startswith("{")
    for text in ("", "[]", '{"version": "9", "text": ""}', json.dumps({**kept, "values": {"unheard": 1}})):
        cache.write_text(text)
        assert console("up", "-d", DEBUG=text[:1]).code == 0
        assert json.loads(cache.read_text())["values"]["progress"] == "json"


def test_an_unreadable_cache_is_no_error(console: Console, file: Path) -> None:
    file.write_text("parallel = 1\n")
    (file.parents[2] / ".cache").write_text("no directory")
    assert console("ls").code == 0


@pytest.mark.parametrize(
    ("data", "words"), [(b"\xff", "it is not UTF-8 text"), (b"#" * (2 << 20), "it is larger")]
)
def test_what_is_no_configuration(console: Console, file: Path, data: bytes, words: str) -> None:
    file.write_bytes(data)
    assert words in console("ps").err


keys = st.from_regex(r"[a-z]{1,4}", fullmatch=True)


@given(
    st.lists(
        st.tuples(keys, st.sampled_from(["1", "[\n1,\n2]", '"""\nx\n"""', "{a = 1}"])),
        unique_by=lambda p: p[0],
    )
)
def test_the_line_is_that_of_the_statement(pairs: list[tuple[str, str]]) -> None:
    text, lines = "", {}
    for key, value in pairs:
        text += "# a comment\n\n"
        lines[key] = text.count("\n") + 1
        text += f"{key} = {value}\n"
    assert {key: line_of(text, (key,)) for key in lines} == lines
    assert line_of(text, ("not-there",)) == 0
