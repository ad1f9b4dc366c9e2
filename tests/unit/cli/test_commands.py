"""The verbs, from words on the command line to what is printed, and the exit code."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from composer.backends.memory import Behaviour
from composer.cli.lines import Printer, Whole
from composer.cli.single.releases import later
from composer.engine.observed import Event, Health, LogPiece
from composer.engine.wanted import ExecSpec
from composer.errors import BackendError
from tests.unit.cli.console import STACK, Console, states


def test_up_detached_starts_everything(console: Console) -> None:
    console.write(STACK)
    result = console("up", "-d")
    assert result.code == 0
    assert result.out == ""
    assert result.err.splitlines()[-1] == " Container app-web-1 Started "
    assert states(console) == {"app-db-1": "running", "app-web-1": "running"}


def test_up_again_does_nothing_and_says_so(stack: Console) -> None:
    stack.backend.calls.clear()
    result = stack("up", "-d")
    assert stack.backend.calls == []
    phases = [("db", "Running"), ("web", "Running"), ("db", "Waiting"), ("db", "Healthy")]
    assert result.err == "".join(f" Container app-{name}-1 {phase} \n" for name, phase in phases)


def test_plan_names_the_field_and_its_place_and_changes_nothing(stack: Console) -> None:
    stack.backend.calls.clear()
    result = stack("plan", DEBUG="1")
    first = result.out.splitlines()[0]
    assert 'environment.DEBUG: "0" → "1" (compose.yaml:11:26, environment variable DEBUG)' in first
    assert stack.backend.calls == []
    assert result.code == 0


def test_plan_tells_by_its_exit_code(stack: Console) -> None:
    assert stack("plan", "--detailed-exitcode").code == 0
    assert stack("plan", "--detailed-exitcode", DEBUG="1").code == 2
    assert stack("plan", "--detailed-exitcode", "nope").code == 1


def test_plan_for_machines(stack: Console) -> None:
    steps = json.loads(stack("plan", "--json", DEBUG="1").out)["operations"]
    assert [(s["action"], s["kind"]) for s in steps] == [
        ("create", "container"),
        ("stop", "container"),
        ("rename", "container"),
        ("rename", "container"),
        ("wait", "service"),
        ("start", "container"),
        ("remove", "container"),
    ]
    assert steps[5]["needs"] == [4, 5]


def test_dry_run_shows_the_plan_and_does_nothing(console: Console) -> None:
    console.write(STACK)
    result = console("--dry-run", "up", "-d")
    assert "+ container app-db-1" in result.out
    assert console.backend.calls == []
    console("up", "-d")
    console.backend.calls.clear()
    assert "- container app-web-1" in console("--dry-run", "down").out
    assert console.backend.calls == []


def test_down_removes_it_all_and_says_when_there_is_nothing(stack: Console) -> None:
    assert stack("down").code == 0
    assert states(stack) == {}
    assert [v.name for v in stack.backend.volumes()] == ["app_data"]
    again = stack("down")
    assert again.code == 0
    assert again.err == 'warning: No resource found to remove for project "app"\n'
    stack("down", "-v")
    assert list(stack.backend.volumes()) == []


def test_down_works_without_a_compose_file(stack: Console, tmp_path: Path) -> None:
    (stack.directory / "compose.yaml").unlink()
    assert stack("-p", "app", "down").code == 0
    assert states(stack) == {}


def test_down_leaves_containers_of_other_compose_files_alone(stack: Console) -> None:
    stack.write("services: {extra: {image: nginx}}", "extra.yaml")
    stack("-f", "extra.yaml", "-p", "app", "up", "-d")
    result = stack("-f", "extra.yaml", "-p", "app", "down")
    assert states(stack) == {"app-db-1": "running", "app-web-1": "running"}
    assert "kept containers of services that the compose file does not define: " in result.err


def test_ps_shows_what_runs(stack: Console) -> None:
    lines = stack("ps").out.splitlines()
    assert lines[0].split() == ["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"]
    assert "(healthy)" in lines[1]
    assert '"postgres -c max_con…"' in lines[1]
    assert lines[2].endswith("0.0.0.0:8080->80/tcp")
    stack("stop", "web")
    assert len(stack("ps").out.splitlines()) == 2
    assert len(stack("ps", "-a").out.splitlines()) == 3
    assert stack("ps", "--status", "exited", "--services").out == "web\n"
    assert len(stack("ps", "-q").out.strip()) == 64


def test_ps_json_has_the_keys_of_docker_compose_one_object_per_line(stack: Console) -> None:
    db, web = (json.loads(line) for line in stack("ps", "--format", "json").out.splitlines())
    assert db["Health"] == "healthy"
    assert web["Publishers"] == [
        {"URL": "0.0.0.0", "TargetPort": 80, "PublishedPort": 8080, "Protocol": "tcp"}
    ]
    assert (web["Name"], web["Service"], web["Project"], web["State"]) == (
        "app-web-1",
        "web",
        "app",
        "running",
    )
    assert db.keys() >= {
        "ID", "Name", "Names", "Image", "Command", "Project", "Service", "State", "Status", "Health", "ExitCode",
        "Publishers", "Labels", "Mounts", "Networks", "RunningFor", "CreatedAt", "Size", "LocalVolumes",
    }  # fmt: skip


def test_logs_are_merged_by_time(stack: Console) -> None:
    for name, line in (("web", "one"), ("db", "two"), ("web", "three")):
        stack.backend.write(f"app-{name}-1", line)
    assert stack("logs").out == "web-1  | one\ndb-1   | two\nweb-1  | three\n"
    assert stack("logs", "--no-log-prefix", "web").out == "one\nthree\n"
    assert stack("logs", "-n", "1").out == "db-1   | two\nweb-1  | three\n"
    assert stack("logs", "--since", "1h", "--until", "30m").out == ""
    assert stack("logs", "-t", "db").out.split()[2].startswith("20")


def test_logs_leave_out_what_run_started(stack: Console) -> None:
    """As `docker compose logs` does: the output of `run -d` is that of its container, by its name."""
    name = stack("run", "-d", "web", "true").out.strip()
    stack.backend.write(name, "of the run")
    stack.backend.write("app-web-1", "of the service")
    assert stack("logs", "--no-log-prefix", "web").out == "of the service\n"


def test_logs_follow_to_the_end(stack: Console) -> None:
    def work() -> None:
        stack.backend.write("app-web-1", "late")
        stack.backend.end("app-web-1", 0)
        stack.backend.end("app-db-1", 0)

    timer = threading.Timer(0.05, work)
    timer.start()
    assert stack("logs", "-f").out == "web-1  | late\n"


def test_logs_follow_what_takes_the_place_of_a_container(stack: Console) -> None:
    followed = threading.Event()
    original = stack.backend.logs

    def logs(ids: Sequence[str], **options: Any) -> Any:
        stream = original(ids, **options)
        followed.set()
        return stream

    stack.backend.logs = logs  # type: ignore[method-assign]

    def work() -> None:
        assert followed.wait(5)
        stack("up", "-d", "--force-recreate", "--no-deps", "web")
        stack.backend.write("app-web-1", "anew")
        stack.backend.end("app-web-1", 0)

    worker = threading.Thread(target=work)
    worker.start()
    assert stack("logs", "-f", "web").out == "web-1  | anew\n"
    worker.join()


def test_logs_are_one_stream_wherever_they_came_from(stack: Console) -> None:
    stack.backend.write("app-web-1", "out")
    stack.backend.write("app-web-1", "err", "stderr")
    result = stack("logs", "--no-log-prefix")
    assert (result.out, result.err) == ("out\nerr\n", "")


def test_exec_runs_a_command_and_passes_its_code_on(stack: Console) -> None:
    seen: list[ExecSpec] = []

    def script(spec: ExecSpec) -> tuple[int, bytes]:
        seen.append(spec)
        return 3, b"hello\n"

    stack.backend.behave("web", Behaviour(exec=script))
    result = stack(
        "exec",
        "-T",
        "-e",
        "A=1",
        "-e",
        "HERE",
        "-e",
        "GONE",
        "-u",
        "www",
        "-w",
        "/srv",
        "web",
        "ls",
        "-l",
        HERE="x",
    )
    assert (result.code, result.out) == (3, "hello\n")
    assert seen[0].command == ("ls", "-l")
    assert seen[0].environment == ("A=1", "HERE=x")
    assert (seen[0].user, seen[0].working_dir, seen[0].tty) == ("www", "/srv", False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("exec", "nope", "ls"), 'error: service "nope" is not running\n  hint: available services: db, web\n'),
        (("exec", "--index", "9", "web", "ls"), 'error: service "web" is not running container #9\n'),
        (("port", "web", "99"), "error: no port 99/tcp for container app-web-1: 80/tcp\n"),
        (("up", "-d", "wbe"), "error: no such service: wbe\n  hint: did you mean 'web'?\n"),
        (("up", "-d", "--scale", "web"), "error: invalid scale specifier: web\n"),
        (("up", "--force-recreate", "--no-recreate"), "error: --force-recreate and --no-recreate are incompatible\n"),
        (("up", "-d", "--exit-code-from", "web"), "error: --detach cannot be combined with --abort-on"),
        (("kill", "-s", "SIGNOPE"), "error: invalid value for --signal: unknown signal 'SIGNOPE'\n"),
        (("logs", "--since", "soon"), "error: invalid value for --since: 'soon' must be a time"),
        (("sotp",), "error: unknown command 'sotp'; did you mean 'stop'?\n"),
        (("stop", "-t", "db"), "error: invalid value for '-t' / '--timeout': 'db' is not a valid number of seconds\n"),
        (("stop", "--timeout=-1"), "error: invalid value for '-t' / '--timeout': -1.0 is not in the range x>=0\n"),
        (("up", "--wait=tru"), "error: invalid value for --wait: 'tru' must be true or false\n"),
        (("ps", "--frmat", "json"), "error: unknown flag: --frmat; did you mean '--format'?\n"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line_first(
    stack: Console, arguments: tuple[str, ...], message: str
) -> None:
    result = stack(*arguments)
    assert result.code == 1
    assert result.err.startswith(message)
    assert "Traceback" not in result.err


def test_start_stop_restart_kill_rm(stack: Console) -> None:
    stack("stop")
    assert set(states(stack).values()) == {"exited"}
    stack("start")
    assert set(states(stack).values()) == {"running"}
    before = stack.backend.container("app-db-1").started_ns
    stack("restart", "db")
    assert stack.backend.container("app-db-1").started_ns > before
    stack("kill", "-s", "9", "web")
    assert stack.backend.container("app-web-1").exit_code == 137
    assert "cannot prompt without a terminal: Remove app-" in stack("rm").err
    assert stack("rm", terminal=True, stdin="n\n").code == 0
    assert len(states(stack)) == 2
    stack("rm", terminal=True, stdin="y\n")
    assert list(states(stack)) == ["app-db-1"]
    stack("rm", "-f", "-s")
    assert states(stack) == {}


def test_create_scale_and_port(console: Console) -> None:
    console.write("services: {web: {image: nginx, ports: ['80']}}")
    console("create")
    assert states(console) == {"app-web-1": "created"}
    console("scale", "web=3")
    assert len(states(console)) == 3
    assert console("port", "web", "80").out == "0.0.0.0:49153\n"
    assert console("port", "--index", "3", "web", "80").out == "0.0.0.0:49155\n"
    console("scale", "web=1")
    assert states(console) == {"app-web-1": "running"}


def test_ls_images_version_volume(stack: Console) -> None:
    assert stack("ls").out.splitlines()[1].split() == [
        "app",
        "running(2)",
        str(stack.directory / "compose.yaml"),
    ]
    assert json.loads(stack("ls", "--format", "json").out)[0]["Name"] == "app"
    head, first, *_ = stack("images").out.splitlines()
    assert head.split() == "CONTAINER REPOSITORY TAG PLATFORM IMAGE ID SIZE CREATED".split()
    assert first.split()[:3] == ["app-db-1", "postgres", "16"]
    assert stack("version", "--short").out.strip()
    assert stack("volume", "ls").out.splitlines()[1].split() == ["local", "app_data", "app"]
    assert "in use" in stack("volume", "rm", "app_data").err
    stack("down")
    assert stack("volume", "rm", "app_data").out == "app_data\n"
    assert stack("volume", "rm", "app_data").code == 1


def test_image_import_load_ls_rm(console: Console) -> None:
    console.write("not really a tarball", "root.tar")
    assert console("image", "import", "-c", 'CMD ["sh"]', "root.tar", "base:1").out.startswith("sha256:")
    assert console("image", "ls").out.splitlines()[1].split()[:2] == ["base", "1"]
    assert "is not an image archive" in console("image", "load", "root.tar").err
    assert console("image", "rm", "base:1").out.splitlines()[0] == "Untagged: base:1"
    assert console("image", "rm", "base:1").err == "error: no such image: base:1\n"


def test_lines_that_match_and_lines_as_json(stack: Console) -> None:
    for text in ("GET /a", "GET /b é", "POST /a"):
        stack.backend.write("app-web-1", text)
    assert stack("logs", "--grep", "^GET.*[bé]$").out == "web-1  | GET /b é\n"
    assert stack("logs", "--grep", "(?i)post", "--no-log-prefix").out == "POST /a\n"
    rows = [json.loads(row) for row in stack("logs", "--json", "--grep", "POST|GET /b").out.splitlines()]
    assert [(row["container"], row["service"], row["stream"], row["message"]) for row in rows] == [
        ("web-1", "web", "stdout", "GET /b é"),
        ("web-1", "web", "stdout", "POST /a"),
    ]
    assert len(stack("logs", "--json").out.splitlines()) == 3
    refused = stack("logs", "--grep", "(")
    assert refused.code == 1
    assert "'(' is not a regular expression" in refused.err


def test_a_line_in_pieces_matches_as_a_whole() -> None:
    out = io.StringIO()
    printer = Printer(out, out, color=False)
    printer.add([("1", "a"), ("2", "b")])
    lines = Whole(printer, re.compile("one two$").search)
    for id, data in (("1", b"one "), ("2", b"one "), ("1", b"two\n"), ("2", b"three\n"), ("2", b"one two")):
        lines.write(LogPiece(id, 0, "stdout", data))
    assert out.getvalue() == "a  | one two\n"
    lines.close()
    assert out.getvalue() == "a  | one two\nb  | one two\n"


def test_what_was_said_of_a_line_is_printed_after_an_interrupt(
    stack: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted:
        def __iter__(self) -> Iterator[LogPiece]:
            (web,) = (one for one in stack.backend.observe("app").containers if one.name == "app-web-1")
            yield LogPiece(web.id, 1, "stdout", b"Password: ")
            raise KeyboardInterrupt

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(stack.backend, "logs", lambda ids, **_: Interrupted())
    said = stack("logs", "--json")
    assert said.code == 130
    assert json.loads(said.out)["message"] == "Password: "


def test_wait_gives_the_code_of_the_last(stack: Console) -> None:
    threading.Timer(0.05, stack.backend.end, ("app-web-1", 4)).start()
    result = stack("wait", "web")
    assert (result.code, result.out) == (4, 'container "app-web-1" exited with status code 4\n')


def test_a_failure_shows_what_explains_it(console: Console) -> None:
    console.write(STACK)
    console.backend.behave("db", Behaviour(exits=(1,), output=("out of disk",)))
    result = console("up", "-d")
    assert result.code == 1
    assert result.err.endswith(
        "error: dependency failed to start: container app-db-1 exited (1)\n"
        "  container 'app-db-1' is exited (1)\n"
        "  last output:\n"
        "    out of disk\n"
        "  waiting for it: web\n"
    )


def test_wait_timeout(console: Console) -> None:
    console.write(STACK)
    console.backend.behave("db", Behaviour(health=()))
    result = console("up", "--wait", "--wait-timeout", "0.1", "db")
    assert result.code == 1
    assert "application not healthy after 100ms" in result.err


def test_a_bug_is_one_line_and_a_file(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    console.write(STACK)
    console.backend.fail("create_network", "app_default", ZeroDivisionError("oops"))
    result = console("up", "-d")
    assert result.code == 1
    last = result.err.splitlines()[-1]
    assert last.startswith("error: this is a bug in composer (ZeroDivisionError: oops), id ")
    assert "Traceback" in Path(last.rpartition(" ")[2]).read_text()
    console.backend.fail("create_network", "app_default", ZeroDivisionError("oops"))
    assert "Traceback" in console("--debug", "up", "-d").err


def test_a_configuration_error_shows_its_line(console: Console) -> None:
    console.write("services:\n  web:\n    image: nginx\n    imagee: nginx\n")
    result = console("up", "-d")
    assert result.code == 1
    assert "compose.yaml:4:5" in result.err.splitlines()[0]
    assert "^" in result.err


def test_progress_modes(console: Console) -> None:
    console.write("services: {web: {image: nginx}}")
    lines = [json.loads(line) for line in console("--progress", "json", "up", "-d").err.splitlines()]
    assert lines[-1] == {"id": "Container app-web-1", "status": "Done", "text": "Started"}
    assert console("--progress", "quiet", "down").err == ""
    assert console("up", "-d", COMPOSE_STATUS_STDOUT="1").out.endswith("Container app-web-1 Started \n")
    console.backend.fail("stop_container", "app-web-1", BackendError("stuck"))
    failed = console("--progress", "json", "down").err.splitlines()[-1]
    assert json.loads(failed) == {"error": True, "message": "stop container app-web-1: stuck"}


def test_pull(console: Console) -> None:
    console.write("services: {a: {image: 'one:1', depends_on: [b]}, b: {image: 'two:1'}, c: {build: .}}")
    console("pull", "a")
    assert console.backend.calls == [("pull_image", "one:1")]
    console("pull", "--policy", "missing", "-q")
    assert console.backend.calls[1:] == [("pull_image", "two:1")]
    console.backend.fail("pull_image", "one:1", BackendError("offline"))
    assert console("pull").code == 1
    console.backend.fail("pull_image", "one:1", BackendError("offline"))
    result = console("pull", "--ignore-pull-failures")
    assert (result.code, " Image one:1 Error offline\n" in result.err) == (0, True)


def test_events_come_as_they_happen(stack: Console) -> None:
    stream = stack.backend.events("app")
    follow = stream.next

    def following(timeout_s: float | None) -> Event | None:
        if timeout_s is None and not stopped:
            threading.Thread(target=stack.backend.stop_container, args=("app-web-1",)).start()
            stopped.append(True)
            return follow(None)
        return follow(0)  # nothing more comes: the end

    stopped: list[bool] = []
    stream.next = following  # type: ignore[method-assign]
    stack.backend.events = lambda project=None, **_: stream  # type: ignore[method-assign]
    lines = [json.loads(line) for line in stack("events", "--json", "web").out.splitlines()]
    assert stopped
    assert [(line["action"], line["service"]) for line in lines][:1] == [("die", "web")]
    assert lines[0]["attributes"]["exitCode"] == "143"


def test_without_a_verb_there_is_help(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    result = console()
    assert (result.code, result.err) == (0, "")
    assert "Commands:" in result.out
    assert console("image").out.startswith("Usage: composer image")
    assert console("--version").code == 0
    assert capsys.readouterr().out.startswith("Composer version v")


def test_no_color_is_honoured(console: Console) -> None:
    console.write("services: {web: {image: nginx}}")
    console.backend.behave("web", Behaviour(output=("hello",)))
    console("up", "-d")
    assert "\x1b[36m" in console("logs", terminal=True).out
    assert "\x1b" not in console("logs", terminal=True, NO_COLOR="1").out
    assert "\x1b" not in console("logs", "--no-color", terminal=True).out
    assert "\x1b" in console("--ansi", "always", "logs").out


def test_orphans_by_environment(console: Console) -> None:
    console.write("services: {web: {image: nginx}, old: {image: nginx}}")
    console("up", "-d")
    console.write("services: {web: {image: nginx}}")
    assert "Found orphan containers (app-old-1)" in console("up", "-d").err
    assert "orphan" not in console("up", "-d", COMPOSE_IGNORE_ORPHANS="1").err
    assert console("up", "-d", COMPOSE_IGNORE_ORPHANS="1", COMPOSE_REMOVE_ORPHANS="1").code == 1
    console("up", "-d", COMPOSE_REMOVE_ORPHANS="1")
    assert list(states(console)) == ["app-web-1"]


def test_losing_a_volume_is_asked_for(stack: Console) -> None:
    changed = STACK.replace("volumes: {data: {}}", "volumes: {data: {driver_opts: {o: size=1g}}}")
    stack.write(changed)
    before = stack.backend.container("app-db-1").id
    assert "doesn't match the configuration" in stack("up", "-d").err
    stack("up", "-d", terminal=True, stdin="n\n")
    assert stack.backend.container("app-db-1").id == before
    stack("up", "-d", terminal=True, stdin="y\n")
    assert stack.backend.container("app-db-1").id != before
    stack.write(STACK)
    stack("up", "-d", "--yes")
    assert "doesn't match" not in stack("up", "-d").err


def test_a_key_that_cannot_be_kept_is_one_clear_line(console: Console, tmp_path: Path) -> None:
    console.write("services: {web: {image: nginx}}")
    (tmp_path / "file").write_text("")
    for arguments, problem in (
        (("plan",), "cannot keep the key for secrets in labels at "),
        (("up", "-d"), "cannot lock project 'app' in "),
    ):
        result = console(*arguments, COMPOSER_ROOT=str(tmp_path / "file" / "root"))
        assert result.code == 1
        assert result.err.startswith(f"error: {problem}")


def test_health_is_waited_for_on_start_too(stack: Console) -> None:
    stack("stop")
    stack.backend.behave("db", Behaviour(health=()))

    def work() -> None:
        with stack.backend.changed:
            stack.backend.changed.wait_for(lambda: states(stack)["app-db-1"] == "running", 5)
        assert states(stack)["app-web-1"] == "exited"
        stack.backend.set_health("app-db-1", Health.HEALTHY)

    worker = threading.Thread(target=work)
    worker.start()
    assert stack("start").code == 0
    worker.join()
    assert states(stack)["app-web-1"] == "running"


def test_events_of_the_past_end(stack: Console) -> None:
    stack("restart", "web")
    lines = [
        json.loads(line)
        for line in stack("events", "--json", "--since", "1h", "--until", "0s", "web").out.splitlines()
    ]
    assert [line["action"] for line in lines][:2] == ["create", "start"]
    assert {line["service"] for line in lines} == {"web"}
    assert list(lines[0]) == ["action", "attributes", "id", "service", "time", "type"]
    assert lines[0]["attributes"] == {"name": "app-web-1"}
    assert stack("events", "--since", "0s", "--until", "0s").out == ""
    (first, *_) = stack("events", "--since", "1h", "--until", "0s", "web").out.splitlines()
    assert first.endswith("(name=app-web-1)") and " container create " in first
    assert "must be a time" in stack("events", "--since", "yesterday").err


def test_pulls_are_quiet_when_asked(console: Console) -> None:
    console.write("services: {web: {image: nginx}}")
    shown = console("--progress", "json", "create", "--pull", "always").err
    quiet = console("--progress", "json", "create", "--pull", "always", "--quiet-pull").err
    assert "1/1 layers" in shown and "1/1 layers" not in quiet
    assert '"image' in quiet.lower() or "Image" in quiet


def test_removing_what_is_not_there_yet_is_no_mistake(stack: Console) -> None:
    assert stack("rm", "-fsv", "web").code == 0
    again = stack("rm", "-fsv", "web")
    assert (again.code, "No stopped containers" in again.err) == (0, True)
    assert (stack("top", "web").code, stack("top", "web").out) == (0, "")
    assert states(stack) == {"app-db-1": "running"}
    assert "no such service: none" in stack("rm", "-f", "none").err


@pytest.mark.parametrize(
    ("versions", "own", "found"),
    [
        (["0.1.0", "0.2.0", "0.10.0"], "0.1.0", "0.10.0"),
        (["0.1.0", "1.0.0rc1"], "0.1.0", None),
        ([], "0.1.0", None),
        (["0.1.0"], "0.2.0", None),
    ],
)
def test_the_newest_version(versions: list[str], own: str, found: str | None) -> None:
    assert later(versions, own) == found
