"""What every command gets: the global options, the environment, the streams, and the way to project and backend.

The only place, with `main`, that knows the process's surroundings; everything below gets them as arguments.
Nothing is loaded or connected before a command asks for it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from composer import starting, userconfig
from composer.backends import choice
from composer.cli import streams
from composer.cli.safe import safe
from composer.errors import ComposerError, ConfigError, ProjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TextIO

    from composer.backends.choice import Connect
    from composer.cli.display import Display
    from composer.cli.safe import Safe
    from composer.engine.backend import Backend
    from composer.engine.engine import Engine
    from composer.engine.plan import Plan
    from composer.engine.progress import Cancellation, Events
    from composer.schema.model import Project
    from composer.schema.options import Fetched, LoadOptions
    from composer.schema.setting import Named
    from composer.session.remote.fetching import Remotes
    from composer.session.session import Session


_STARTING = frozenset(("start", "restart", "apply"))
"""Commands that start containers, as a rule, and do not load the project for it (`Context.project`, ``starts``)."""


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
    instance: str | None = None
    insecure_registries: tuple[str, ...] = ()
    """Registries that compose files, and no images, are read from without encryption."""


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
        connect: Connect = choice.connect,
        began: tuple[float, float] | None = None,
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
        self.began = began
        """When the interpreter ran our first line, and the processor time until then; None in a process of others."""
        self.settings = Settings()
        self.build_output: Safe | None = None
        """What builders print goes there; None: to standard output, as with Docker Compose."""
        self.quiet_pulls = False
        """``--quiet-pull``: how far each pull is, is not shown."""
        self._configuration: Mapping[str, Any] | None = None
        self._env_file: Mapping[str, str] | None = None
        self._read: str | None = None
        self._remotes: Remotes | None = None
        self._named: Named | None = None
        self._base: str | None = None
        self._makes = False
        self._connect = connect
        self._session: Session | None = None
        self._display: Display | None = None

    def configured(self, name: str) -> Any:
        """Return what the user's configuration file says of a setting; None where it says nothing, or is not there.

        Raises ProjectInvalid.
        """
        if self._configuration is None:
            path = userconfig.path_of(self.environment)
            if not os.path.exists(path):  # most people have none, and pay no import for it
                self._configuration = {}
            else:
                from composer.cli import configuration

                self._configuration = configuration.read(path, self._cache_dir(), choice.CHOICES)._asdict()
        return self._configuration.get(name)

    # ------------------------------------------------------------- the project

    def load_options(self, services: tuple[str, ...] = ()) -> LoadOptions:
        from composer.schema.options import LoadOptions

        settings = self.settings
        instance = self.instance()
        return LoadOptions(
            files=settings.files,
            directory=settings.directory,
            name=f"{self._base_name()}-{instance}" if instance else settings.name,
            profiles=settings.profiles,
            env_files=settings.env_files,
            environment=self.environment,
            working_dir=self.working_dir,
            home=self.environment.get("HOME", ""),
            stdin=self.typed,
            cache_dir=self._cache_dir(),
            all_resources=settings.all_resources,
            services=services,
            remote=self,
        )

    def fetch(self, reference: str) -> Fetched:
        """Return a compose file from elsewhere. Git and registries are imported for it, and for nothing else."""
        if self._remotes is None:
            from composer.session.remote.fetching import Remotes

            self._remotes = Remotes(
                self.environment, self.variable, self._cache_dir(), self.settings.insecure_registries
            )
        return self._remotes.fetch(reference)

    @property
    def fetched(self) -> tuple[str, ...]:
        """The references of files from elsewhere that this command has read so far."""
        return tuple(self._remotes.fetched) if self._remotes is not None else ()

    def place_of(self, file: str) -> str:
        """Return where a compose file of the project is on this machine."""
        from composer.references import without_login

        known = self._remotes.fetched.items() if self._remotes is not None else ()
        return next((one.file for name, one in known if without_login(name) == file), file)

    def typed(self) -> str:
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

    def project(
        self, *, makes: bool = False, starts: bool = False, services: tuple[str, ...] = ()
    ) -> Project:
        """Load the project, and show the loader's warnings. ``makes``: for a command that creates what is missing.

        ``starts``: for a command that also starts containers. ``services`` are the services that the command is
        about: errors in others are ignored where these do not depend on them.
        """
        if starts and not self.settings.dry_run:
            self._expect_starts_soon()
        starting.import_yaml()
        from composer.schema.load import load
        from composer.schema.setting import Named

        project = load(self.load_options(services))
        self._named = Named(project.name, project.name_directory, project.name_origin)
        project = self.as_instance(project, keeps=makes and not self.settings.dry_run)
        self._named = Named(project.name, project.name_directory, project.name_origin)
        self._makes = self._makes or makes
        if self.settings.compatibility or self.flag("COMPOSE_COMPATIBILITY"):
            project.separator = "_"
        project.all_resources = self.settings.all_resources
        for notice in project.warnings:
            self.display().warn(str(notice))
        return project

    def as_instance(self, project: Project, *, keeps: bool = False) -> Project:
        """Return a project with the ports and names of the instance that is meant; with ``keeps`` these are noted."""
        instance = self.instance()
        if not instance:
            return project
        from composer.cli.instance import apart

        return apart(
            project,
            self._base_name(),
            instance,
            state=self.session().state_root.own,
            backend=self.backend(project.name),
            keeps=keeps,
        )

    def instance(self) -> str:
        """Return which instance of the project is meant; empty for the only one."""
        wanted = self.settings.instance or self.environment.get("COMPOSER_INSTANCE", "")
        if not wanted:
            return ""
        from composer.session import instances

        return instances.name_of(wanted, self.settings.directory or self.working_dir)

    def _base_name(self) -> str:
        """Return the project's name without that of the instance."""
        if self._base is None:
            from composer.schema.naming import find_name
            from composer.schema.problems import Problems

            without = self.settings._replace(instance=None)
            given, self.settings = self.settings, without
            environment, self.environment = (
                self.environment,
                {key: text for key, text in self.environment.items() if key != "COMPOSER_INSTANCE"},
            )
            try:
                self._base = find_name(self.load_options(), Problems()).name
            finally:
                self.settings, self.environment = given, environment
        return self._base

    def _expect_starts_soon(self) -> None:
        """Let the backend get ready while the project is loaded. Whatever is wrong is said when it is needed."""
        from composer.schema.naming import find_name
        from composer.schema.problems import Problems

        problems = Problems()
        try:
            named = find_name(self.load_options(), problems)
            if problems.errors:
                return
            backend = self.session().backend(named.name, named, makes=True)
        except (ComposerError, OSError):
            return
        self.expect_starts(backend, named.name, creates=True)

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
        return self.settings.backend or choice.configured(self.environment, self.configured("backend"))

    def session(self) -> Session:
        """Return the way to the backends, opened once."""
        if self._session is None:
            from composer.session.session import Session

            self._session = Session(
                self.environment,
                wanted=self.wanted_backend(),
                connect=self._connect,
                warn=lambda text: self.display().warn(text),
            )
        return self._session

    def backend(self, project: str | None = None) -> Backend:
        """Return the backend that has a project, or that should get it."""
        return self.session().backend(project, self._named, makes=self._makes)

    def connect(self, name: str) -> Backend:
        """Return a backend by its name, beside the one that a project has; close it."""
        return self._connect(name, self.environment)

    def backends(self) -> Iterator[Backend]:
        """Yield every backend that works here, or the one that was asked for."""
        return self.session().backends()

    def engine(self, project: str, *, title: str = "", cancel: Cancellation | None = None) -> Engine:
        """Return what an action needs. ``title`` heads the progress."""
        events: Events = self.display(title)
        if self.quiet_pulls:
            from composer.cli.display.quiet import WithoutPulls

            events = WithoutPulls(events)
        self.backend(project)
        return self.session().engine(
            project,
            events,
            parallel=self.settings.parallel,
            cancel=cancel,
            review=self._review if self.settings.dry_run else None,
            ask=self.asker(),
        )

    def _review(self, plan: Plan) -> bool:
        """``--dry-run``: show the plan in place of carrying it out."""
        self.show_plan(plan)
        return False

    def show_plan(self, plan: Plan, *, steps: bool = False) -> None:
        """Print a plan as people read it, each resource with its ``steps`` where asked."""
        from composer.cli.outline import outline

        for sentence in (*map(str, plan.losses), *plan.warnings):
            self.display().warn(sentence)
        self.write(outline(plan, color=self.is_colored(self.stdout), steps=steps))

    @contextmanager
    def changing(self, project: str, verb: str) -> Iterator[Engine]:
        """Yield the engine for a command that changes a project, alone with it; Ctrl-C asks it to stop."""
        from composer.cli.interrupt import interruptible

        # the lock first: whoever waits for it can still be interrupted as any program
        with self.lock(project, verb), interruptible() as cancel:
            engine = self.engine(project, title=verb, cancel=cancel)
            if not self.settings.dry_run:
                engine.backend.recover(project)
                if verb in _STARTING:
                    self.expect_starts(engine.backend, project, creates=True)
            yield engine

    def expect_starts(self, backend: Backend, project: str, *, creates: bool = False) -> None:
        """Let a backend get ready for starts, where it can, while the command goes on. Only an optimization."""
        from composer.engine.observed import Capability

        if Capability.PREPARES_STARTS in backend.capabilities:
            try:
                backend.expect_starts(project, creates=creates)
            except (ComposerError, OSError, RuntimeError):
                return  # such as no room for a thread: who starts something says what is wrong

    @contextmanager
    def lock(self, project: str, verb: str) -> Iterator[None]:
        """Keep other commands from changing the project meanwhile; wait for one that does, and say for which."""
        if self.settings.dry_run:
            yield
            return
        with self.session().lock(project, verb):
            yield

    def key(self) -> bytes:
        """Return the key that seals values in labels."""
        return self.session().key()

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
            if self.variable("COMPOSE_STATUS_STDOUT"):
                stream = safe(cast("TextIO", streams.Progress(cast("TextIO", self._output))))
            mode = self.settings.progress
            if mode == "auto" and self.settings.ansi == "never":
                mode = "plain"
            self._display = open_display(
                mode,
                stream,
                output=self.build_output or self.stdout,
                color=self.is_colored(stream),
                title=title,
            )
        return self._display

    def has_shown(self, detail: str) -> bool:
        """Tell whether the progress had a detail in full."""
        return bool(detail) and self._display is not None and detail in self._display.shown

    def write(self, text: str) -> None:
        """Write a line to standard output."""
        self.stdout.write(text + "\n")

    def has_reader(self) -> bool:
        """Tell whether whoever reads standard output takes more right now."""
        import select

        try:
            poll = select.poll()
            poll.register(self.stdout.fileno(), select.POLLOUT)
            return any(event & select.POLLOUT for _, event in poll.poll(0))
        except (OSError, ValueError):
            return True  # it is no file

    def abandon_output(self) -> None:
        """Stop waiting for readers. A thread that is writing is abandoned."""
        for stream in (self._output, self._errors):
            stream.abandon()

    def asker(self) -> Callable[[str], bool] | None:
        """Return what asks a question on the terminal; None where nobody can answer."""
        return self.confirm if self.stdin.isatty() and not self.settings.dry_run else None

    def confirm(self, question: str, *, otherwise: bool = False, hint: str = "use --force") -> bool:
        """Ask; the answer may come through a pipe (``yes |``). Raises ProjectError where nobody can answer.

        On a terminal an empty answer means ``otherwise``.
        """
        self.stderr.write(f"{question} {'[Y/n]' if otherwise else '[y/N]'} ")
        self.stderr.flush()
        answer = self.stdin.readline()
        if not answer and not self.stdin.isatty():
            self.stderr.write("\n")
            asked = question.rpartition("\n")[2]
            raise ProjectError(f"cannot prompt without a terminal: {asked}", hint=hint)
        if otherwise and answer == "\n" and self.stdin.isatty():
            return True
        return answer.strip().lower() in ("y", "yes")

    def variable(self, name: str) -> str | None:
        """Return a ``COMPOSE_`` variable of the environment, or of the env file that is read first."""
        value = self.environment.get(name)
        return value if value is not None else self._in_env_file().get(name)

    def _may_have_env_file(self) -> bool:
        settings = self.settings
        if settings.env_files or self.environment.get("COMPOSE_ENV_FILES") or settings.files:
            return True
        return os.path.exists(os.path.join(self.working_dir, settings.directory or "", ".env"))

    def _in_env_file(self) -> Mapping[str, str]:
        if self._env_file is None and not self._may_have_env_file():
            self._env_file = {}  # most often, and without an import
        if self._env_file is None:
            from composer.schema.problems import Problems
            from composer.schema.setting import options_in_env_file

            # what is wrong in it is said by whoever loads the project
            self._env_file = options_in_env_file(self.load_options(), Problems())
        return self._env_file

    def flag(self, name: str) -> bool:
        """Read a boolean environment variable as Go's strconv.ParseBool does; anything else is false.

        Where it is not set, the configuration file may say it.
        """
        value = self.variable(name)
        if value is None:
            return self.configured(name.removeprefix("COMPOSE_").lower()) is True
        return value in ("1", "t", "T", "TRUE", "true", "True")

    def close(self) -> None:
        if self._display is not None:
            self._display.close()
        if self._session is not None:
            self._session.close()


def working_directory(environment: Mapping[str, str]) -> str:
    """Return the current directory as the shell shows it, where ``PWD`` names it. Raises ProjectError for none."""
    try:
        here = os.stat(".")
        path = environment.get("PWD", "")
        if path.startswith("/"):
            try:
                # without .. and its like too, as that is how relative paths are put behind it
                if all(os.path.samestat(here, os.stat(one)) for one in (path, os.path.normpath(path))):
                    return os.path.normpath(path)
            except (OSError, ValueError):
                pass  # it names another directory, or none
        return os.getcwd()
    except FileNotFoundError:
        raise ProjectError(
            "the current directory does not exist anymore", hint="change to another directory"
        ) from None
