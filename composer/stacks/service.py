"""One service of a stack: where it is, what it says, commands in it, and waiting for it."""

from __future__ import annotations

import os
import re
import select
import threading
import time
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.engine import actions, labels
from composer.engine.observed import Health
from composer.engine.options import OneOff, Options
from composer.engine.wanted import ExecSpec
from composer.stacks import databases, reports
from composer.stacks.results import Address, CommandFailed, LogLine, Result
from composer.stacks.waits import Patience, connects, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from composer.engine.backend import Session
    from composer.engine.observed import ObservedContainer
    from composer.stacks.databases import Database
    from composer.stacks.faulting import Fault
    from composer.stacks.opened import Opened

_EVERYWHERE = ("", "0.0.0.0", "::")
_HOST = "127.0.0.1"
_KILL = 9


class Service:
    """A service of a stack. What is asked of one container is asked of its first replica, or of ``index``."""

    def __init__(self, stack: Opened, name: str) -> None:
        self.stack, self.name = stack, name

    def __repr__(self) -> str:
        return f"<Service {self.name} of {self.stack.name}>"

    @property
    def state_directory(self) -> str:
        """Where commands keep what they know, and programs of this user their locks."""
        return self.stack.state_directory

    @property
    def containers(self) -> list[ObservedContainer]:
        """All containers of the service, by their numbers."""
        return [one for one in self.stack.ps(all=True) if labels.service_of(one) == self.name]

    def container(self, index: int | None = None) -> ObservedContainer:
        """Return a container by its number, the first by default. Raises NotFound."""
        found = [one for one in self.containers if index is None or labels.number_of(one) == index]
        if not found:
            which = f"container {index} of service" if index else "container of service"
            raise errors.NotFound(
                f"no {which} '{self.name}' in project '{self.stack.name}'", hint="start it with stack.up()"
            )
        return found[0]

    # -------------------------------------------------------------- where it is

    def address(self, port: int, *, protocol: str = "tcp", index: int | None = None) -> Address:
        """Return where a port of the service is reached from this machine.

        That is the published port, where there is one, and else the container's own address. Raises NotFound.
        """
        container = self.container(index)
        published = _published(container, port, protocol)
        if published is not None:
            return published
        address = next((one.ipv4 or one.ipv6 for one in container.endpoints if one.ipv4 or one.ipv6), "")
        if not address and container.state.value == "running" and not container.endpoints:
            address = _HOST  # it is in the host's network
        if not address:
            raise errors.NotFound(
                f"service '{self.name}' has no address: its container is {container.state.value}",
                hint="start it with stack.up()",
            )
        return Address(address, port)

    def port(self, port: int, *, protocol: str = "tcp", index: int | None = None) -> int:
        """Return the host's port that a port is published on. Raises NotFound."""
        published = _published(self.container(index), port, protocol)
        if published is None:
            raise errors.NotFound(
                f"port {port}/{protocol} of service '{self.name}' is not published",
                hint="add it to ports, or use address()",
            )
        return published.port

    def url(self, scheme: str, port: int, path: str = "", *, index: int | None = None) -> str:
        """Return a URL of the service: ``stack["web"].url("http", 80, "/health")``."""
        slash = "" if not path or path.startswith("/") else "/"
        return f"{scheme}://{self.address(port, index=index)}{slash}{path}"

    # -------------------------------------------------------------- commands

    def exec(
        self,
        command: Sequence[str],
        *,
        input: bytes | str | None = None,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        workdir: str | None = None,
        timeout: float | None = None,
        check: bool = True,
        index: int | None = None,
    ) -> Result:
        """Run a command in a running container and return what it printed.

        ``timeout`` is in seconds; then the command is killed. Raises CommandFailed, with ``check``, for another exit
        code than 0, and Timeout.
        """
        spec = ExecSpec(
            command=tuple(command),
            environment=tuple(f"{key}={value}" for key, value in (env or {}).items()),
            user=user,
            working_dir=workdir,
            interactive=input is not None,
        )
        session = self.stack.backend.exec(self.container(index).id, spec)
        result = _converse(session, input, timeout, f"command '{' '.join(command)}' in '{self.name}'")
        return self._checked(tuple(command), result, check=check)

    def run(
        self,
        command: Sequence[str] = (),
        *,
        input: bytes | str | None = None,
        env: Mapping[str, str | None] | None = None,
        user: str | None = None,
        timeout: float | None = None,
        check: bool = True,
    ) -> Result:
        """Run a command in a new container of the service, with what it depends on, and remove the container."""
        stack, slug = self.stack, os.urandom(6).hex()
        attributes: dict[str, Any] = {"tty": False, "stdin_open": input is not None}
        if command:
            attributes["command"] = list(command)
        if user is not None:
            attributes["user"] = user
        name = stack.project.separator.join((stack.name, self.name, "run", slug))
        oneoff = OneOff(self.name, name, slug, attributes, dict(env or {}))
        with stack.changing("run") as engine:
            stack.note_made()
            id = actions.create_oneoff(engine, stack.project, oneoff, Options(ignore_orphans=True))
        try:
            session = stack.backend.attach(id, stdin=input is not None, start=True)
            result = _converse(session, input, timeout, f"a run of '{self.name}'")
        finally:
            stack.backend.remove_container(id, force=True, volumes=True)
            stack.backend.rest()
        return self._checked(tuple(command), result, check=check)

    def _checked(self, command: tuple[str, ...], result: Result, *, check: bool) -> Result:
        if check and result.exit_code:
            raise CommandFailed(command, self.name, result)
        return result

    # -------------------------------------------------------------- files and logs

    def copy_in(self, source: str | os.PathLike[str], target: str, *, index: int | None = None) -> None:
        """Copy a file or a directory of this machine into the container, as ``cp`` does."""
        from composer.engine.running import copying

        id = self.container(index).id
        copying.copy_in(self.stack.backend, id, os.path.abspath(source), target, follow=False, to_user=False)

    def copy_out(self, source: str, target: str | os.PathLike[str], *, index: int | None = None) -> None:
        """Copy a file or a directory out of the container, as ``cp`` does."""
        from composer.engine.running import copying

        id = self.container(index).id
        copying.copy_out(self.stack.backend, id, source, os.path.abspath(target), follow=False)

    def logs(
        self, *, follow: bool = False, since: float | None = None, tail: int | None = None
    ) -> Iterator[LogLine]:
        """Yield the lines of the service; the arguments are those of `Stack.logs`."""
        return self.stack.logs(services=(self.name,), follow=follow, since=since, tail=tail)

    # -------------------------------------------------------------- databases

    def fresh_database(self, template: str | None = None, *, refresh: bool = False) -> Database:
        """Make a database of the service's server for one test, and return it: its ``name``, ``url`` and ``drop()``.

        It is a copy of ``template``, by default of the database that the service's variables name; of Redis it is an
        empty index. Connections to PostgreSQL's template are ended. MySQL's template is read once: ``refresh`` reads
        it again. Use it as a context manager to drop it. Raises Unsupported for other servers, CommandFailed.
        """
        settings = self.stack.backend.settings(self.container().id)
        return databases.fresh(self, settings.environment, template, refresh=refresh)

    # -------------------------------------------------------------- waiting

    def wait_healthy(self, timeout: float = 60.0) -> None:
        """Wait until all containers of the service are healthy. Raises Timeout, or Unhealthy when one has ended."""

        def is_so() -> bool:
            found = self.containers
            for one in found:
                if one.state.value in ("exited", "dead"):
                    raise self._unwell(errors.Unhealthy, f"service '{self.name}' has ended")
                if one.health is Health.NONE and one.state.value == "running":
                    raise errors.ProjectError(
                        f"service '{self.name}' has no health check",
                        hint="add healthcheck to the service, or use wait_port() or wait_log()",
                    )
            return bool(found) and all(one.health is Health.HEALTHY for one in found)

        try:
            self.stack.await_that(is_so, timeout=timeout, what=f"service '{self.name}' is healthy")
        except errors.Timeout:
            raise self._unwell(
                errors.Timeout, f"service '{self.name}' is not healthy after {timeout:g} s"
            ) from None

    def _unwell(self, kind: type[errors.EngineError], text: str) -> errors.EngineError:
        error = kind(text)
        for report in reports.report(self.stack.backend, self.containers):
            error.add_note(str(report))
        return error

    def wait_log(
        self, pattern: str | re.Pattern[str], timeout: float = 60.0, *, since: float | None = None
    ) -> re.Match[str]:
        """Wait for a line that the expression is found in; return the match. Raises Timeout.

        Lines of the past count, those after ``since`` (a Unix time in seconds) where it is given.
        """
        expression = re.compile(pattern)
        lines = self.stack.open_logs((self.name,), follow=True, since=since)
        alarm = threading.Timer(timeout, lines.close)
        alarm.daemon = True
        alarm.start()
        try:
            for line in lines:
                found = expression.search(line.text)
                if found:
                    return found
        finally:
            alarm.cancel()
            lines.close()
        raise self._unwell(
            errors.Timeout,
            f"service '{self.name}' printed no line with '{expression.pattern}' within {timeout:g} s",
        )

    def wait_port(self, port: int, timeout: float = 60.0) -> Address:
        """Wait until a TCP port accepts connections; return where. Raises Timeout."""
        patience = Patience(timeout)
        while True:
            address = self._address_now(port)
            if address is not None and connects(address, patience.left_s):
                return address
            if not patience.pause():
                raise self._unwell(
                    errors.Timeout, f"port {port} of service '{self.name}' is not open after {timeout:g} s"
                )

    def _address_now(self, port: int) -> Address | None:
        try:
            return self.address(port)
        except errors.NotFound:
            return None  # it is not up yet

    def wait_http(
        self, port: int, path: str = "/", *, status: int = 200, timeout: float = 60.0, scheme: str = "http"
    ) -> bytes:
        """Wait until a request is answered with a status; return the body. Raises Timeout, with the last answer."""
        patience = Patience(timeout)
        last = "no answer"
        while True:
            address = self._address_now(port)
            if address is not None:
                found = request(scheme, address, path, patience.left_s)
                if found.status == status:
                    return found.body
                last = found.said
            if not patience.pause():
                raise self._unwell(
                    errors.Timeout,
                    f"{scheme} port {port} of service '{self.name}' did not answer {path} with status {status} "
                    f"within {timeout:g} s: {last}",
                )

    # -------------------------------------------------------------- changes

    def start(self) -> None:
        """Start the service's containers."""
        with self.stack.changing("start") as engine:
            actions.start(engine, self.stack.name, (self.name,))

    def stop(self, timeout: float | None = None) -> None:
        """Stop the service's containers; ``timeout`` is the grace period in seconds."""
        with self.stack.changing("stop") as engine:
            actions.stop(engine, self.stack.name, (self.name,), timeout)

    def restart(self, timeout: float | None = None) -> None:
        """Restart the service's containers."""
        with self.stack.changing("restart") as engine:
            actions.restart(engine, self.stack.name, (self.name,), timeout)

    def kill(self, signal: str = "SIGKILL") -> None:
        """Send a signal to the service's containers."""
        with self.stack.changing("kill") as engine:
            actions.kill(engine, self.stack.name, (self.name,), signal)

    def pause(self) -> None:
        """Freeze all processes of the service."""
        self._each("pause_container")

    def unpause(self) -> None:
        """Let the processes of the service go on."""
        self._each("unpause_container")

    def _each(self, name: str) -> None:
        with self.stack.changing(name.partition("_")[0]) as engine:
            for container in self.containers:
                getattr(engine.backend, name)(container.id)

    # -------------------------------------------------------------- faults

    def delay(self, ms: float, jitter: float = 0.0, *, ports: Sequence[int] = ()) -> Fault:
        """Let the service answer later by so many milliseconds: new TCP connections, to these ports or to all."""
        return self._fault("delay", ms=ms, jitter_ms=jitter, ports=list(ports))

    def slow_close(self, ms: float, *, ports: Sequence[int] = ()) -> Fault:
        """Let new TCP connections be closed later by so many milliseconds."""
        return self._fault("slow_close", ms=ms, ports=list(ports))

    def reset_peer(self, ms: float = 0.0, *, ports: Sequence[int] = ()) -> Fault:
        """Let new TCP connections be reset after so many milliseconds."""
        return self._fault("reset_peer", ms=ms, ports=list(ports))

    def loss(self, percent: float) -> Fault:
        """Lose so many percent of the packets that come and go."""
        return self._fault("loss", percent=percent)

    def bandwidth(self, bytes_per_s: int) -> Fault:
        """Let the service send at most so many bytes per second."""
        return self._fault("bandwidth", bytes_per_s=int(bytes_per_s))

    def refuse(self, port: int, protocol: str = "tcp") -> Fault:
        """Let a port refuse connections, new ones and those that exist."""
        return self._fault("refuse", port=port, protocol=protocol)

    def dns_fail(self, name: str) -> Fault:
        """Let the service not resolve a name."""
        return self._fault("dns_fail", name=name)

    def disk_full(self, path: str) -> Fault:
        """Fill the tmpfs or the volume with a size that is mounted at a path."""
        return self._fault("disk_full", path=path)

    def oom(self) -> None:
        """Let the kernel kill the largest process of each container for want of memory."""
        self._fault("oom").heal()

    def duplicate(self, percent: float) -> Fault:
        """Refused by name: it needs a module of the kernel."""
        return self._fault("duplicate", percent=percent)

    def corrupt(self, percent: float) -> Fault:
        """Refused by name: it needs a module of the kernel."""
        return self._fault("corrupt", percent=percent)

    def _fault(self, kind: str, **values: Any) -> Fault:
        return self.stack.fault((self.name,), kind, **values)

    # -------------------------------------------------------------- scale

    def scale(self, count: int, *, timeout: float | None = None) -> None:
        """Run this many containers of the service."""
        self.stack.up(services=(self.name,), scale={self.name: count}, timeout=timeout)


def _published(container: ObservedContainer, port: int, protocol: str) -> Address | None:
    for one in container.ports:
        if one.container_port == port and one.protocol == protocol and one.host_port:
            return Address(_HOST if one.host_ip in _EVERYWHERE else one.host_ip, one.host_port)
    return None


def _converse(session: Session, given: bytes | str | None, timeout: float | None, what: str) -> Result:
    """Give a command its input, and return what it printed. Raises Timeout; then it is killed, where that can be."""
    streams: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    output: list[bytes] = []
    if given is not None:
        threading.Thread(target=_feed, args=(session, given), daemon=True).start()
    try:
        pieces = session.read if timeout is None else _until(session, timeout, what)
        while (piece := pieces()) is not None:
            stream, data = piece
            streams.setdefault(stream, []).append(data)
            output.append(data)
        code = session.wait()
    finally:
        session.close()
    texts = [b"".join(streams[name]).decode(errors="replace") for name in ("stdout", "stderr")]
    return Result(code, texts[0], texts[1], b"".join(output))


def _until(session: Session, timeout: float, what: str) -> Callable[[], tuple[str, bytes] | None]:
    """Return what reads as long as there is time, and kills the command when there is none. Raises Timeout."""
    until = time.monotonic() + timeout

    def read() -> tuple[str, bytes] | None:
        left = max(0.0, until - time.monotonic())
        if select.select([session.fileno()], [], [], left)[0]:
            return session.read()
        session.signal(_KILL)
        raise errors.Timeout(f"{what} was killed: it did not end within {timeout:g} s")

    return read


def _feed(session: Session, given: bytes | str) -> None:
    try:
        session.write(given.encode() if isinstance(given, str) else given)
        session.close_stdin()
    except (OSError, ValueError):
        return  # it has ended without reading all of it
