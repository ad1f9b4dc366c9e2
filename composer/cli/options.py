"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from composer.cli.context import Context
    from composer.engine.wanted import LabelFilter


class _Seconds(click.FloatRange):
    name = "number of seconds"  # errors say what is expected


services = click.argument("services", nargs=-1, metavar="[SERVICE]...")
timeout = click.option(
    "-t",
    "--timeout",
    "timeout_s",
    type=_Seconds(min=0),
    metavar="SECONDS",
    help="Wait this long for containers to stop before they are killed.",
)

index = click.option(
    "--index", type=click.IntRange(min=1), metavar="N", help="Select the replica with this number."
)

_WAITING = (
    click.option(
        "--wait",
        is_flag=True,
        help="Wait until the services are running or healthy. With up, implies --detach.",
    ),
    click.option(
        "--wait-timeout",
        "wait_timeout_s",
        type=float,
        metavar="SECONDS",
        help="Limit the time that --wait waits.",
    ),
    click.option(
        "--wait-restarts",
        type=click.IntRange(min=1),
        default=3,
        show_default=True,
        metavar="N",
        help="With --wait, fail if a container was restarted N times.",
    ),
)


def waiting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--wait`` and how long that is."""
    for option in reversed(_WAITING):
        command = option(command)
    return command


force = click.option("-f", "--force", is_flag=True, help="Do not ask for confirmation.")
label_filters = click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="label[!]=KEY[=VALUE]",
    help="Select only objects with this label, or, with !=, without it.",
)


def without_effect(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Accept Docker Compose's hidden flags that change nothing there either."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            command = click.option(*name.split(), is_flag=True, hidden=True, expose_value=False)(command)
        return command

    return add


def read_label_filters(given: Iterable[str]) -> list[LabelFilter]:
    """Read ``label=KEY``, ``label=KEY=VALUE`` and ``label!=…``. Raises click.BadParameter."""
    from composer.engine.wanted import LabelFilter

    found = []
    for text in given:
        word, equals, rest = text.partition("=")
        if word not in ("label", "label!") or not equals or not rest:
            raise click.BadParameter(
                f"'{text}' must be label=KEY[=VALUE] or label!=KEY[=VALUE]",
                param_hint="--filter",
            )
        key, has_value, value = rest.partition("=")
        found.append(LabelFilter(key, value if has_value else None, word == "label!"))
    return found


def refuse_dry_run(context: Context, verb: str, instead: str) -> None:
    """Refuse ``--dry-run`` where only the backend finds out what would go, by removing it. Raises ProjectError."""
    if context.settings.dry_run:
        from composer.errors import ProjectError

        raise ProjectError(
            f"--dry-run is not supported by {verb}",
            hint=f"list what exists with composer {instead}",
        )


def agreed(context: Context, warning: str, *, force: bool) -> bool:
    """Say what is going to be lost, and ask. Raises ProjectError where nobody can answer."""
    if force:
        return True
    if context.stdin.isatty():
        context.stderr.write(f"WARNING! {warning}\n")
    return context.confirm("Are you sure you want to continue?")


def scale(values: Iterable[str]) -> dict[str, int]:
    """Read ``SERVICE=NUMBER``. Raises ProjectError."""
    from composer.errors import ProjectError

    found = {}
    for value in values:
        service, equals, count = value.partition("=")
        if not service or not equals or not (count.isascii() and count.isdigit()):
            raise ProjectError(f"invalid scale specifier: {value}", hint="use SERVICE=NUMBER, such as web=3")
        found[service] = int(count)
    return found


def check_services(project_services: Iterable[str], disabled: Iterable[str], names: Iterable[str]) -> None:
    """Raise UnknownService for a name that the project does not have, with the nearest that it has."""
    from composer.errors import no_such_service

    known = {*project_services, *disabled}
    for name in names:
        if name not in known:
            raise no_such_service(name, known)


def orphans(context: Context, remove: bool) -> tuple[bool, bool]:
    """Return whether orphans are removed, and whether they are passed over in silence."""
    from composer.errors import ProjectError

    remove = remove or context.flag("COMPOSE_REMOVE_ORPHANS")
    ignore = context.flag("COMPOSE_IGNORE_ORPHANS")
    if remove and ignore:
        raise ProjectError(
            "cannot combine COMPOSE_IGNORE_ORPHANS and --remove-orphans",
            hint="unset COMPOSE_IGNORE_ORPHANS, or leave out --remove-orphans and COMPOSE_REMOVE_ORPHANS",
        )
    return remove, ignore


def styled(default: str | None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return ``--format`` of a list; None where the command has to know that it was not given."""
    return click.option(
        "--format",
        "style",
        default=default,
        metavar="table|json|TEMPLATE",
        help="Set the output format: table, json, or a Go template such as {{.Name}}.",
    )


style = styled("table")
template = click.option(
    "-f", "--format", "style", metavar="json|TEMPLATE", help="Set the output format: json, or a Go template."
)


def moment(time_ns: int) -> str:
    """Return a time as RFC 3339 has it, to the second; empty for none."""
    from composer import dates

    return dates.utc(time_ns / 1e9) if time_ns else ""


def pairs(labels: Mapping[str, str]) -> str:
    """Return labels as Docker's lists show them."""
    return ",".join(f"{key}={value}" for key, value in labels.items())


def mapping(given: tuple[str, ...]) -> dict[str, str]:
    """Return ``KEY=VALUE`` pairs as a mapping; a bare key has an empty value. Raises click.BadParameter."""
    return dict(pair(entry)[::2] for entry in given)


def pair(text: str) -> tuple[str, str, str]:
    """Return the key, ``=`` and the value of ``KEY=VALUE``, or a bare key. Raises click.BadParameter."""
    key, equals, value = text.partition("=")
    if not key:
        raise click.BadParameter(f"invalid key-value pair '{text}': empty key")
    return key, equals, value


def label_of(labels: Mapping[str, str]) -> Callable[[str], str]:
    """Return the method ``.Label`` of a row."""
    return lambda name: labels.get(name, "")


def _added(*options: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what adds options to a command, in their order."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


USAGE = "Show a live view of the resource usage of containers, updated every second until Ctrl-C."
usage = _added(
    click.option("-a", "--all", "everything", is_flag=True, help="Also show stopped containers."),
    click.option("--no-stream", is_flag=True, help="Print the usage once and exit."),
    click.option("--no-trunc", is_flag=True, help="Do not truncate IDs."),
    style,
)
changes = click.option(
    "-c",
    "--change",
    "changes",
    multiple=True,
    metavar="INSTRUCTION",
    help='Apply a Dockerfile instruction, such as CMD ["/bin/sh"].',
)
commit = _added(
    click.option("-a", "--author", default="", metavar="TEXT", help="Set the author of the image."),
    changes,
    click.option("-m", "--message", default="", metavar="TEXT", help="Set the commit message."),
    click.option(
        "-p", "--pause/--no-pause", default=True, help="Pause the container during the commit (default: yes)."
    ),
)
creation = _added(
    click.option(
        "--scale",
        "scales",
        multiple=True,
        metavar="SERVICE=N",
        help="Run N containers of SERVICE, regardless of the compose file.",
    ),
    click.option(
        "--force-recreate",
        is_flag=True,
        help="Recreate containers even if their configuration and image are unchanged.",
    ),
    click.option(
        "--no-recreate",
        is_flag=True,
        help="Do not recreate existing containers, even if they changed.",
    ),
    click.option(
        "--always-recreate-deps",
        is_flag=True,
        help="With --force-recreate, also recreate dependencies.",
    ),
    click.option("--no-deps", is_flag=True, help="Do not create or start the dependencies of the services."),
    click.option(
        "--remove-orphans",
        is_flag=True,
        help="Remove containers of services that the compose file does not define.",
    ),
    click.option(
        "-V",
        "--renew-anon-volumes",
        is_flag=True,
        help="Recreate containers with new, empty anonymous volumes.",
    ),
    click.option(
        "--pull",
        type=click.Choice(("always", "missing", "never", "build", "policy")),
        help="Set when images are pulled.",
    ),
    click.option("--quiet-pull", is_flag=True, help="Do not show the progress of pulls."),
    click.option("--build", is_flag=True, help="Build images before containers are started."),
    click.option("--no-build", is_flag=True, help="Never build images."),
    click.option("-y", "--yes", is_flag=True, help="Answer all prompts with yes."),
)
"""The options with which containers are created: those of up, create and plan."""


def tail(text: str) -> int | None:
    if text == "all" or text.startswith("-"):
        return None
    if not (text.isascii() and text.isdigit()):
        raise click.BadParameter(f"'{text}' must be a number or all", param_hint="--tail")
    return int(text)


def signal_name(text: str) -> str:
    """Return a signal's full name. Raises click.BadParameter."""
    import signal as signals

    if text.isascii() and text.isdigit():
        try:
            return signals.Signals(int(text)).name
        except ValueError:
            raise click.BadParameter(f"unknown signal '{text}'", param_hint="--signal") from None
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    if name not in signals.Signals.__members__:
        raise click.BadParameter(f"unknown signal '{text}'", param_hint="--signal")
    return name
