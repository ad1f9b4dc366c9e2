"""The configuration hashes that Compose writes into labels, from canonical trees.

A hash is the SHA-256 of what Go's encoding/json prints for the struct: fields in the struct's order (which is the
tree's), maps sorted, ``<``, ``>`` and ``&`` escaped. A stack that docker compose started is recognised by it, and
the reverse. What versions of docker compose print differently is a `Form`, and `FORMS` has all of them.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from composer.patterns import pattern
from composer.schema.render import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    Version = tuple[int, int, int]

_NOT_HASHED = frozenset({"build", "pull_policy", "scale", "depends_on", "profiles"})
"""What changes how a service is made or found, but not its containers."""


class Form(NamedTuple):
    """How versions of docker compose, from ``since`` to the next form, print services and networks for their hashes.

    ``host_path`` maps what a file says of ``bind.create_host_path`` (true, false, or nothing) to what is printed of it,
    which may be nothing. ``ipam_options`` of networks are printed or not. ``later`` attributes are those that came when
    the order of the others had been fixed: they are printed last, and not at all before.
    """

    name: str
    since: Version
    host_path: Mapping[bool | None, bool | None]
    ipam_options: bool = False
    later: tuple[str, ...] = ()


_IF_TRUE = {True: True, False: None, None: None}
_UNLESS_TRUE = {True: None, False: False, None: False}
_IF_FALSE = {True: None, False: False, None: None}

V2 = Form("2.40", (2, 0, 0), _IF_TRUE)
V5 = Form("5.5", (5, 2, 0), _IF_FALSE, ipam_options=True)
FORMS = (
    V2,
    Form("5.0", (5, 0, 0), _UNLESS_TRUE),
    Form("5.1", (5, 0, 2), _IF_FALSE),
    V5,
    Form("5.6", (5, 6, 0), _IF_FALSE, ipam_options=True, later=("pull_refresh_after", "umask")),
)
"""Oldest first. ``name`` is a version that a form was compared with."""

DEFAULT = V5
"""The form of what composer makes where no docker compose was seen."""

_LATER = FORMS[-1].later
_BIND = ("selinux", "propagation", "create_host_path", "recursive")
_VERSION = pattern(r"v?([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})")


def version_of(text: str) -> Version | None:
    """Return the number at the start of a version such as ``v5.5.0-rc.1``; None where there is none."""
    found = _VERSION.match(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def form_of(version: Version) -> Form | None:
    """Return the form that a version of docker compose prints; None for one before version 2, which had its own."""
    return next((form for form in reversed(FORMS) if form.since <= version), None)


def named(name: str) -> Form | None:
    """Return the form of a name; None for one that only another version of composer knows."""
    return next((form for form in FORMS if form.name == name), None)


def service_hash(service: Mapping[str, Any], form: Form = DEFAULT) -> str:
    """Return the hash of a service: of its canonical tree with environment files merged in.

    That is the hash of labels. Of a tree with ``env_file`` in it (``--no-env-resolution``) it is what ``docker compose
    config --hash`` of 2.40 prints, which never reads env files and so does not agree with its own labels; nor does it
    where there is a ``label_file``, which only ``up`` of 2.40 leaves in its place.
    """
    kept = {key: value for key, value in service.items() if key not in _NOT_HASHED}
    if "env_file" in kept:
        kept["env_file"] = [one["path"] if one["required"] else one for one in kept["env_file"]]
    deploy = kept.get("deploy")
    if deploy and "replicas" in deploy:
        kept["deploy"] = {key: value for key, value in deploy.items() if key != "replicas"}
    return _digest(in_form(kept, form))


def in_form(service: Mapping[str, Any], form: Form) -> Mapping[str, Any]:
    """Return a canonical service as versions of a form print it."""
    printed = {key: value for key, value in service.items() if key not in _LATER}
    if printed.get("volumes"):
        printed["volumes"] = [_mount(mount, form) for mount in printed["volumes"]]
    return {**printed, **{key: service[key] for key in form.later if key in service}}


def _mount(mount: Mapping[str, Any], form: Form) -> Mapping[str, Any]:
    bind = mount.get("bind")
    if bind is None:
        return mount
    values = {**bind, "create_host_path": form.host_path[bind.get("create_host_path")]}
    return {**mount, "bind": {key: values[key] for key in _BIND if values.get(key) is not None}}


def network_hash(network: Mapping[str, Any], form: Form = DEFAULT) -> str:
    """Return the hash of a network."""
    ipam = network.get("ipam") or {}
    if "options" in ipam and not form.ipam_options:
        network = {**network, "ipam": {key: value for key, value in ipam.items() if key != "options"}}
    return _digest(network)


def volume_hash(volume: Mapping[str, Any]) -> str:
    """Return the hash of a volume, the same in all versions; the driver counts as ``local`` when none is written."""
    if volume.get("driver"):
        return _digest(volume)
    ordered: dict[str, Any] = {}
    if "name" in volume:
        ordered["name"] = volume["name"]
    ordered["driver"] = "local"
    ordered.update({key: value for key, value in volume.items() if key != "name"})
    return _digest(ordered)


def _digest(value: Mapping[str, Any]) -> str:
    return sha256(to_json(value, None).encode("utf-8", "surrogatepass")).hexdigest()
