"""``composer serve``: Docker's REST API in front of the built-in runtime."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from composer.api.http.front import Listener
    from composer.cli.context import Context

_TRUST = "whoever can connect to it controls this machine like its root user"


@click.command(
    name="serve",
    help="Serve Docker's REST API for the containers of the built-in runtime, until interrupted.",
    epilog="Whoever can connect controls this machine like its root user.",
)
@click.option(
    "--socket", "path", metavar="PATH", help="Listen at this Unix socket. Default: see composer context."
)
@click.option("--group", metavar="NAME", help="Let this group connect to the Unix socket.")
@click.option(
    "--tcp",
    "address",
    metavar="HOST:PORT",
    help="Also listen at this address, for clients with a certificate.",
)
@click.option("--tls-ca", metavar="FILE", help="Accept client certificates of this authority (PEM).")
@click.option("--tls-cert", metavar="FILE", help="Present this certificate to clients (PEM).")
@click.option("--tls-key", metavar="FILE", help="Use this private key of the certificate (PEM).")
@click.option(
    "--fd", "inherits", is_flag=True, help="Listen at the sockets that systemd passes, and at no other."
)
@click.option(
    "--idle-exit",
    "idle_exit_s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Exit when no client has been connected for this time.",
)
@click.option("--log-requests", is_flag=True, help="Log every request, not only those that change something.")
@click.option(
    "--print-units", is_flag=True, help="Print systemd units that start the server on demand, and exit."
)
@click.pass_obj
def command(context: Context, /, **given: Any) -> None:
    from composer.api import serving
    from composer.api.world import Settings
    from composer.cli.booting import serving as places
    from composer.runtime.base import state

    path = given["path"] or places.socket_path(context.environment)
    if given["print_units"]:
        context.write(places.units(path, given["group"]))
        return
    listeners, names = _listeners(context, path, given)
    settings = Settings(state.paths_of(context.environment), context.environment)
    context.stderr.write(f"Serving Docker's API at {' and '.join(names)}: {_TRUST}\n")
    context.stderr.flush()
    try:
        serving.serve(
            settings,
            listeners,
            _log(context),
            idle_exit_s=given["idle_exit_s"],
            verbose=given["log_requests"],
        )
    finally:
        if not given["inherits"]:
            from composer.api.http import listening

            listening.forget(path, listeners[0])


def _log(context: Context) -> Any:
    def log(text: str) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        context.stderr.write(f"{moment}Z {text}\n")
        context.stderr.flush()

    return log


def _listeners(context: Context, path: str, given: dict[str, Any]) -> tuple[list[Listener], list[str]]:
    from composer import state_root
    from composer.api.http import listening
    from composer.cli.booting import serving as places

    if given["inherits"]:
        found = listening.inherited(
            context.environment.get("LISTEN_FDS", ""), context.environment.get("LISTEN_PID", "")
        )
        return found, ["the sockets of systemd"]
    secure = {name: given[f"tls_{name}"] for name in ("ca", "cert", "key")}
    if given["address"] and not all(secure.values()):
        raise click.UsageError(
            "--tcp needs --tls-ca, --tls-cert and --tls-key: without certificates anybody on the network "
            "would control this machine"
        )
    if any(secure.values()) and not given["address"]:
        raise click.UsageError("--tls-ca, --tls-cert and --tls-key are for --tcp")
    own = state_root.find(context.environment).run
    found = [listening.unix(path, group=places.group_id(given["group"]), own=own)]
    names = [f"unix://{path}"]
    if given["address"]:
        places_of = (os.path.join(context.working_dir, secure[name]) for name in ("ca", "cert", "key"))
        found.append(listening.tcp(given["address"], listening.Certificates(*places_of)))
        names.append(f"tcp://{given['address']}")
    return found, names
