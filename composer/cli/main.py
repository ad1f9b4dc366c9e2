"""The ``composer`` command: global options, a table of verbs, and the boundary where errors become text.

A verb's module is imported when the verb is run; ``--help`` of the group needs none of them.
"""

from __future__ import annotations

import atexit
import io
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, cast

import click

from composer.backends import choice
from composer.cli import flags, streams
from composer.cli.completion import ASKS
from composer.cli.context import Context, Settings, working_directory
from composer.errors import OutputFailed
from composer.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from composer.backends.choice import Connect

_CLOSED_PIPE = 141
COMMANDS: dict[str, tuple[str, str]] = {
    "alpha": ("alpha", "Experimental commands of docker compose"),
    "apply": ("apply", "Apply a plan saved with composer plan --out"),
    "attach": ("attach", "Connect the terminal to a running container of a service"),
    "boot": ("boot", "Manage the start of containers at boot"),
    "build": ("build", "Build or rebuild service images"),
    "builder": ("build:builder", "Manage the build cache"),
    "completion": ("completion", "Print the completion script for a shell"),
    "commit": ("commit", "Create an image from the changes in a service container"),
    "config": ("config", "Check the compose files and print the resolved project"),
    "container": ("container", "Manage individual containers"),
    "context": ("apicontext", "Print the DOCKER_HOST setting for clients of composer serve"),
    "cp": ("cp", "Copy files between service containers and the local filesystem"),
    "create": ("create", "Create containers without starting them"),
    "doctor": ("doctor", "Check which backends work on this machine"),
    "down": ("down", "Stop and remove containers and networks"),
    "env": ("env", "Print variables with the addresses of the project's running services"),
    "events": ("events", "Print container events in real time"),
    "exec": ("exec", "Run a command in a running container"),
    "export": ("export", "Export the filesystem of a service container as a tar archive"),
    "fault": ("fault", "Make faults in running services"),
    "graph": ("graph", "Show the dependency graph of services and their state"),
    "help": ("help", "Show the help of a command"),
    "image": ("image", "Manage images"),
    "images": ("images", "List the images of the project's containers"),
    "kill": ("kill", "Kill service containers, or send them a signal"),
    "lint": ("lint", "Check compose files for errors and questionable settings"),
    "login": ("registry.login", "Log in to a registry"),
    "logout": ("registry.login:logout", "Log out from a registry"),
    "logs": ("logs", "Print the output of service containers"),
    "ls": ("ls", "List projects"),
    "migrate": ("migrate", "Copy the images and volumes of a project to another backend"),
    "network": ("network", "Manage networks"),
    "pause": ("pause", "Pause services"),
    "plan": ("plan", "Show what up would change, and why"),
    "plugin": ("shim:plugin", "Manage composer as docker's compose plugin"),
    "port": ("port", "Print the host address that a container port is published on"),
    "ps": ("ps", "List containers"),
    "pull": ("registry.pull", "Pull service images"),
    "publish": ("registry.publish", "Publish the compose files of the project to a registry"),
    "push": ("registry.push", "Push service images"),
    "restart": ("restart", "Restart service containers"),
    "rm": ("rm", "Remove stopped service containers"),
    "run": ("run", "Run a one-off command in a new container of a service"),
    "scale": ("scale", "Set the number of containers of services"),
    "schema": ("schema", "Print the JSON Schema of a document that composer writes or reads"),
    "serve": ("serve", "Serve Docker's REST API for the containers of the built-in runtime"),
    "shim": ("shim", "Manage launchers named docker and docker-compose that run composer"),
    "snapshot": ("snapshot", "Save and restore the data of services"),
    "start": ("start", "Start services"),
    "stats": ("stats", "Show a live view of the resource usage of containers"),
    "stop": ("stop", "Stop services"),
    "system": ("system", "Show disk usage"),
    "top": ("top", "List the running processes of service containers"),
    "unpause": ("pause:unpause", "Resume paused services"),
    "up": ("up", "Create and start containers"),
    "url": ("env:url", "Print the URL of a published port of a service"),
    "version": ("version", "Print the version of composer"),
    "volume": ("volume", "Manage volumes"),
    "volumes": ("volume:volumes", "List the project's volumes"),
    "wait": ("wait", "Wait until the containers of services stop"),
    "watch": ("up:watch", "Copy changes of the source into the containers of services"),
}
"""Where each command is, as ``module`` or ``module:name``, and what it does."""


ALIASES = {"convert": "config"}
"""Docker Compose's other names of commands; no list shows them."""

UNCONFIGURED = ("boot", "completion", "help", "schema", "version")
"""A mistake in the configuration file keeps no container from its start at boot, and none of its schema from a user."""


def load(verb: str) -> click.Command:
    """Return a command of the table."""
    from importlib import import_module

    module, _, name = COMMANDS[verb][0].partition(":")
    command: click.Command = getattr(import_module(f"composer.cli.commands.{module}"), name or "command")
    return command


class Verbs(click.Group):
    """A group whose commands are named in a table and imported when they are run."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # a line that is completed is not complete: click takes it as far as it goes
        return super().parse_args(ctx, args if ctx.resilient_parsing else _read(self, args, ctx))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        command = load(name)
        takers = [command]
        if isinstance(command, click.Group):  # only the one that docker compose has as well
            takers = [command, *command.commands.values()] if name == "alpha" else []
        for taker in takers:
            if all(option.name != "dry_run" for option in taker.params):
                taker.params.append(_dry_run())
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, COMMANDS[verb][1]) for verb in sorted(COMMANDS)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            name, command, rest = super().resolve_command(ctx, args)
        except click.UsageError:
            from composer.cli.unknown_verbs import explain

            ctx.fail(explain(args[0], COMMANDS))
        if command is not None and not ctx.resilient_parsing:
            rest = flags.canonical(command, rest, click.Context(command, parent=ctx, info_name=name))
        return name, command, rest


def _read(group: click.Group, args: list[str], ctx: click.Context) -> list[str]:
    """Return the words of a command line.

    Programs that run ``docker compose …`` say ``composer compose …``, and the launcher ``docker`` says
    ``composer docker …``.
    """
    options, rest = flags.split(group, args, ctx)
    if rest[:1] == [flags.DOCKER]:
        from composer.cli.single import docker_words

        options, rest = flags.split(group, [*options, *docker_words.translate(rest[1:])], ctx)
    if rest[:1] == [flags.COMPOSE]:
        ctx.meta[flags.COMPOSE] = True
        further, rest = flags.split(group, rest[1:], ctx)
        options += further
    return [*options, *rest]


def _backend(_ctx: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    if name is not None and not choice.is_known(name):
        raise click.BadParameter(f"unknown backend '{name}'; available backends: {', '.join(choice.names())}")
    return name


def _dry_run() -> click.Option:
    """Return ``--dry-run`` for behind a verb, where Docker Compose takes it too."""

    def callback(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
        if value:
            context: Context = ctx.obj
            context.settings = context.settings._replace(dry_run=True)

    return click.Option(["--dry-run"], is_flag=True, hidden=True, expose_value=False, callback=callback)


@click.command(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": None},
    no_args_is_help=True,
)
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    metavar="FILE",
    help="Read this compose file, standard input for -, or a file of a git repository or a registry.",
)
@click.option("-p", "--project-name", "name", metavar="NAME", help="Set the project name.")
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Enable a profile.")
@click.option(
    "--instance",
    metavar="NAME|auto",
    help="Use an instance of the project with a name and host ports of its own, beside others; auto takes the name "
    "of the git worktree, branch or directory. Also: COMPOSER_INSTANCE.",
)
@click.option(
    "--env-file",
    "env_files",
    multiple=True,
    metavar="FILE",
    help="Read this environment file instead of .env.",
)
@click.option(
    "--project-directory",
    "directory",
    metavar="DIR",
    help="Set the project directory, the base of relative paths "
    "(default: the directory of the first compose file).",
)
@click.option(
    "--progress",
    type=click.Choice(("auto", "tty", "plain", "json", "quiet")),
    help="Set the style of the progress output.",
)
@click.option(
    "--ansi",
    type=click.Choice(("auto", "always", "never")),
    help="Set when colors and cursor movement are used.",
)
@click.option("--parallel", type=int, metavar="N", help="Limit the number of parallel operations.")
@click.option("--all-resources", is_flag=True, help="Include resources that no service uses.")
@click.option("--compatibility", is_flag=True, help="Use underscores in container names, as Compose V1 did.")
@click.option(
    "--backend",
    metavar="NAME",
    callback=_backend,
    help="Select the backend that runs containers: namespace (the built-in runtime), docker, "
    "or an installed plugin.",
)
@click.version_option(
    __version__,
    "-v",
    "--version",
    message="Composer version v%(version)s",
    help="Print the version and exit.",
)
@click.option("--debug", is_flag=True, help="Print the traceback of errors.")
@click.option("--verbose", is_flag=True, hidden=True)
@click.option("--no-ansi", is_flag=True, hidden=True)
@click.option("--workdir", metavar="DIR", hidden=True)
@click.option("--insecure-registry", "insecure_registries", multiple=True, metavar="HOST", hidden=True)
@click.option("--dry-run", is_flag=True, help="Show what the command would change, without changing it.")
@click.pass_context
def composer(ctx: click.Context, /, **options: Any) -> None:
    """Run Compose projects on a built-in container runtime or on Docker Engine."""
    context: Context = ctx.obj
    _rename(options)
    context.settings = Settings(
        **{**options, "progress": "auto", "ansi": "auto"}
    )  # says which env file is read
    configured = context.configured if ctx.invoked_subcommand not in UNCONFIGURED else _unconfigured
    for name in ("progress", "ansi"):
        value = options[name] or context.variable(f"COMPOSE_{name.upper()}")
        options[name] = value or configured(name) or "auto"
    if options["parallel"] is None:
        limit = context.variable("COMPOSE_PARALLEL_LIMIT") or ""
        is_number = limit.isascii() and limit.isdigit()
        options["parallel"] = int(limit) if is_number else configured("parallel")
    if options["parallel"] is not None and options["parallel"] < 1:
        options["parallel"] = None  # Docker Compose's -1: no limit
    context.settings = Settings(**options)


def _rename(options: dict[str, Any]) -> None:
    """Put what Docker Compose's hidden options say under today's names."""
    options["debug"] |= options.pop("verbose")
    directory = options.pop("workdir")
    options["directory"] = options["directory"] or directory
    if options.pop("no_ansi"):
        options["ansi"] = options["ansi"] or "never"


def _unconfigured(name: str) -> None:
    """Say nothing of any setting."""


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
    working_dir: str | None = None,
    connect: Connect = choice.connect,
    began: tuple[float, float] | None = None,
) -> int:
    """Run one command and return its exit code. What is not given is the process's own. ``began``: see `Context`."""
    context = Context(
        environment,
        stdin=stdin or sys.stdin,
        stdout=stdout or sys.stdout,
        stderr=stderr or sys.stderr,
        working_dir=working_dir or "/",
        connect=connect,
        began=began,
    )
    try:
        try:
            if working_dir is None:
                context.working_dir = working_directory(environment)
            if ASKS in environment:
                from composer.cli.completion import shells

                return shells.answer(environment[ASKS], context, composer)
            result = composer.main(list(arguments), prog_name="composer", standalone_mode=False, obj=context)
            context.stdout.flush()
            return result if isinstance(result, int) else 0
        finally:
            context.close()
    except BaseException as error:
        return _ended(error, context)


def _ended(error: BaseException, context: Context) -> int:
    """Say what ended the command, and return its exit code."""
    from composer.cli.report import report

    try:
        if isinstance(error, BrokenPipeError):
            return _closed_pipe()
        return report(error, context)
    except (OutputFailed, BrokenPipeError) as failure:  # of help, which is written there
        return _ended(failure, context)


def _closed_pipe() -> int:
    """Whoever read our output went away (``| head``): end quietly, and keep the interpreter from flushing into it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _CLOSED_PIPE


def main(began: tuple[float, float] | None = None) -> None:
    """Run the process's command and end the process.

    Taking the interpreter apart in order costs a fifth of a short command (15 ms of 75) and frees what the kernel
    frees anyway: so exit handlers run, output is flushed, and that is the end. The threads that are left are
    daemons, which would not be waited for either.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # in the background of a script; who sends it there means us, as with docker compose
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # whatever the locale: what a container prints goes through, if it is no UTF-8 too
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    output = streams.Output(sys.stdout, "standard output")
    sys.stdout = cast("TextIO", output)  # for click, which writes help by itself
    code = run(sys.argv[1:], os.environ, began=began)
    atexit._run_exitfuncs()
    try:
        output.flush()
    except BrokenPipeError:
        code = code or _CLOSED_PIPE
    except OutputFailed:
        code = code or 1  # it was said when it happened
    streams.Progress(sys.stderr).flush()
    os._exit(code)
