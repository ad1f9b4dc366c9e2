"""Stacks of a program: up and down, addresses, commands, files, waiting, and what goes wrong."""

from __future__ import annotations

import asyncio
import pathlib
import threading
import time

import pytest

import composer
from composer.stacks import ports


@pytest.fixture
def stack(directory: pathlib.Path, backend: str) -> composer.Stack:
    return composer.Stack(ports.apart(composer.load(directory / "compose.yaml")), backend=backend)


def test_a_stack_is_up_for_its_block(stack: composer.Stack) -> None:
    with stack:
        assert stack.plan().steps
        stack.up(timeout=30)
        assert [one.state.value for one in stack.ps()] == ["running", "running"]
        assert not stack.plan().steps
        assert stack["web"].wait_http(80, timeout=20) == b"hello\n"
        assert stack["web"].port(80) == stack["web"].address(80).port != 18099
        assert stack["web"].url("http", 80, "x") == f"http://127.0.0.1:{stack['web'].port(80)}/x"
        assert stack["db"].address(5432).host not in ("127.0.0.1", "")
        with pytest.raises(composer.errors.NotFound):
            stack["db"].port(5432)
        with pytest.raises(composer.errors.UnknownService, match="no such service: wed"):
            stack["wed"]
    assert stack.ps(all=True) == []
    stack.close()  # it was opened once more


def test_commands_give_what_they_print(stack: composer.Stack) -> None:
    with stack:
        stack.up(services=["db"], timeout=30)
        result = stack["db"].exec(
            ["sh", "-c", "cat; echo $A >&2; pwd"], input="in\n", env={"A": "b"}, workdir="/tmp"
        )
        assert (result.exit_code, result.stdout, result.stderr) == (0, "in\n/tmp\n", "b\n")
        with pytest.raises(composer.CommandFailed) as failed:
            stack["db"].exec(["sh", "-c", "echo why >&2; exit 3"])
        assert failed.value.result.exit_code == 3 and failed.value.__notes__ == ["why"]
        assert stack["db"].exec(["false"], check=False).exit_code == 1
        began = time.monotonic()
        with pytest.raises(composer.errors.Timeout, match=r"within 0\.2 s"):
            stack["db"].exec(["sleep", "60"], timeout=0.2)
        assert time.monotonic() - began < 30
        big = stack["db"].exec(["cat"], input=b"x" * 1_000_000)
        assert len(big.stdout) == 1_000_000
        assert stack["db"].run(["sh", "-c", "echo $B"], env={"B": "c"}).stdout == "c\n"
        assert len(stack["db"].containers) == 1


def test_files_go_in_and_come_out(stack: composer.Stack, tmp_path: pathlib.Path) -> None:
    with stack:
        stack.up(services=["db"], timeout=30)
        (tmp_path / "in").write_text("hello")
        stack["db"].copy_in(tmp_path / "in", "/data/x")
        assert stack["db"].exec(["cat", "/data/x"]).stdout == "hello"
        stack["db"].copy_out("/data", tmp_path / "out")
        assert (tmp_path / "out/x").read_text() == "hello"


def test_lines_are_waited_for_in_logs(stack: composer.Stack) -> None:
    with stack:
        stack.up(timeout=30)
        assert stack["web"].wait_log(r"r(ea)dy", timeout=20)[1] == "ea"
        with pytest.raises(composer.errors.Timeout, match="printed no line with 'never'"):
            stack["web"].wait_log("never", timeout=0.3)
        lines = list(stack.logs(services=["db"]))
        assert [(line.service, line.text, line.stream) for line in lines] == [("db", "started", "stdout")]
        assert list(stack.logs(since=time.time() + 60)) == []


def test_what_a_stack_does_is_seen_in_its_events(stack: composer.Stack) -> None:
    with stack:
        stack.up(services=["db"], timeout=30)
        events = stack.events(timeout=20)
        threading.Thread(target=stack["db"].restart, kwargs={"timeout": 0}).start()
        seen = set()
        for event in events:
            seen.add(event.action)
            if event.action == "start":
                break
        assert {"die", "start"} <= seen


def test_services_are_paused_stopped_scaled(stack: composer.Stack) -> None:
    with stack:
        stack.up(timeout=30)
        stack["db"].pause()
        assert stack["db"].container().state.value == "paused"
        stack["db"].unpause()
        stack["db"].stop(timeout=0)
        assert stack["db"].container().state.value == "exited"
        stack["db"].start()
        stack["db"].wait_healthy(20)
        stack["web"].scale(2, timeout=30)
        assert len(stack["web"].containers) == 2
        assert stack["web"].container(2).name.endswith("-2")
        stack["web"].kill()
        with pytest.raises(composer.errors.Timeout):
            stack["web"].wait_port(80, 0.2)


def test_a_failure_says_which_service_and_why(directory: pathlib.Path, backend: str) -> None:
    check = {
        "test": ["CMD", "sh", "-c", "echo because; exit 1"],
        "retries": 1,
        "interval": "50ms",
        "start_period": "0s",
    }
    overrides = {"services": {"db": {"healthcheck": check}}}
    project = ports.apart(composer.load(directory / "compose.yaml", overrides=overrides))
    stack = composer.Stack(project, backend=backend)
    with stack, pytest.raises(composer.StackFailed) as failed:
        stack.up(timeout=30)
    assert "is unhealthy" in str(failed.value)
    report = next(one for one in failed.value.services if one.service == "db")
    assert (report.health, report.health_output, report.log) == ("unhealthy", "because", ("started",))
    assert failed.value.plan is not None and failed.value.plan.steps
    assert stack.ps(all=True) == []
    stack.close()  # it was opened once more


def test_two_stacks_of_one_file_are_there_at_once(directory: pathlib.Path, backend: str) -> None:
    project = ports.apart(composer.load(directory / "compose.yaml"))
    one = composer.Stack(project, backend=backend, name=f"{directory.name}a")
    other = composer.Stack(project, backend=backend, name=f"{directory.name}b")
    with one, other:
        threads = [threading.Thread(target=stack.up, kwargs={"timeout": 30}) for stack in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert one["web"].port(80) != other["web"].port(80)
        one["db"].exec(["touch", "/data/mine"])
        assert other["db"].exec(["ls", "/data"]).stdout == ""


def test_a_stack_of_asyncio(directory: pathlib.Path, backend: str) -> None:
    async def main() -> None:
        project = ports.apart(composer.load(directory / "compose.yaml"))
        async with composer.AsyncStack(project, backend=backend) as stack:
            await stack.up(timeout=30)
            both = await asyncio.gather(*(stack["db"].exec(["echo", word]) for word in ("a", "b")))
            assert [result.stdout for result in both] == ["a\n", "b\n"]
            async for line in stack["web"].logs(follow=True):
                assert line.text == "ready"
                break
            # a task that gives up leaves no thread that waits for the next line
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    async for line in stack["web"].logs(follow=True):
                        assert line.text == "ready"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    async for event in stack.events():
                        assert event

    asyncio.run(main())
