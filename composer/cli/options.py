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
    help="Grace period of a stop.",
)

index = click.option("--index", type=click.IntRange(min=1), metavar="N", help="Which replica.")

_WAITING = (
    click.option(
        "--wait", is_flag=True, help="Return when everything runs, healthy where it has a health check."
    ),
    click.option(
        "--wait-timeout",
        "wait_timeout_s",
        type=float,
        metavar="SECONDS",
        help="Give up waiting after this time.",
    ),
    click.option(
        "--wait-restarts",
        type=click.IntRange(min=1),
        default=3,
        show_default=True,
        metavar="N",
        help="Give up when a container was restarted N times.",
    ),
)


def waiting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--wait`` and how long that is."""
    for option in reversed(_WAITING):
        command = option(command)
    return command


force = click.option("-f", "--force", is_flag=True, help="Do not ask.")
label_filters = click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="label[!]=KEY[=VALUE]",
    help="Only what has this label, or has it not.",
)


def read_label_filters(given: Iterable[str]) -> list[LabelFilter]:
    """Read ``label=KEY``, ``label=KEY=VALUE`` and ``label!=…``. Raises click.BadParameter."""
    from composer.engine.wanted import LabelFilter

    found = []
    for text in given:
        word, equals, rest = text.partition("=")
        if word not in ("label", "label!") or not equals or not rest:
            raise click.BadParameter(
                f"'{text}' is neither label=KEY[=VALUE] nor label!=KEY[=VALUE]", param_hint="--filter"
            )
        key, has_value, value = rest.partition("=")
        found.append(LabelFilter(key, value if has_value else None, word == "label!"))
    return found


def refuse_dry_run(context: Context, verb: str, instead: str) -> None:
    """Refuse ``--dry-run`` where only the backend finds out what would go, by removing it. Raises ProjectError."""
    if context.settings.dry_run:
        from composer.errors import ProjectError

        raise ProjectError(
            f"{verb} cannot say beforehand what it would remove",
            hint=f"composer {instead} shows what there is",
        )


def agreed(context: Context, warning: str, *, force: bool) -> bool:
    """Say what is going to be lost, and ask. Raises ProjectError where nobody can answer."""
    if force:
        return True
    if context.stdin.isatty():
        context.stderr.write(f"WARNING! {warning}\n")
    return context.confirm("Are you sure you want to continue?")


def scale(values: Iterable[str]) -> dict[str, int]:
    """Read ``SERVICE=NUMBER``. Raises click.BadParameter."""
    found = {}
    for value in values:
        service, equals, count = value.partition("=")
        if not service or not equals or not (count.isascii() and count.isdigit()):
            raise click.BadParameter(f"'{value}' is not SERVICE=NUMBER, such as web=3", param_hint="--scale")
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
            "orphans cannot be both removed and ignored",
            hint="use --remove-orphans, or COMPOSE_IGNORE_ORPHANS, not both",
        )
    return remove, ignore


style = click.option(
    "--format",
    "style",
    default="table",
    metavar="table|json|TEMPLATE",
    help="How the list is written: a template is Go's, such as {{.Name}}.",
)
template = click.option(
    "-f", "--format", "style", metavar="json|TEMPLATE", help="How it is written: a template is Go's."
)


def moment(time_ns: int) -> str:
    """Return a time as RFC 3339 has it, to the second; empty for none."""
    from composer import dates

    return dates.utc(time_ns / 1e9) if time_ns else ""


def pairs(labels: Mapping[str, str]) -> str:
    """Return labels as Docker's lists show them."""
    return ",".join(f"{key}={value}" for key, value in labels.items())


def mapping(given: tuple[str, ...]) -> dict[str, str]:
    """Return ``KEY=VALUE`` pairs as a mapping; a bare key has an empty value."""
    return dict(entry.partition("=")[::2] for entry in given)


def label_of(labels: Mapping[str, str]) -> Callable[[str], str]:
    """Return the method ``.Label`` of a row."""
    return lambda name: labels.get(name, "")


def creation(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options with which containers are created: those of up, create and plan."""
    for option in reversed(
        (
            click.option(
                "--scale", "scales", multiple=True, metavar="SERVICE=N", help="Number of containers."
            ),
            click.option(
                "--force-recreate", is_flag=True, help="Replace containers that did not change too."
            ),
            click.option("--no-recreate", is_flag=True, help="Replace no container, changed or not."),
            click.option(
                "--always-recreate-deps", is_flag=True, help="With --force-recreate, dependencies too."
            ),
            click.option("--no-deps", is_flag=True, help="Leave the services that these depend on alone."),
            click.option(
                "--remove-orphans", is_flag=True, help="Remove containers of services that are gone."
            ),
            click.option(
                "-V",
                "--renew-anon-volumes",
                is_flag=True,
                help="Replace containers, with new anonymous volumes.",
            ),
            click.option(
                "--pull",
                type=click.Choice(("always", "missing", "never", "build", "policy")),
                help="When images are pulled.",
            ),
            click.option("--quiet-pull", is_flag=True, help="Do not show how far pulls are."),
            click.option("--build", is_flag=True, help="Build images before the containers are started."),
            click.option("--no-build", is_flag=True, help="Never build images."),
            click.option("-y", "--yes", is_flag=True, help="Assume yes as the answer to all questions."),
        )
    ):
        command = option(command)
    return command


def tail(text: str) -> int | None:
    if text == "all" or text.startswith("-"):
        return None
    if not (text.isascii() and text.isdigit()):
        raise click.BadParameter(f"'{text}' is not a number or 'all'", param_hint="--tail")
    return int(text)


def signal_name(text: str) -> str:
    """Return a signal's full name. Raises click.BadParameter."""
    import signal as signals

    if text.isascii() and text.isdigit():
        try:
            return signals.Signals(int(text)).name
        except ValueError:
            raise click.BadParameter(f"there is no signal {text}", param_hint="--signal") from None
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    if name not in signals.Signals.__members__:
        raise click.BadParameter(f"there is no signal '{text}'", param_hint="--signal")
    return name


def single_container(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what a container of no project is made of: options, image, command."""
    for option in reversed(
        (
            click.option("--name", metavar="NAME", help="Name of the container."),
            click.option(
                "-e", "--env", "variables", multiple=True, metavar="KEY=VALUE", help="Set a variable."
            ),
            click.option(
                "--env-file", "env_files", multiple=True, metavar="FILE", help="Set variables from a file."
            ),
            click.option(
                "-v", "--volume", "volumes", multiple=True, metavar="SOURCE:TARGET", help="Mount something."
            ),
            click.option("-p", "--publish", multiple=True, metavar="PORT", help="Publish a port."),
            click.option(
                "--network", metavar="NAME", help="Network to be in, or bridge, host, none, container:NAME."
            ),
            click.option("-l", "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Set a label."),
            click.option(
                "--entrypoint", metavar="COMMAND", help="Run this in place of the image's entrypoint."
            ),
            click.option("-u", "--user", metavar="USER", help="Run as this user."),
            click.option("-w", "--workdir", "working_dir", metavar="DIR", help="Run in this directory."),
            click.option("-h", "--hostname", metavar="NAME", help="Host name of the container."),
            click.option(
                "--restart", metavar="POLICY", help="When to start it again: no, always, on-failure[:N], …"
            ),
            click.option("-m", "--memory", metavar="SIZE", help="Most memory that it may have."),
            click.option("--cpus", type=float, metavar="N", help="How many processors it may use."),
            click.option("--cap-add", multiple=True, metavar="NAME", help="Add a capability."),
            click.option("--cap-drop", multiple=True, metavar="NAME", help="Take a capability away."),
            click.option("--init", is_flag=True, help="Run an init that reaps processes."),
            click.option("--privileged", is_flag=True, help="Give it all capabilities and devices."),
            click.option("--read-only", is_flag=True, help="Make its root file system read-only."),
            click.option("-t", "--tty", is_flag=True, help="Give it a terminal."),
            click.option("-i", "--interactive", is_flag=True, help="Give it our input."),
            click.option(
                "--pull",
                type=click.Choice(("missing", "always", "never")),
                default="missing",
                help="When to pull.",
            ),
            click.argument("image"),
            click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND] [ARG]..."),
        )
    ):
        command = option(command)
    return command
