"""What comes on the control socket and is no request: answered, and without any effect."""

from __future__ import annotations

import ast
import os
import pathlib
import socket
from typing import Any

import pytest

from composer.runtime import engine, objects
from composer.runtime.base import wire
from composer.runtime.supervision import requests

ID = "ab" * 32
PROCESS = {"args": ["sh"], "env": ["A=b"], "cwd": "/", "user": {"name": "0"}}


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 60_000,
        b'{"a":' * 20_000,
        b"[]",
        b"1",
        b"null",
        b"{",
        b"\xff\xfe",
        b'{"op":' + b"9" * 5_000 + b"}",
    ],
)
def test_what_is_no_message_is_a_value_error_and_leaves_no_descriptor(text: bytes) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        reader, writer = os.pipe()
        before = set(os.listdir("/proc/self/fd"))
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, reader.to_bytes(4, "little"))]
        ours.sendmsg([text], rights)
        with pytest.raises(ValueError, match="invalid message"):
            wire.receive(theirs)
        assert set(os.listdir("/proc/self/fd")) == before
        os.close(reader)
        os.close(writer)


VALUES = {
    "tied": True,
    "keeps": False,
    "id": ID,
    "source": ID,
    "signal": 9,
    "process": PROCESS,
    "timeout_s": 1.0,
    "seen_ns": 0,
    "privileged": False,
}


def sent() -> list[dict[str, Any]]:
    """Return every request that the command line's code spells out, with a value for each of its fields."""
    found = []
    for path in [p for room in (engine, objects) for p in pathlib.Path(room.__path__[0]).glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Dict) or not all(isinstance(key, ast.Constant) for key in node.keys):
                continue
            pairs = {key.value: value for key, value in zip(node.keys, node.values, strict=True)}  # type: ignore[union-attr]
            if isinstance(pairs.get("op"), ast.Constant):
                fields = {str(key): VALUES[str(key)] for key in pairs if key != "op"}
                found.append({**fields, "op": pairs["op"].value})  # type: ignore[attr-defined]
    return found


def test_every_request_of_the_command_line_is_understood() -> None:
    requested = sent()
    assert {"hello", "mend", "start", "exec", "signal"} <= {message["op"] for message in requested}
    for message in requested:
        requests.check(message)


@pytest.mark.parametrize(
    "message",
    [
        {"op": "hello"},
        {"op": "mend"},
        {"op": "start", "id": ID},
        {"op": "start", "id": ID, "seen_ns": 0, "attach": True},
        {"op": "stop", "id": ID, "timeout_s": None, "signal": None},
        {"op": "stop", "id": ID, "timeout_s": 0.5},
        {"op": "kill", "id": ID, "signal": 64},
        {"op": "signal", "signal": 9},
        {"op": "exec", "id": ID, "process": PROCESS, "privileged": False},
        {"op": "exec", "id": ID, "process": {**PROCESS, "args": [""]}},
        {"op": "move_ports", "id": ID, "source": ID},
        {"op": "of a later version", "id": ID, "more": {}},
    ],
)
def test_requests_of_ours_are_understood(message: dict[str, Any]) -> None:
    requests.check(message)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"op": 1},
        {"op": ["start"]},
        {"op": "start"},
        {"op": "start", "id": "../../etc"},
        {"op": "start", "id": [ID]},
        {"op": "start", "id": ID, "seen_ns": "0"},
        {"op": "stop", "id": ID, "timeout_s": "1"},
        {"op": "stop", "id": ID, "timeout_s": 1e300},
        {"op": "stop", "id": ID, "timeout_s": float("nan")},
        {"op": "kill", "id": ID},
        {"op": "kill", "id": ID, "signal": 10**30},
        {"op": "kill", "id": ID, "signal": True},
        {"op": "signal"},
        {"op": "exec", "id": ID},
        {"op": "exec", "id": ID, "process": {**PROCESS, "args": []}},
        {"op": "exec", "id": ID, "process": {**PROCESS, "args": ["a\0b"]}},
        {"op": "exec", "id": ID, "process": {**PROCESS, "user": None}},
        {"op": "exec", "id": ID, "process": {**PROCESS, "user": {"uid": -1}}},
        {"op": "exec", "id": ID, "process": {**PROCESS, "rlimits": [{"type": "RLIMIT_CORE"}]}},
        {"op": "move_ports", "id": ID, "source": 1},
    ],
)
def test_what_means_nothing_is_said_to(message: dict[str, Any]) -> None:
    with pytest.raises(requests.Malformed):
        requests.check(message)
