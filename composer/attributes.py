"""Every attribute of the specification, and who honours it: one table, with a column for each backend.

`ENGINE` has what the loader and the engine do, the same on every backend. A backend brings its column: a mapping from
paths to verdicts of what is left. `verdict` joins the two, `faults` says what a column lacks. A path is the kind of
the entry and the names below it, ``service.deploy.resources.limits.cpus``; ``*`` is a key that the user chooses, and
positions in lists are left out. docs/attributes.md is made from this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Made = dict[str, Any]
    Apply = Callable[[Made, Any], None]

Probe = TypeVar("Probe")
"""A function from a value, and what else a backend must know, to a list of limitations."""


_PLACES = "only supported by Swarm"
_RESERVES = "only supported by Swarm: resources are not reserved on a single machine"
UNHEEDED: dict[tuple[str, ...], str] = {
    (
        "endpoint_mode",
    ): "only supported by Swarm: the service name resolves to the addresses of all its containers",
    ("labels",): "only supported by Swarm: use labels for the labels of containers",
    ("placement", "constraints"): _PLACES,
    ("placement", "preferences"): _PLACES,
    ("placement", "max_replicas_per_node"): _PLACES,
    ("resources", "reservations", "cpus"): _RESERVES,
    ("resources", "reservations", "generic_resources"): _RESERVES,
    ("restart_policy", "delay"): "ignored: the restart delay starts at 100 ms and increases",
    ("restart_policy", "window"): "ignored: every restart counts, regardless of how long the container ran",
}
"""What ``deploy`` asks of a cluster, or of one machine in a way that none has: on every backend a warning.

Paths below ``deploy``, and the ends of sentences.
"""


class Verdict(NamedTuple):
    """What is done with an attribute, in words. ``whole``: that is so of everything inside of it, too.

    ``free``: a container that runs is not concerned when it changes.
    """

    text: str
    whole: bool = False
    free: bool = False


YES = Verdict("yes")
BY_ENGINE = Verdict("composer")
FREE = Verdict("composer", free=True)


def partly(text: str) -> Verdict:
    """Return the verdict on what is honoured for some values only."""
    return Verdict(text)


def refused(reason: str) -> Verdict:
    """Return the verdict on what stops ``up`` before anything is created."""
    return Verdict(f"no: {reason}", whole=True)


def warned(reason: str) -> Verdict:
    """Return the verdict on what is said to have no effect, with its place, whenever it is written."""
    return Verdict(f"warning: {reason}", whole=True)


def no_effect(reason: str = "", *, free: bool = False) -> Verdict:
    """Return the verdict on what changes nothing, and need not: it is for other tools or other machines."""
    return Verdict(f"no effect: {reason}" if reason else "no effect", whole=True, free=free)


def inside(path: str, verdict: Verdict, names: str) -> dict[str, Verdict]:
    """Return the same verdict on several attributes below ``path``; names are separated by spaces."""
    return {f"{path}.{name}": verdict for name in names.split()}


_UPDATE = "delay failure_action max_failure_ratio monitor order parallelism"
_HOOK = "command environment privileged user working_dir"
_GRANT = "gid mode source target uid"
_SWARM = no_effect("only supported by Swarm")

ENGINE: dict[str, Verdict] = {
    # one line for each attribute that no backend has to know; here it is what the loader or the engine does
    **inside(
        "service",
        BY_ENGINE,
        "configs container_name env_file extends external_links image label_file labels links network_mode networks "
        "post_start pre_start pre_stop secrets tmpfs volumes",
    ),
    **inside("service", FREE, "attach depends_on profiles pull_policy scale"),
    "service.pull_refresh_after": no_effect("docker compose ignores it too"),
    "service.develop": FREE,
    **inside("service.develop.watch", BY_ENGINE, "action ignore include initial_sync path target"),
    **inside("service.develop.watch.exec", BY_ENGINE, _HOOK),
    "service.provider": BY_ENGINE,
    **inside("service.provider", BY_ENGINE, "options type"),
    "service.models": BY_ENGINE,
    **inside("service.models.*", BY_ENGINE, "endpoint_var model_var"),
    **inside("service.configs", BY_ENGINE, _GRANT),
    **inside("service.depends_on.*", BY_ENGINE, "condition required restart"),
    "service.deploy.replicas": FREE,
    **inside("service.deploy.update_config", BY_ENGINE, _UPDATE),
    **inside("service.deploy.rollback_config", BY_ENGINE, _UPDATE),
    **{f"service.deploy.{'.'.join(path)}": warned(reason) for path, reason in UNHEEDED.items()},
    **inside("service.env_file", BY_ENGINE, "format path required"),
    **inside("service.extends", BY_ENGINE, "file service"),
    **inside("service.networks.*", BY_ENGINE, "aliases priority use_service_name_alias"),
    **inside("service.ports", no_effect(), "name app_protocol"),
    "service.ports.mode": _SWARM,
    **inside("service.post_start", BY_ENGINE, _HOOK),
    "service.pre_start.per_replica": BY_ENGINE,
    **inside("service.pre_stop", BY_ENGINE, _HOOK),
    **inside("service.secrets", BY_ENGINE, _GRANT),
    **inside("network", BY_ENGINE, "name external external.name"),
    "network.attachable": _SWARM,
    **inside("volume", BY_ENGINE, "name external external.name"),
    **inside("config", BY_ENGINE, "name content environment file"),
    "config.external": refused("external configs are not supported"),
    **inside("config", _SWARM, "labels template_driver"),
    **inside("secret", BY_ENGINE, "name environment file"),
    "secret.external": refused("external secrets are not supported"),
    **inside("secret", _SWARM, "labels driver driver_opts template_driver"),
}

_SERVICE = "service."
_HOOKS = "service.pre_start."

ENGINE_NAMES = frozenset(
    name for path in ENGINE if path.startswith(_SERVICE) and "." not in (name := path[len(_SERVICE) :])
)
"""The attributes of a service that a backend may leave alone: they reach it as names, mounts, endpoints and files."""

NOT_IN_CONTAINERS = frozenset(
    path[len(_SERVICE) :] for path, one in ENGINE.items() if one.free and path.startswith(_SERVICE)
) | {"build"}
"""What of a service does not concern a container that runs: Docker Compose's list, and two for tools."""


def verdict(column: Mapping[str, Verdict], path: str) -> Verdict | None:
    """Return what is done with an attribute on the backend of this column; None where nobody says."""
    found = column.get(path) or ENGINE.get(path)
    if found is not None:
        return found
    if path.startswith(_HOOKS):
        # the container of a hook is the service's, but for what the hook says
        return verdict(column, _SERVICE + path.removeprefix(_HOOKS))
    above = path
    while "." in above:
        above = above.rpartition(".")[0]
        found = column.get(above) or ENGINE.get(above)
        if found is not None and found.whole:
            return found
    return None


def faults(column: Mapping[str, Verdict], leaves: Iterable[str], nodes: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with a column, a sentence each.

    ``leaves`` are the paths of the specification that have nothing inside, ``nodes`` all of them.
    """
    known = frozenset(nodes)
    for path in sorted(leaves):
        if verdict(column, path) is None:
            yield f"{path}: no verdict for this attribute"
    for path in sorted(column.keys() | ENGINE.keys()):
        if path not in known:
            yield f"{path}: unknown attribute"
    for path in sorted(column.keys() & ENGINE.keys()):
        if column[path].text == ENGINE[path].text:
            yield f"{path}: same verdict as for all backends"


# ------------------------------------------------------------------ rows of a backend's own table


def nothing(made: Made, value: Any) -> None:
    """Read elsewhere, or only its limitation counts: that the attribute has a row is enough."""


class Row(NamedTuple, Generic[Probe]):
    """How an attribute of a service gets into what a backend makes of it, and what it cannot do.

    ``probe`` says what cannot be done of a value, and ``part`` then what can be done, for people. ``refusal`` is the
    reason why nothing can be done of it, and a hint.
    """

    apply: Apply = nothing
    probe: Probe | None = None
    part: str = ""
    refusal: tuple[str, str] | None = None

    @property
    def verdict(self) -> Verdict:
        if self.refusal is not None:
            return refused(self.refusal[0])
        return partly(self.part) if self.part else YES


def refused_row(reason: str, hint: str) -> Row[Any]:
    """Return the row of what is refused, whatever its value; what is as good as not written is let pass."""
    return Row(refusal=(reason, hint))


def unheeded(deploy: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield path and reason of each of these that a service's ``deploy`` has."""
    for path, reason in UNHEEDED.items():
        if _inside(deploy, path) not in (None, "", [], {}, 0, "0s"):
            yield ("deploy", *path), reason


def _inside(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        tree = (tree or {}).get(name)
    return tree
