"""Programs of others: what they print is bounded, and no child of theirs is waited for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from composer.engine.providers import calling
from composer.errors import ProviderFailed

ENVIRONMENT = {"PATH": os.environ["PATH"]}
pytestmark = pytest.mark.timeout(60)


def ask(script: str, timeout_s: float | None = 50) -> calling.Answer:
    return calling.ask(["sh", "-c", script], ENVIRONMENT, timeout_s=timeout_s)


def test_both_outputs_are_read_to_the_end() -> None:
    found = ask("head -c 3000000 /dev/zero; echo reason >&2; exit 3")
    assert (found.code, len(found.output), found.tail) == (3, 3_000_000, b"reason\n")


def test_a_child_that_keeps_the_pipes_open_is_not_waited_for(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    try:
        assert ask(f"sleep 600 & echo $! > {pid}; echo said") == (0, b"said\n", b"")
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_nor_is_one_that_goes_on_talking(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    try:
        found = ask(f"yes & echo $! > {pid}")
        assert found.code == 0
    except ProviderFailed as error:
        assert "more than 4 MiB" in str(error)  # it was fast
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_output_without_end_is_an_error() -> None:
    with pytest.raises(ProviderFailed, match=r"'sh -c yes' printed more than 4 MiB") as caught:
        ask("yes")
    assert caught.value.hint


def test_of_standard_error_the_end_is_kept() -> None:
    found = ask("yes 2>&1 >&2 | head -c 20000000 >&2; echo last >&2")
    assert len(found.tail) <= 1 << 14
    assert found.tail.endswith(b"last\n")


@pytest.mark.parametrize(
    "script", ["exec sleep 600", "exec >&- 2>&-; exec sleep 600", "echo begun; exec sleep 600"]
)
def test_what_does_not_end_is_ended(script: str, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(ProviderFailed, match=r"did not end within 0.4 s"):
        ask(f"echo $$ > {pid}; {script}", timeout_s=0.4)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit status 0"), (7, "exit status 7"), (-2, "signal: interrupt"), (-9, "signal: killed")],
)
def test_an_end_is_said_as_go_says_it(code: int, words: str) -> None:
    assert calling.how_it_ended(code) == words


def test_what_is_no_program_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\x7fELFnothing")
    (tmp_path / "x").chmod(0o755)
    with pytest.raises(ProviderFailed, match=r"cannot run '.*/x': exec format error") as caught:
        calling.ask([str(tmp_path / "x")], ENVIRONMENT, timeout_s=1)
    assert caught.value.hint


def test_a_block_that_ends_early_ends_the_program(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with (
        pytest.raises(KeyboardInterrupt),
        calling.Call(["sh", "-c", f"echo $$ > {pid}; echo begun; exec sleep 600"], ENVIRONMENT) as call,
    ):
        for _ in call.pieces():
            raise KeyboardInterrupt
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
