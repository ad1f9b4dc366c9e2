"""The supervisor's door: requests of the command line on a Unix socket, and the answers.

One request at a time per connection; an answer may come much later. A connection also says that somebody is
there: the supervisor does not end while one is open. Only the owner of the state directory may speak.

    {"op": "start", "id": …, "seen_ns": …}                       → {"ok": true, "warnings": […]}
    … with "attach": true            the same, "tty" + what writes to its input, which nobody else then has
    … with "tied": true              the container is killed and removed when the connection ends before it
    {"op": "prepare" | "unprepare", "id": …}                     → {"ok": true}; it goes with the connection
    {"op": "stop", "id": …, "timeout_s": …, "signal": …}         → {"ok": true, "exit_code": …}
    … with "keeps": true             it stays where it is to be removed at its end: a start follows
    {"op": "kill" | "wait" | "pause" | "unpause" | "remove", "id": …}
    … "wait" with "tied": true       as with "start": for the time after a supervisor was killed
    … "pause" with "tied": true      it goes on when this connection ends
    {"op": "exec", "id": …, "process": {…}, "privileged": …} + stdin, stdout, stderr
                                     → {"started": true} (+ the terminal), then {"exit_code": n}
    … with "detached": true          without descriptors: nobody reads what it writes, and nobody ever closes that
    {"op": "signal", "signal": n}    to the command that this connection executes; no answer
    {"op": "mend"}                   put back what others took of the kernel's state
    {"op": "reload", "id": …}        it was renamed
    {"op": "update", "id": …}        its limits or its restart policy changed
    {"op": "reconnect", "id": …}     its networks changed
    {"op": "attach", "id": …}        → {"ok": true, "tty": …} + what writes to its input, if anything does
    {"op": "move_ports", "id": …, "source": …}     the answer comes when nobody uses ``source`` any more
    anything wrong                   → {"error": "…", "kind": "Conflict", "hint": …, "exit_code": …}
"""

from __future__ import annotations

import fcntl
import os
import socket

from composer.runtime.base import claims, files, syscalls, wire
from composer.runtime.supervision import requests
from composer.runtime.tasks import autoremove, connecting, executions, handover, stopping
from composer.runtime.tasks.starters import Starter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from composer.runtime.base.loop import Timer
    from composer.runtime.tasks.services import Services
    from composer.runtime.tasks.task import Task

    class House(Protocol):
        """What the door leads to."""

        def task(self, id: str) -> Task:
            """Return a container by its full id. Raises KeyError with the reason."""
            ...

        def has(self, id: str) -> bool: ...
        def forget(self, id: str) -> None: ...
        def mend(self, reply: Callable[[dict[str, Any]], None]) -> None: ...
        def is_idle(self) -> bool: ...
        def end(self) -> None: ...
        def reopen_log(self) -> None: ...


_LONELY_S = 5.0
_FULL_PAUSE_S = 0.5
_CLEANED_S = 0.05
_WATCHED = (
    0x00000200 | 0x00000040 | 0x00000400 | 0x00000800
)  # inotify(7): delete, moved from, itself gone or moved


class Control:
    """The listening socket in ``run``, the owner's part of the run state, and its connections."""

    def __init__(self, house: House, services: Services, owner: str, run: str) -> None:
        self._house, self._services, self._run = house, services, run
        self._loop = services.loop
        self._peers: set[Peer] = set()
        place = claims.directory(services.root, owner)
        os.makedirs(place, 0o700, exist_ok=True)
        self._lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._server = _closed_socket()
        self._path = f"{run}/{wire.SOCKET}"
        self._inode = (0, 0)
        self._inotify = syscalls.inotify_init()
        self._look: Timer | None = None

    def listen(self) -> None:
        """Take the socket's name over, from a supervisor before this one too; be told when it goes."""
        self._bind()
        self._loop.watch(self._inotify, lambda _: self._on_change())
        # Whoever started us may have been killed before it could connect.
        self._loop.after(_LONELY_S, self.consider_ending)

    def _bind(self) -> None:
        """Listen on a socket that appears by rename, so that a client never finds it before it accepts connections."""
        directory = self._run
        os.makedirs(directory, 0o700, exist_ok=True)
        syscalls.inotify_add_watch(self._inotify, directory, _WATCHED)
        temporary = f"{directory}/{wire.SOCKET}.{os.getpid()}"
        files.remove_file(temporary)
        server = _closed_socket()
        place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            server.bind(wire.address(place, os.path.basename(temporary)))
            os.chmod(temporary, 0o600)
            server.listen(128)
            os.rename(temporary, self._path)
        except OSError:
            server.close()
            raise
        finally:
            os.close(place)
        self._loop.forget(self._server.fileno())
        self._server.close()
        self._server, self._inode = server, _identity(self._path)
        self._watch()

    def _on_change(self) -> None:
        """A file of the run state was removed: check soon, after the cleaner has finished."""
        try:
            os.read(self._inotify, 1 << 16)
        except BlockingIOError:
            return
        if self._look is None:
            self._look = self._loop.after(_CLEANED_S, self._listen_again)

    def _listen_again(self) -> None:
        self._look = None
        if _identity(self._path) == self._inode:
            return
        self._accept_all()  # who has connected to the old one is served
        try:
            self._bind()
            self._house.reopen_log()
        except OSError as error:
            self._services.on_error(error)
            self._look = self._loop.after(_FULL_PAUSE_S, self._listen_again)

    def _watch(self) -> None:
        self._loop.watch(self._server.fileno(), lambda _: self._accept_all())

    def _accept_all(self) -> None:
        while self._accept():
            pass

    def _accept(self) -> bool:
        try:
            connection, _ = self._server.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            # Out of descriptors: whoever waits is served when some have been given back.
            self._services.on_error(error)
            self._loop.forget(self._server.fileno())
            self._loop.after(_FULL_PAUSE_S, self._watch)
            return False
        if wire.peer_uid(connection) != os.getuid():
            connection.close()
            return True
        self._peers.add(Peer(self._house, self._services, self, connection))
        return True

    def leave(self, peer: Peer) -> None:
        self._peers.discard(peer)
        self.consider_ending()

    def consider_ending(self) -> None:
        """End when nothing is active and nobody is connected. The decision is made in the loop, not in a callback."""
        if not self._peers and self._house.is_idle():
            self._loop.after(0, self._end_if_alone)

    def _end_if_alone(self) -> None:
        if self._peers or not self._house.is_idle():
            return
        try:
            # Whoever connects holds this lock until we have answered: with it in hand, nobody is on the way.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._loop.after(0.05, self._end_if_alone)
            return
        if self._accept():
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            return
        if _identity(self._path) == self._inode:
            files.remove_file(self._path)  # our own, and nobody else's
        self._house.end()

    def close(self) -> None:
        """Let go of everything; the socket's file stays."""
        for peer in self._peers:
            peer.close()
        self._peers.clear()
        for fd in (self._inotify, self._server.fileno()):
            self._loop.forget(fd)
        self._server.close()
        os.close(self._inotify)
        os.close(self._lock)


def _closed_socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)


def _identity(path: str) -> tuple[int, int]:
    """Return the identity of a file (device, inode); (0, 0) if it does not exist."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return (0, 0)
    return (found.st_dev, found.st_ino)


class Peer:
    """One connection."""

    def __init__(self, house: House, services: Services, control: Control, connection: socket.socket) -> None:
        self._house, self._services, self._control = house, services, control
        self._connection = connection
        self._execution: executions.Execution | None = None
        self._prepared: list[Task] = []
        self._tied: list[Task] = []
        self._paused: list[Task] = []
        self._awaited: list[Task] = []
        self._is_closed = False
        connection.setblocking(False)
        services.loop.watch(connection.fileno(), lambda _: self._on_message())

    def _on_message(self) -> None:
        try:
            message, descriptors = wire.receive(self._connection)
        except (BlockingIOError, InterruptedError):
            return
        except ValueError as error:
            self._refuse(str(error))
            return
        except OSError:
            message, descriptors = None, []
        if message is None:
            self._close()
            return
        try:
            requests.check(message)
            self._handle(message, descriptors)
        except requests.Malformed as error:
            self._refuse(str(error))
        except KeyError as error:
            self.reply({"error": str(error.args[0]), "kind": "NotFound"})
        except OSError as error:
            self.reply({"error": f"{message.get('op')}: {error}", "kind": "BackendError"})
        except Exception as error:
            self._services.on_error(error)
            self.reply({"error": f"internal error: {type(error).__name__}: {error}", "kind": "BackendError"})
        finally:
            wire.close_all(descriptors)

    def _refuse(self, reason: str) -> None:
        self.reply({"error": f"invalid request: {reason}", "kind": "BackendError"})

    def reply(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        try:
            wire.send(self._connection, message, descriptors)
        except OSError:
            pass  # it went away without waiting for the answer; its end is seen as a message

    def _handle(self, message: dict[str, Any], descriptors: list[int]) -> None:
        op = message["op"]
        if op == "hello":
            self.reply({"ok": True, "version": wire.VERSION, "pid": os.getpid()})
        elif op == "signal":
            if self._execution is not None:
                self._execution.signal(int(message["signal"]))
        elif op == "mend":
            self._house.mend(self.reply)
        elif op == "exec":
            self._exec(message, descriptors)
        else:
            self._ask_task(op, message)

    def _ask_task(self, op: str, message: dict[str, Any]) -> None:
        task = self._house.task(message["id"])
        if op == "start":
            self._start(task, message)
        elif op == "prepare":
            self._prepared.append(task)
            task.prepare(self)
            self.reply({"ok": True})
        elif op == "unprepare":
            task.unprepare()
            self.reply({"ok": True})
        elif op == "stop":
            how = {"timeout_s": message.get("timeout_s"), "number": message.get("signal")}
            stopping.stop(task, self.reply, keeps=message.get("keeps") is True, **how)
        elif op == "kill":
            stopping.kill(task, int(message["signal"]), self.reply)
        elif op == "wait":
            if message.get("tied") is True:
                self._tie(task)
            self._awaited.append(task)
            task.wait(self.reply)
        elif op == "pause":
            if message.get("tied") is True and task.status == "running":
                self._paused.append(task)
            task.pause(self.reply)
        elif op == "unpause":
            if task in self._paused:
                self._paused.remove(task)
            task.resume()
            self.reply({"ok": True})
        elif op == "remove":
            self._remove(message["id"])
        elif op in ("reload", "update"):
            task.reload()
            self.reply({"ok": True})
        elif op == "reconnect":
            connecting.update(self._services, task, self.reply)
        elif op == "attach":
            self._attach(task)
        elif op == "move_ports":
            handover.move(self._services, self._house.task(message["source"]), task, self.reply)
        else:
            self.reply({"error": f"unknown request '{op}'", "kind": "Unsupported"})

    def _start(self, task: Task, message: dict[str, Any]) -> None:
        def answer(reply: dict[str, Any], descriptors: Sequence[int]) -> None:
            if message.get("tied") is True and "error" not in reply:
                self._tie(task)
            self.reply(reply, descriptors)

        task.start(Starter(answer, wants_input="attach" in message), message.get("seen_ns"))

    def _tie(self, task: Task) -> None:
        """Let a container that runs end with this connection, which may have ended while it was being started."""
        if self._is_closed:
            self._end(task)
            return
        self._tied.append(task)
        task.wait(lambda _: self._tied.remove(task))

    def _end(self, task: Task) -> None:
        """Kill and remove a container whose user has gone."""

        def gone(_: dict[str, Any]) -> None:
            if self._house.has(task.id):  # else another connection of that user has ended, too
                self._services.safely(autoremove.remove, self._services, task.record, leave)

        def leave() -> None:
            task.release()
            self._house.forget(task.id)

        stopping.stop(task, gone, timeout_s=0)

    def _attach(self, task: Task) -> None:
        if task.status != "running":
            self.reply({"error": f"container {task.name} is not running", "kind": "Conflict"})
            return
        lent = task.lend_input()
        self.reply({"ok": True, "tty": task.has_console()}, (lent,) if lent >= 0 else ())
        if lent >= 0:
            os.close(lent)

    def _remove(self, id: str) -> None:
        """End it if it runs, and forget it; the caller then removes its directory."""
        task = self._house.task(id)

        def gone(_: dict[str, Any]) -> None:
            task.release()
            self._house.forget(id)
            self.reply({"ok": True})

        stopping.stop(task, gone, timeout_s=0)

    def _exec(self, message: dict[str, Any], descriptors: list[int]) -> None:
        task = self._house.task(message["id"])
        if task.status != "running":
            self.reply({"error": f"container {task.name} is not running", "kind": "Conflict"})
            return
        spec = {"process": message["process"], "privileged": bool(message.get("privileged"))}
        stdio = descriptors if len(descriptors) == 3 else [-1, -1, -1]

        def started(failure: dict[str, Any] | None, console: int) -> None:
            if failure is not None:
                self.reply(failure)
                return
            if message.get("detached") and console >= 0:
                self.reply({"started": True})
                executions.drain(self._services.loop, console)
                return
            self.reply({"started": True}, (console,) if console >= 0 else ())
            if console >= 0:
                os.close(console)

        self._execution = executions.Execution(
            self._services,
            executions.Place(task.process, task.record.config),
            spec,
            stdio,
            on_started=started,
            on_ended=lambda code: self.reply({"exit_code": code}),
        )

    def close(self) -> None:
        self._is_closed = True
        self._services.loop.forget(self._connection.fileno())
        self._connection.close()

    def _close(self) -> None:
        self.close()
        for task in self._prepared:
            if task.is_prepared_by(self):
                task.unprepare()
        for task in self._awaited:
            task.forget_ender(self.reply)
        for task in self._paused:
            task.resume()  # who paused it for a while was killed meanwhile
        for task in list(self._tied):
            self._end(task)
        self._control.leave(self)
