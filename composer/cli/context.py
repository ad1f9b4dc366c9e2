"""What every command gets: the global options, the environment, the streams, and the way to project and backend.

The only place, with `main`, that knows the process's surroundings; everything below gets them as arguments.
Nothing is loaded or connected before a command asks for it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from composer.cli import backends, streams
from composer.cli.safe import safe
from composer.errors import ConfigError, PermissionDenied, ProjectError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TextIO

    from composer.cli.backends import Connect
    from composer.cli.display import Display
    from composer.cli.safe import Safe
    from composer.engine.actions import Engine
    from composer.engine.backend import Backend
    from composer.engine.events import Cancellation, Events
    from composer.engine.plan import Plan
    from composer.schema.model import Project
    from composer.schema.options import LoadOptions
    from composer.schema.setting import Named

_KEY_BYTES = 32


class Settings(NamedTuple):
    """The global options, as given."""

    files: tuple[str, ...] = ()
    name: str | None = None
    profiles: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    directory: str | None = None
    progress: str = "auto"
    ansi: str = "auto"
    parallel: int | None = None
    backend: str | None = None
    debug: bool = False
    dry_run: bool = False
    all_resources: bool = False
    compatibility: bool = False


class Context:
    """One run of the command. Use as a context manager: it closes what was opened."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        stdin: TextIO,
        stdout: TextIO,
        stderr: TextIO,
        working_dir: str,
        connect: Connect = backends.connect,
    ) -> None:
        self.environment = environment
        self.stdin = stdin
        self._output = (
            stdout if isinstance(stdout, streams.Output) else streams.Output(stdout, "standard output")
        )
        self._errors = streams.Output(stderr, "standard error")
        self.stdout = safe(cast("TextIO", self._output))
        self.stderr = safe(cast("TextIO", streams.Progress(stderr)))
        self.errors = safe(cast("TextIO", self._errors))
        """What containers write there, as ``stderr`` is what we say."""
        self.working_dir = working_dir
        self.settings = Settings()
        self.quiet_pulls = False
        """``--quiet-pull``: how far each pull is, is not shown."""
        self._configuration: Mapping[str, Any] | None = None
        self._read: str | None = None
        self._named: Named | None = None
        self._makes = False
        self._connect = connect
        self._backend: Backend | None = None
        self._display: Display | None = None

    def configured(self, name: str) -> Any:
        """Return what the user's configuration file says of a setting; None where it says nothing, or is not there.

        Raises ProjectInvalid.
        """
        if self._configuration is None:
            home = self.environment.get("XDG_CONFIG_HOME") or f"{self.environment.get('HOME', '')}/.config"
            path = f"{home}/composer/config.toml"
            if not os.path.exists(path):  # most people have none, and pay no import for it
                self._configuration = {}
            else:
                from composer.cli import configuration

                self._configuration = configuration.read(path, self._cache_dir(), backends.CHOICES)._asdict()
        return self._configuration.get(name)

    # ------------------------------------------------------------- the project

    def load_options(self) -> LoadOptions:
        from composer.schema.options import LoadOptions

        settings = self.settings
        return LoadOptions(
            files=settings.files,
            directory=settings.directory,
            name=settings.name,
            profiles=settings.profiles,
            env_files=settings.env_files,
            environment=self.environment,
            working_dir=self.working_dir,
            home=self.environment.get("HOME", ""),
            stdin=self._input,
            cache_dir=self._cache_dir(),
            all_resources=settings.all_resources,
        )

    def _input(self) -> str:
        """Return what ``-f -`` reads: once, for the name and for the model."""
        if self._read is None:
            try:
                self._read = self.stdin.read()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
                raise ConfigError(f"cannot read standard input: {(reason or str(error)).lower()}") from None
        return self._read

    def _cache_dir(self) -> str | None:
        home = self.environment.get("HOME")
        base = self.environment.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else None)
        return f"{base}/composer" if base else None

    def project(self, *, makes: bool = False) -> Project:
        """Load the project, and show the loader's warnings. ``makes``: for a command that creates what is missing."""
        from composer.schema.load import load
        from composer.schema.setting import Named

        project = load(self.load_options())
        self._named = Named(project.name, project.directory, project.name_origin)
        self._makes = self._makes or makes
        if self.settings.compatibility or self.flag("COMPOSE_COMPATIBILITY"):
            project.separator = "_"
        project.all_resources = self.settings.all_resources
        for notice in project.warnings:
            self.display().warn(str(notice))
        return project

    @property
    def name_origin(self) -> str:
        """Whose choice the project's name is, once it was asked for."""
        from composer.schema.model import GIVEN

        return self._named.origin if self._named is not None else GIVEN

    def project_name(self) -> str:
        """Return the project's name alone. What was named and is not there does not matter to a name that was given."""
        from composer.schema.naming import find_name
        from composer.schema.problems import Problems

        problems = Problems()
        self._named = find_name(self.load_options(), problems)
        for error in problems.errors:
            self.display().warn(str(error))
        return self._named.name

    # ------------------------------------------------------------- the engine

    def wanted_backend(self) -> str | None:
        """Return the backend that was asked for, by an option, the environment or the configuration file."""
        return self.settings.backend or backends.configured(self.environment, self.configured("backend"))

    def backend(self, project: str | None = None) -> Backend:
        """Return the backend that has a project, or that should get it."""
        if self._backend is None:
            self._backend = backends.choose(project, self.wanted_backend(), self.environment, self._connect)
            if self._named is not None and project == self._named.name:
                self._look_for_earlier(self._named, self._backend)
        return self._backend

    def _look_for_earlier(self, named: Named, backend: Backend) -> None:
        """Name the stack that an earlier version created here. Raises ProjectError before a second one is created."""
        from composer.cli import physical

        earlier = physical.name_of_earlier(named, backend, self.backends())
        if earlier and self._makes:
            raise ProjectError(physical.sentence(named, earlier), hint=physical.hint(earlier))
        if earlier:
            self.display().warn(f"{physical.sentence(named, earlier)} (select it with -p {earlier})")

    def backends(self) -> Iterator[Backend]:
        """Yield every backend that works here, or the one that was asked for."""
        if self.settings.backend:
            yield self.backend()
            return
        for name in backends.CHOICES:
            try:
                backend = self._connect(name, self.environment)
            except (Unavailable, PermissionDenied):
                continue
            try:
                yield backend
            finally:
                backend.close()

    def engine(self, project: str, *, title: str = "", cancel: Cancellation | None = None) -> Engine:
        """Return what an action needs. ``title`` heads the progress."""
        from composer.engine.actions import Engine
        from composer.engine.outcome import PARALLEL

        events: Events = self.display(title)
        if self.quiet_pulls:
            from composer.cli.display.quiet import WithoutPulls

            events = WithoutPulls(events)
        return Engine(
            self.backend(project),
            events,
            self.key(),
            self.settings.parallel or PARALLEL,
            cancel,
            self._review if self.settings.dry_run else None,
            self.asker(),
        )

    def _review(self, plan: Plan) -> bool:
        """``--dry-run``: show the plan in place of carrying it out."""
        self.show_plan(plan)
        return False

    def show_plan(self, plan: Plan) -> None:
        """Print a plan as people read it."""
        from composer.cli.outline import outline

        for sentence in (*map(str, plan.losses), *plan.warnings):
            self.display().warn(sentence)
        self.write(outline(plan, color=self.is_colored(self.stdout)))

    @contextmanager
    def changing(self, project: str, verb: str) -> Iterator[Engine]:
        """Yield the engine for a command that changes a project, alone with it; Ctrl-C asks it to stop."""
        from composer.cli.interrupt import interruptible

        # the lock first: whoever waits for it can still be interrupted as any program
        with self.lock(project, verb), interruptible() as cancel:
            engine = self.engine(project, title=verb, cancel=cancel)
            if not self.settings.dry_run:
                engine.backend.recover(project)
            yield engine

    @contextmanager
    def lock(self, project: str, verb: str) -> Iterator[None]:
        """Keep other commands from changing the project meanwhile; wait for one that does, and say for which."""
        if self.settings.dry_run:
            yield
            return
        from composer.cli.lock import project_lock

        with project_lock(self._state_dir(), project, verb, self.display().warn):
            yield

    def key(self) -> bytes:
        """Return the key that seals values in labels; made on first use, readable by its owner only."""
        path = os.path.join(self._state_dir(), "label.key")
        try:
            with open(path, "rb") as file:
                key = file.read()
            if len(key) == _KEY_BYTES:
                return key
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _no_key(path, error) from None
        try:
            return _make_key(path)
        except OSError as error:
            raise _no_key(path, error) from None

    def _state_dir(self) -> str:
        root = self.environment.get("COMPOSER_ROOT")
        if root:
            return root
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # Windows has no such thing
            return "/var/lib/composer"
        home = self.environment.get("XDG_STATE_HOME") or f"{self.environment.get('HOME', '')}/.local/state"
        return f"{home}/composer"

    # ------------------------------------------------------------- showing

    def is_colored(self, stream: Safe) -> bool:
        """Tell whether a stream gets colours. NO_COLOR: https://no-color.org"""
        ansi = self.settings.ansi
        if ansi != "auto":
            return ansi == "always"
        return (
            stream.isatty()
            and not self.environment.get("NO_COLOR")
            and self.environment.get("TERM") != "dumb"
        )

    def display(self, title: str = "") -> Display:
        if self._display is None:
            from composer.cli.display import open_display

            stream = self.stderr
            if self.environment.get("COMPOSE_STATUS_STDOUT"):
                stream = safe(cast("TextIO", streams.Progress(cast("TextIO", self._output))))
            mode = self.settings.progress
            if mode == "auto" and self.settings.ansi == "never":
                mode = "plain"
            self._display = open_display(mode, stream, color=self.is_colored(stream), title=title)
        return self._display

    def write(self, text: str) -> None:
        """Write a line to standard output."""
        self.stdout.write(text + "\n")

    def abandon_output(self) -> None:
        """Stop waiting for readers. A thread that is writing is abandoned."""
        for stream in (self._output, self._errors):
            stream.abandon()

    def asker(self) -> Callable[[str], bool] | None:
        """Return what asks a question on the terminal; None where nobody can answer."""
        return self.confirm if self.stdin.isatty() and not self.settings.dry_run else None

    def confirm(self, question: str) -> bool:
        """Ask on the terminal. Raises ProjectError where nobody can answer."""
        if not self.stdin.isatty():
            raise ProjectError(f"cannot ask '{question}' without a terminal", hint="say --force or --yes")
        self.stderr.write(f"{question} [y/N] ")
        self.stderr.flush()
        return self.stdin.readline().strip().lower() in ("y", "yes")

    def flag(self, name: str) -> bool:
        """Read a boolean environment variable as Go's strconv.ParseBool does; anything else is false.

        Where it is not set, the configuration file may say it.
        """
        value = self.environment.get(name)
        if value is None:
            return self.configured(name.removeprefix("COMPOSE_").lower()) is True
        return value in ("1", "t", "T", "TRUE", "true", "True")

    def close(self) -> None:
        if self._display is not None:
            self._display.close()
        if self._backend is not None:
            self._backend.close()


def _no_key(path: str, error: OSError) -> PermissionDenied:
    return PermissionDenied(
        f"cannot keep the key for secrets in labels at '{path}': {(error.strerror or str(error)).lower()}",
        hint="set COMPOSER_ROOT to a directory that you may write to",
    )


def _make_key(path: str) -> bytes:
    """Write a new key beside its place and link it there: of two commands at once, one wins and both read it."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(os.urandom(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass  # another command was faster: its key is the key
    finally:
        os.unlink(temporary)
    with open(path, "rb") as file:
        key = file.read()
    if len(key) != _KEY_BYTES:
        # cut short by a full disk: it has sealed nothing that can still be compared
        os.unlink(path)
        return _make_key(path)
    return key
