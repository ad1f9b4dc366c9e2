"""Commands in running containers: made, started (attached or not), looked at."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.api.containers import conversation, execs, pictures, starting
from composer.api.containers.attaching import size_of
from composer.api.http.problems import Problem
from composer.api.http.wire import Gone
from composer.api.models import execs as models
from composer.api.models.base import body_of
from composer.runtime.objects import specs

if TYPE_CHECKING:
    from composer.api.http.call import Call
    from composer.api.http.wire import Wire
    from composer.api.world import World
    from composer.runtime.base.record_types import Meta
    from composer.runtime.objects.session import ExecSession

Record = dict[str, Any]


def create(call: Call) -> tuple[int, Any]:
    world, meta = call.world, call.world.container(call.parameters["id"])
    asked = body_of(call, models.Create)
    if not asked.Cmd:
        raise Problem(400, "No exec command specified")
    _check_running(world, meta, call.parameters["id"])
    keys = asked.DetachKeys
    conversation.keys_of(keys)
    id = execs.add(
        world,
        {
            "container": meta["id"],
            "command": asked.Cmd,
            "environment": asked.Env or [],
            "user": asked.User,
            "working_dir": asked.WorkingDir,
            "tty": asked.Tty,
            "privileged": asked.Privileged,
            "stdin": asked.AttachStdin,
            "stdout": asked.AttachStdout,
            "stderr": asked.AttachStderr,
            "keys": keys,
            "size": asked.ConsoleSize,
        },
    )
    _emit(world, meta, _action("create", asked.Cmd), id)
    return 201, {"Id": id}


def _action(what: str, command: list[str]) -> str:
    return f"exec_{what}: {command[0]} {' '.join(command[1:])}"


def _check_running(world: World, meta: Meta, name: str = "") -> None:
    status = pictures.status_of(world.core.look(meta, {}))
    if status == "paused":
        raise Problem(409, f"Container {name or meta['id']} is paused, unpause the container before exec")
    if status == "restarting":
        raise Problem(409, f"container {meta['id']} is restarting, wait until the container is running")
    if status != "running":
        raise Problem(409, f"container {meta['id']} is not running")


def _emit(world: World, meta: Meta, action: str, id: str, **more: str) -> None:
    about = {**meta["event"], "execID": id, **more}
    world.core.emit_of(str(meta["project"]), about, "container", action, meta["id"], meta["name"])


def start(call: Call) -> tuple[int, Any] | None:
    world, id = call.world, call.parameters["id"]
    # The body comes first: a start that is refused for its body can be asked for again.
    asked = body_of(call, models.Start)
    record, meta = _take(world, id)
    try:
        _check_running(world, meta)
    except BaseException:
        execs.write(world, id, {key: value for key, value in record.items() if key != "running"})
        raise
    if asked.Detach:
        _start_detached(world, meta, id, record)
        return 200, None
    _start_attached(call, meta, id, record, asked.ConsoleSize or record.get("size"))
    return None


def _take(world: World, id: str) -> tuple[Record, Meta]:
    """Take a command for this request: no other one can start it. Raises Problem."""
    with execs.running(world).lock:
        record = execs.read(world, id)
        if record.get("running"):
            raise Problem(409, f"Error: Exec command {id} is already running")
        if "exit_code" in record:
            raise Problem(409, f"Error: Exec command {id} has already run")
        meta = world.container(str(record["container"]))
        record["running"] = True
        execs.write(world, id, record)
    return record, meta


def _session(world: World, meta: Meta, record: Record, *, detach: bool) -> ExecSession:
    spec = specs.Exec(
        record["command"],
        record["environment"],
        record["user"] or None,
        record["working_dir"] or None,
        record["tty"],
        record["stdin"],
        record["privileged"],
        detach,
    )
    return world.engine.containers.exec(meta["id"], spec)


def _end(world: World, meta: Meta, id: str, record: Record, code: int | None) -> None:
    execs.write(world, id, {**record, "running": False, "exit_code": code, "time_ns": time.time_ns()})
    _emit(world, meta, "exec_die", id, exitCode="" if code is None else str(code))


def _begin(world: World, meta: Meta, id: str, record: Record, *, detach: bool) -> ExecSession:
    """Start a command. Where it cannot be, its record says that it has ended: nobody else would write that."""
    try:
        _emit(world, meta, _action("start", record["command"]), id)
        return _session(world, meta, record, detach=detach)
    except errors.StartFailed as error:
        _end(world, meta, id, record, starting.code_of(error))
        raise
    except BaseException:
        _end(world, meta, id, record, None)
        raise


def _start_detached(world: World, meta: Meta, id: str, record: Record) -> None:
    try:
        session = _begin(world, meta, id, record, detach=True)
    except errors.StartFailed as error:
        raise Problem(400, words_of(error, record)) from None
    _leave(world, meta, id, record, session)


def words_of(error: errors.StartFailed, record: Record) -> str:
    return f"OCI runtime exec failed: exec failed: {starting.reason_of(error, record['command'])}"


def _start_attached(call: Call, meta: Meta, id: str, record: Record, size: list[int] | None) -> None:
    world, tty = call.world, bool(record["tty"])
    started: ExecSession | errors.StartFailed
    try:
        started = _begin(world, meta, id, record, detach=False)
    except errors.StartFailed as error:
        started = error  # told in the stream, as Docker does
    wire = _answer(call, meta, id, record, started)
    try:
        if isinstance(started, errors.StartFailed):
            text = f"{words_of(started, record)}\r\n".encode()
            wire.send(text if tty else conversation.frame("stdout", text))
            return
        _attend(call, meta, id, record, started, size if tty else None)
        wire.linger()
    except errors.BackendError as error:
        text = f"{error}\r\n".encode()
        wire.send(text if tty else conversation.frame("stderr", text))
    except Gone:
        return
    finally:
        wire.close()


def _answer(
    call: Call, meta: Meta, id: str, record: Record, started: ExecSession | errors.StartFailed
) -> Wire:
    """Return the connection once it is taken over. A command whose client has gone before that goes on alone."""
    try:
        return call.take_over(conversation.kind_of(call, tty=bool(record["tty"])))
    except BaseException:
        if not isinstance(started, errors.StartFailed):
            _leave(call.world, meta, id, record, started)
        raise


def _attend(
    call: Call,
    meta: Meta,
    id: str,
    record: Record,
    session: ExecSession,
    size: list[int] | None,
) -> None:
    """Move a command's streams until it ends, or its client goes; then it goes on alone."""
    world, running = call.world, execs.running(call.world)
    code: int | None = None
    with running.lock:
        running.sessions[id] = session
    try:
        if size and len(size) == 2 and all(size):
            session.resize(size[0], size[1])
        code = _converse(call, record, session)
    finally:
        with running.lock:
            running.sessions.pop(id, None)
        if code is None:
            _leave(world, meta, id, record, session)
        else:
            session.close()
            # before the stream's end: the next that a client asks is the exit code
            _end(world, meta, id, record, code)


def _converse(call: Call, record: Record, session: ExecSession) -> int | None:
    """Return the exit code; None when the client has gone or has detached before."""
    streams = tuple(name for name in ("stdout", "stderr") if record[name])
    talk = conversation.Conversation(
        call.wire,
        session,
        tty=bool(record["tty"]),
        streams=streams,
        takes_input=bool(record["stdin"]),
        keys=conversation.keys_of(record["keys"]) if record["stdin"] else b"",
        first=call.rest(),
    )
    if not talk.run():
        return None
    return session.wait()


def _leave(world: World, meta: Meta, id: str, record: Record, session: ExecSession) -> None:
    """Let a command go on that has no client: its output is read, and dropped, until it ends."""

    def drain() -> None:
        code: int | None = None
        try:
            if not record["tty"]:
                session.close_stdin()
            code = session.wait()
        except errors.BackendError:
            code = None  # the supervisor went: nobody has seen how the command ended
        finally:
            session.close()
            _end(world, meta, id, record, code)

    thread = threading.Thread(target=drain, name="exec", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the machine has no room for another thread
        session.close()
        _end(world, meta, id, record, None)
        raise


def resize(call: Call) -> tuple[int, Any]:
    world, id = call.world, call.parameters["id"]
    execs.read(world, id)
    rows, columns = size_of(call)
    with execs.running(world).lock:
        session = execs.running(world).sessions.get(id)
        if session is None:
            raise Problem(409, f"exec command {id} is not running")
        session.resize(rows, columns)
    return 200, None


def inspect(call: Call) -> tuple[int, Any]:
    world, id = call.world, call.parameters["id"]
    record = execs.read(world, id)
    command = record["command"]
    code = record.get("exit_code")
    is_over = "exit_code" in record
    return 200, {
        "ID": id,
        "Running": bool(record.get("running")),
        "ExitCode": (255 if code is None else code) if is_over else None,
        "ProcessConfig": {
            "tty": record["tty"],
            "entrypoint": command[0],
            "arguments": command[1:],
            "privileged": record["privileged"],
            **({"user": record["user"]} if record["user"] else {}),
        },
        "OpenStdin": record["stdin"],
        "OpenStderr": record["stderr"],
        "OpenStdout": record["stdout"],
        "CanRemove": is_over,
        "ContainerID": record["container"],
        "DetachKeys": record["keys"],
        "Pid": 0,
    }
