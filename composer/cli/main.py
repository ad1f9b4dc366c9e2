"""The ``composer`` command: global options, a table of verbs, and the boundary where errors become text.

A verb's module is imported when the verb is run; ``--help`` of the group needs none of them.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
from typing import TYPE_CHECKING, Any, cast

import click

from composer import __version__
from composer.backends import choice
from composer.cli import flags, streams
from composer.cli.context import Context, Settings
from composer.cli.working_directory import working_directory
from composer.errors import OutputFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from composer.backends.choice import Connect

_CLOSED_PIPE = 141
COMMANDS: dict[str, tuple[str, str]] = {
    "apply": ("apply", "Carry out a plan that was written to a file"),
    "attach": ("attach", "Attach to a service's output and input"),
    "boot": ("boot", "Start containers again after a reboot"),
    "build": ("build", "Build the images of services"),
    "commit": ("commit", "Make an image of a container's changes"),
    "config": ("config", "Show the compose file as it is understood"),
    "container": ("container", "Manage single containers, also of no project"),
    "cp": ("cp", "Copy files between a container and this machine"),
    "create": ("create", "Create containers"),
    "doctor": ("doctor", "Check what this machine can run"),
    "down": ("down", "Stop and remove containers and networks"),
    "events": ("events", "Show what happens, as it happens"),
    "exec": ("exec", "Run a command in a running container"),
    "export": ("export", "Write a container's files to a tar archive"),
    "graph": ("graph", "Show how services depend on each other, and what runs"),
    "image": ("image", "Manage images"),
    "images": ("images", "List the images of containers"),
    "kill": ("kill", "Force stop services, or send them another signal"),
    "lint": ("lint", "Check compose files and give advice"),
    "logs": ("logs", "View output from containers"),
    "ls": ("ls", "List projects"),
    "network": ("network", "Manage networks"),
    "pause": ("pause", "Freeze services"),
    "plan": ("plan", "Show what up would do, and why"),
    "port": ("port", "Print the public port of a port"),
    "ps": ("ps", "List containers"),
    "pull": ("pull", "Pull the images of services"),
    "push": ("push", "Push the images of services"),
    "restart": ("restart", "Restart services"),
    "rm": ("rm", "Remove stopped containers"),
    "run": ("run", "Run a one-off command in a new container of a service"),
    "scale": ("scale", "Scale services"),
    "schema": ("schema", "Print the JSON Schema of what commands write and read"),
    "start": ("start", "Start services"),
    "stats": ("stats", "Show what containers use, as it changes"),
    "stop": ("stop", "Stop services"),
    "system": ("system", "Show what is kept on the disk"),
    "top": ("top", "Show the processes of containers"),
    "unpause": ("unpause", "Thaw services"),
    "up": ("up", "Create and start containers"),
    "version": ("version", "Show the version"),
    "volume": ("volume", "Manage volumes"),
    "volumes": ("volumes", "List the project's volumes"),
    "wait": ("wait", "Block until containers of services stop"),
}


UNCONFIGURED = ("boot", "schema", "version")
"""A mistake in the configuration file keeps no container from its start at boot, and none of its schema from a user."""


class Verbs(click.Group):
    """A group whose commands are named in a table and imported when they are run."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, flags.own(self, args, ctx))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        from importlib import import_module

        command: click.Command = import_module(f"composer.cli.commands.{entry[0]}").command
        if not isinstance(command, click.Group) and all(p.name != "dry_run" for p in command.params):
            command.params.append(_dry_run())
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
        if command is not None:
            rest = flags.canonical(command, rest, click.Context(command, parent=ctx, info_name=name))
        return name, command, rest


def _backend(_ctx: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    if name is not None and not choice.is_known(name):
        raise click.BadParameter(f"'{name}' is none; there are: {', '.join(choice.names())}")
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
    "-f", "--file", "files", multiple=True, metavar="FILE", help="Compose file; - is standard input."
)
@click.option("-p", "--project-name", "name", metavar="NAME", help="Name of the project.")
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Enable a profile.")
@click.option(
    "--env-file", "env_files", multiple=True, metavar="FILE", help="Environment file instead of .env."
)
@click.option(
    "--project-directory", "directory", metavar="DIR", help="Directory that relative paths start from."
)
@click.option(
    "--progress", type=click.Choice(("auto", "tty", "plain", "json", "quiet")), help="How progress is shown."
)
@click.option(
    "--ansi", type=click.Choice(("auto", "always", "never")), help="When colours and cursor control are used."
)
@click.option("--parallel", type=int, metavar="N", help="How many things are done at once.")
@click.option("--all-resources", is_flag=True, help="Include resources that no service uses.")
@click.option("--compatibility", is_flag=True, help="Name containers as Compose V1 did, with underscores.")
@click.option(
    "--backend",
    metavar="NAME",
    callback=_backend,
    help="What runs the containers: namespace, docker, or another.",
)
@click.version_option(__version__, "-v", "--version", message="Composer version v%(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.pass_context
def composer(ctx: click.Context, /, **options: Any) -> None:
    """Run Compose projects on a built-in container runtime or on Docker Engine."""
    context: Context = ctx.obj
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
) -> int:
    """Run one command and return its exit code. What is not given is the process's own."""
    context = Context(
        environment,
        stdin=stdin or sys.stdin,
        stdout=stdout or sys.stdout,
        stderr=stderr or sys.stderr,
        working_dir=working_dir or "/",
        connect=connect,
    )
    try:
        try:
            if working_dir is None:
                context.working_dir = working_directory(environment)
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


def main() -> None:
    """Run the process's command and end the process.

    Taking the interpreter apart in order costs a fifth of a short command (15 ms of 75) and frees what the kernel
    frees anyway: so exit handlers run, output is flushed, and that is the end. The threads that are left are
    daemons, which would not be waited for either.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # whatever the locale: what a container prints goes through, if it is no UTF-8 too
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    output = streams.Output(sys.stdout, "standard output")
    sys.stdout = cast("TextIO", output)  # for click, which writes help by itself
    code = run(sys.argv[1:], os.environ)
    atexit._run_exitfuncs()
    try:
        output.flush()
    except BrokenPipeError:
        code = code or _CLOSED_PIPE
    except OutputFailed:
        code = code or 1  # it was said when it happened
    streams.Progress(sys.stderr).flush()
    os._exit(code)
