"""What is said to a provider, and what of its answers counts."""

from __future__ import annotations

import json

import pytest

from composer.engine.providers.protocol import (
    Message,
    Metadata,
    Provider,
    Reader,
    Told,
    Variables,
    arguments,
    first_line,
    injected,
    read_metadata,
)
from composer.errors import ProviderFailed

PROVIDER = Provider("cloud", {"size": ("256",), "kind": ("a", "b")})


def messages(*pieces: str) -> list[Message]:
    reader = Reader()
    found = [message for piece in pieces for message in reader.feed(piece)]
    reader.end()
    return found


def test_every_kind_of_message() -> None:
    kinds = {"info": "pulling", "error": "no", "debug": "x", "setenv": "URL=a=b", "rawsetenv": "K="}
    lines = [json.dumps({"type": kind, "message": text}) + "\n" for kind, text in kinds.items()]
    assert messages(*lines) == [Message(kind, text) for kind, text in kinds.items()]


def test_messages_may_be_written_in_any_way() -> None:
    expected = [Message("info", "a"), Message("info", "b")]
    assert messages('{"type":"info","message":"a"} {"type":"info","message":"b"}') == expected
    assert messages('{"type":"info",\n', ' "message":"a"}\n\n', '{"type":"info","message":"b"}') == expected


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("hello\n", "hello"),
        ('{"type":"status","message":"x"}', "status"),
        ('{"message":"x"}', "None"),
        ('{"type":"setenv","message":"URL"}', "URL"),
        ('{"type":"rawsetenv","message":"=x"}', "=x"),
        ('{"type":"info","message":1}', "info"),
        ('{"type":"info"', '{"type":"info"'),
        ("[]", r"\[\]"),
        ('{"type":"setenv","message":"A=\\u0000"}', "A= "),
        ('{"type":"setenv","message":"A=\\ud800"}', "A=\ud800"),
        ('{"a":' * 100_000, '({"a":)+{?'),
    ],
)
def test_answers_that_are_none(output: str, shown: str) -> None:
    with pytest.raises(ProviderFailed, match=f"^invalid response from plugin: {shown}$"):
        messages(output)


def test_a_message_without_end_is_not_kept() -> None:
    with pytest.raises(ProviderFailed):
        list(Reader().feed('{"type":"' + "x" * (2 << 20)))


def test_variables_that_no_program_could_get() -> None:
    told = Told()
    with pytest.raises(ProviderFailed, match=r"^variable 'BIG' has 131073 bytes"):
        told.add(Message("setenv", "BIG=" + "x" * (131072 - 4)))
    with pytest.raises(ProviderFailed, match="more than 1048576 bytes of variables"):
        for number in range(100):
            told.add(Message("rawsetenv", f"V{number}=" + "x" * 100_000))


def test_the_longest_variable_is_kept() -> None:
    told = Told()
    told.add(Message("setenv", "BIG=" + "x" * (131072 - 5)))
    told.add(Message("info", "y" * 200_000))
    assert [len(value) for value in told.variables().prefixed.values()] == [131067]


def test_options_are_those_that_the_metadata_knows() -> None:
    common = ["compose", "--project-name=p"]
    assert arguments(PROVIDER, None, "p", "up", "db") == [
        *common,
        "up",
        "--kind=a",
        "--kind=b",
        "--size=256",
        "db",
    ]
    metadata = Metadata({"size": True}, {}, {"kind": False})
    assert arguments(PROVIDER, metadata, "p", "up", "db") == [*common, "up", "--size=256", "db"]
    assert arguments(PROVIDER, metadata, "p", "down", "db") == [*common, "down", "db"]
    assert arguments(PROVIDER, metadata, "p", "stop", "db") == [*common, "stop", "--kind=a", "--kind=b", "db"]


def test_a_required_option_is_missed() -> None:
    with pytest.raises(ProviderFailed, match='required parameter "name" is missing from provider "cloud"'):
        arguments(PROVIDER, Metadata({"name": True}, {}, None), "p", "up", "db")


def test_only_who_says_so_can_stop() -> None:
    assert arguments(PROVIDER, Metadata({}, {}, None), "p", "stop", "db") is None
    assert arguments(PROVIDER, None, "p", "stop", "db") is None


@pytest.mark.parametrize("data", [b"", b"usage: x", b"[]", b"{}", b'{"up": {}}', b'{"stop": {}}', b'"x"'])
def test_metadata_that_say_nothing(data: bytes) -> None:
    assert read_metadata(data) is None


def test_metadata() -> None:
    found = {
        "description": "d",
        "up": {"parameters": [{"name": "a", "required": True}, {"name": "b"}, 1, {}]},
        "stop": {},
    }
    assert read_metadata(json.dumps(found).encode()) == Metadata({"a": True, "b": False}, {}, {})
    assert read_metadata(b'{"up": {"parameters": null}, "description": "d"}') == Metadata({}, {}, None)


def test_what_dependents_get() -> None:
    assert injected("my-db", Variables({"URL": "x"}, {"KEY": "y"})) == {"MY-DB_URL": "x", "KEY": "y"}
    assert first_line("\na\nb\n") == "a"
