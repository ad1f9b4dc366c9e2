"""``composer login`` and ``logout``: credentials for registries, where Docker keeps them. They need no backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from composer.errors import LoginFailed

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.registry.credentials import Credentials
    from composer.registry.settings import Settings

_UNENCRYPTED = (
    "Your credentials are stored unencrypted in '{path}'.\n"
    "Configure a credential helper to remove this warning. See\n"
    "https://docs.docker.com/go/credential-store/"
)


@click.command(name="login", help="Log in to a registry: Docker Hub, if no server is given.")
@click.option("-u", "--username", metavar="NAME", help="Set the user name.")
@click.option("-p", "--password", metavar="PASSWORD", help="Set the password, or an access token.")
@click.option("--password-stdin", "from_input", is_flag=True, help="Read the password from standard input.")
@click.argument("server", required=False, metavar="[SERVER]", default="")
@click.pass_obj
def command(
    context: Context, /, server: str, username: str | None, password: str | None, from_input: bool
) -> None:
    from composer.registry import credentials, logins, settings

    host = logins.host_of(server)
    password = _password(context, username, password, from_input=from_input)
    if context.settings.dry_run:
        context.write(f"log in to {host}")
        return
    made = settings.read(context.environment)
    mine: Credentials | None = None
    if username is None and password is None:
        mine = _existing(context, made, host)
        if mine is not None:
            context.write("Login Succeeded")
            return
    mine = credentials.Credentials(*_asked(context, username, password))
    accepted = _checked(made, host, mine)
    kept = logins.keep(context.environment, host, accepted)
    if not kept.helper:
        context.stderr.write(f"\nWARNING! {_UNENCRYPTED.format(path=kept.path)}\n\n")
    context.write("Login Succeeded")


def _password(
    context: Context, username: str | None, password: str | None, *, from_input: bool
) -> str | None:
    """Return the password that was given, in whatever way."""
    if password is not None:
        context.stderr.write("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n")
        if from_input:
            raise click.UsageError("--password and --password-stdin are mutually exclusive")
    if not from_input:
        return password
    if not username:
        raise click.UsageError("--password-stdin needs --username")
    found = context.stdin.read().removesuffix("\n").removesuffix("\r")
    if not found:
        raise LoginFailed("password is empty", hint="write it to standard input")
    return found


def _existing(context: Context, made: Settings, host: str) -> Credentials | None:
    """Return the credentials that are kept already, if the registry still accepts them."""
    from composer.registry import credentials

    found = credentials.find(made.docker, made.environment, host)
    if not found:
        return None
    context.stderr.write(
        f"Authenticating with existing credentials... [Username: {found.username or '<token>'}]\n\n"
    )
    try:
        return _checked(made, host, found)
    except LoginFailed as error:
        context.stderr.write(f"Login did not succeed, error: {error}\n")
        return None


def _checked(made: Settings, host: str, mine: Credentials) -> Credentials:
    from composer.registry import logins
    from composer.registry.transport import Transport

    transport = Transport(made)
    try:
        return logins.check(made, transport, host, mine)
    finally:
        transport.close()


def _asked(context: Context, username: str | None, password: str | None) -> tuple[str, str]:
    """Ask for what was not given. Raises LoginFailed."""
    if (not username or password is None) and not context.stdin.isatty():
        raise LoginFailed(
            "cannot perform an interactive login from a non TTY device",
            hint="use --username with --password-stdin",
        )
    if not username:
        username = _line(context, "Username: ")
        if not username:
            raise LoginFailed("username is required")
    if password is None:
        password = _hidden(context, "Password: ")
    if not password:
        raise LoginFailed("password is required")
    if ":" in username:
        raise LoginFailed(f"invalid username '{username}': a colon ends it in HTTP's basic authentication")
    return username, password


def _line(context: Context, prompt: str) -> str:
    context.stderr.write(prompt)
    context.stderr.flush()
    return context.stdin.readline().strip()


def _hidden(context: Context, prompt: str) -> str:
    """Read a line that the terminal does not show."""
    import io
    import termios

    try:
        terminal = context.stdin.fileno()
        before = termios.tcgetattr(terminal)
    except (OSError, io.UnsupportedOperation, termios.error):
        return _line(context, prompt)
    quiet = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, quiet)
        context.stderr.write(prompt)
        context.stderr.flush()
        return context.stdin.readline().removesuffix("\n")
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
        context.stderr.write("\n")


@click.command(name="logout", help="Log out from a registry: Docker Hub, if no server is given.")
@click.argument("server", required=False, metavar="[SERVER]", default="")
@click.pass_obj
def logout(context: Context, /, server: str) -> None:
    from composer.registry import credentials, logins

    host = logins.host_of(server)
    shown = credentials.server_of(host)
    if context.settings.dry_run:
        context.write(f"log out from {host}")
        return
    context.write(f"Removing login credentials for {shown}")
    complaint = logins.forget(context.environment, host)
    if complaint:
        context.stderr.write(f"WARNING: could not erase credentials:\n{shown}: {complaint}\n")
