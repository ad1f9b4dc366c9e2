"""``composer container run`` and ``create``: a container of no project, from options alone."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

from composer.cli import options as shared
from composer.cli.single import container_options
from composer.errors import ProjectError

if TYPE_CHECKING:
    from composer.cli.context import Context
    from composer.engine.backend import Backend
    from composer.engine.wanted import ContainerSpec

_MODES = ("bridge", "host", "none")
_VALUES = {
    "user": "user",
    "working_dir": "working_dir",
    "hostname": "hostname",
    "restart": "restart",
    "memory": "mem_limit",
    "cpus": "cpus",
}
"""Options with a value, and the service's attributes that mean the same."""
_FLAGS = {"init": "init", "privileged": "privileged", "read_only": "read_only"}
_LISTS = {"cap_add": "cap_add", "cap_drop": "cap_drop"}


def create(context: Context, image: str, words: tuple[str, ...], given: dict[str, Any]) -> str:
    """Create the container and return its id; its image is pulled where it is not there."""
    from composer.session.session import NOBODY

    spec = spec_of(context, image, words, given)
    with context.lock(NOBODY, "container create"):
        backend = context.backend()
        if context.settings.dry_run:
            context.write(f"create container {spec.name}")
            return ""
        backend.recover(NOBODY)
        _check(backend, spec)
        if given["pull"] == "always" or (given["pull"] != "never" and backend.find_image(image) is None):
            backend.pull_image(image)
        return backend.create_container(spec)


def run(context: Context, image: str, words: tuple[str, ...], given: dict[str, Any]) -> int:
    """Create it, start it, and stay with it to its end; with ``--detach`` print its id."""
    from composer.cli.terminal import run_created

    id = create(context, image, words, given)
    if context.settings.dry_run:
        return 0
    return run_created(context, id, given, tty=given["tty"])


def spec_of(context: Context, image: str, words: tuple[str, ...], given: dict[str, Any]) -> ContainerSpec:
    """Return what the backend is asked to create. Raises click.BadParameter, or ProjectError."""
    from composer.engine.wanted import ContainerSpec, EndpointSpec

    network = given["network"] or "bridge"
    is_mode = network in _MODES or network.startswith("container:")
    labels = shared.mapping(given["labels"])
    name = given["name"] or f"container-{os.urandom(6).hex()}"
    return ContainerSpec(
        name=name,
        project="",
        service="",
        number=0,
        image=image,
        labels=labels,
        attributes=_attributes(context, words, given),
        mounts=tuple(container_options.mount(context, text, lambda _: None) for text in given["volumes"]),
        endpoints=() if is_mode else (EndpointSpec(network, (name,)),),
        network_mode=network if is_mode else None,
        auto_remove=given["detach"] and given["remove"],
    )


def _attributes(context: Context, words: tuple[str, ...], given: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"tty": given["tty"], "stdin_open": given["interactive"]}
    if words:
        found["command"] = list(words)
    if given["entrypoint"] is not None:
        found["entrypoint"] = shlex.split(given["entrypoint"])
    found |= {name: given[option] for option, name in _VALUES.items() if given[option] is not None}
    found |= {name: True for option, name in _FLAGS.items() if given[option]}
    found |= {name: list(given[option]) for option, name in _LISTS.items() if given[option]}
    variables = {
        **container_options.file_variables(context, given["env_files"]),
        **container_options.variables(context.environment, given["variables"]),
    }
    if variables:
        found["environment"] = variables
    published = [port for text in given["publish"] for port in container_options.ports(text)]
    if published:
        found["ports"] = published
    return found


def _check(backend: Backend, spec: ContainerSpec) -> None:
    """Raise ProjectError for what the backend cannot do, before anything is made."""
    wrong = [one for one in backend.limitations(spec.attributes) if one.fatal]
    if wrong:
        place = ".".join(map(str, wrong[0].path))
        raise ProjectError(f"{place}: {wrong[0].reason}", hint=wrong[0].hint)
