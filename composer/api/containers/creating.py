"""`POST /containers/create`."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

from composer import errors
from composer.api.containers import beyond, places, processors, wishes
from composer.api.http.problems import Problem
from composer.api.models import containers as models
from composer.api.models.base import body_of
from composer.api.world import owner_of
from composer.backends.namespace import translate
from composer.engine.wanted import ContainerSpec
from composer.patterns import pattern
from composer.registry import platforms
from composer.runtime.base import records
from composer.runtime.images import configuration
from composer.runtime.objects import log_options, specs
from composer.runtime.objects.networks import DEFAULT_NETWORK

if TYPE_CHECKING:
    from composer.api.http.call import Call
    from composer.api.world import World
    from composer.runtime.images import Image

_NAME = pattern(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_HOSTNAME = pattern(r"[a-zA-Z0-9_.-]{1,253}", re.ASCII)
_QUALITIES = (
    "able brave calm eager fair gentle happy jolly keen lively merry noble proud quick rapid sunny witty"
)
_THINGS = (
    "anchor beacon candle falcon garden harbor island lantern meadow needle otter pebble river sparrow willow"
)
_NAME_IS_TAKEN = "already in use by container"
_OTHER_NAMES = 20


def create(call: Call) -> tuple[int, Any]:
    asked = body_of(call, models.Create)
    world = call.world
    name = _name(call)
    image = _image(world, asked, call.query.text("platform"))
    try:
        return 201, _made(world, asked, image, name)
    except (Problem, errors.NotFound) as error:
        found = error if isinstance(error, Problem) else Problem(400, _plain(error))
        # clients take 404 for an image that is not there, and pull it
        raise Problem(400 if found.status == 404 else found.status, found.message) from None


def _made(world: World, asked: models.Create, image: Image, name: str) -> dict[str, Any]:
    """Make the container, with a name of ours where it has none; return the answer. Raises Problem."""
    _check(world, asked)
    exposed = [*configuration.exposed(image.config), *(asked.ExposedPorts or {})]
    attributes = wishes.attributes_of(asked, list(dict.fromkeys(exposed)))
    warnings = _warnings(attributes)
    mode, endpoints = places.networks_of(world, asked)
    mounts = places.mounts_of(asked)
    _make_volumes(world, asked, mounts)
    if any(endpoint.network == DEFAULT_NETWORK for endpoint in endpoints):
        world.engine.networks.create(specs.Network(DEFAULT_NETWORK))
    labels = asked.Labels or {}
    owner = owner_of(labels)
    wanted = ContainerSpec(
        name=name or _free_name(world),
        project="" if owner == records.NOBODY else owner,
        service="",
        number=0,
        image=asked.Image,
        image_id=image.id,
        labels=labels,
        attributes=attributes,
        mounts=mounts,
        endpoints=endpoints,
        network_mode=mode,
        auto_remove=asked.HostConfig.AutoRemove,
    )
    spec = translate.spec_of(wanted)._replace(
        exposed=list(asked.ExposedPorts or ()), request=_request(asked), repeatable=False
    )
    spec = spec._replace(configure=beyond.configured(spec.configure, asked))
    log = asked.HostConfig.LogConfig
    if log is not None and log.Type == "none" and (asked.AttachStdout or asked.AttachStderr):
        spec = spec._replace(configure=log_options.for_clients_only(spec.configure))
    try:
        id = create_as(world, spec, is_named=bool(name))
    except errors.Conflict as error:
        raise _conflict(world, name, error) from None
    except errors.BackendError as error:
        raise Problem(400, _plain(error)) from None
    return {"Id": id, "Warnings": warnings}


def create_as(world: World, spec: specs.Container, *, is_named: bool) -> str:
    """Create a container; a name of ours that somebody took meanwhile is exchanged. Raises BackendError."""
    for _ in range(_OTHER_NAMES):
        try:
            return world.engine.containers.create(spec)
        except errors.Conflict as error:
            if is_named or _NAME_IS_TAKEN not in str(error):
                raise
        spec = spec._replace(name=_free_name(world))
    return world.engine.containers.create(spec)


def _plain(error: errors.BackendError) -> str:
    if "no command specified" in str(error):
        return "no command specified"
    before, found, name = str(error).partition("no such container: ")
    return f"No such container: {name}" if found else before


def _conflict(world: World, name: str, error: errors.Conflict) -> Problem:
    if _NAME_IS_TAKEN not in str(error):
        return Problem(409, str(error))
    from composer.runtime.objects import naming

    holder = naming.name_holder(world.paths, name) or ""
    return Problem(
        409,
        f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
        "You have to remove (or rename) that container to be able to reuse that name.",
    )


def _name(call: Call) -> str:
    """Return the name that is asked for, if any. Raises Problem."""
    name = call.query.text("name")
    if not name:
        return ""
    if not _NAME.fullmatch(name):
        raise Problem(400, f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return name.removeprefix("/")


def _free_name(world: World) -> str:
    """Return a name that nobody has: two words, and a number where they are taken."""
    from composer.runtime.objects import naming

    chosen = random.SystemRandom()
    for attempt in range(100):
        name = f"{chosen.choice(_QUALITIES.split())}_{chosen.choice(_THINGS.split())}"
        name += str(chosen.randrange(10 ** (attempt // 10))) if attempt > 4 else ""
        if naming.name_holder(world.paths, name) is None:
            return name
    return f"container_{chosen.randbytes(6).hex()}"


def _image(world: World, asked: models.Create, platform: str) -> Image:
    if not asked.Image:
        raise Problem(400, "config cannot be empty in order to create a container")
    image = world.image(asked.Image)
    if platform:
        own = platforms.Platform("linux", configuration.architecture())
        try:
            wanted = platforms.parse_platform(platform, own)
        except ValueError as error:
            raise Problem(400, f"invalid platform '{platform}': {error}") from None
        if str(wanted) != image.platform:
            raise Problem(
                404,
                f"image with reference {asked.Image} was found but its platform ({image.platform}) does not match "
                f"the specified platform ({wanted})",
            )
    return image


def _check(world: World, asked: models.Create) -> None:
    host = asked.HostConfig
    for link in host.Links or ():
        other = link.partition(":")[0]
        try:
            world.container(other)
        except Problem as problem:
            raise Problem(400, f"could not get container for {other}: {problem.message}") from None
    processors.check(host)
    if asked.Hostname and not _HOSTNAME.fullmatch(asked.Hostname):
        raise Problem(400, f"invalid hostname format: {asked.Hostname}")
    if host.AutoRemove and host.RestartPolicy is not None and host.RestartPolicy.Name not in ("", "no"):
        raise Problem(400, "can't create 'AutoRemove' container with restart policy")
    if asked.WorkingDir and not asked.WorkingDir.startswith("/"):
        raise Problem(
            400, f"the working directory '{asked.WorkingDir}' is invalid, it needs to be an absolute path"
        )
    for variable in asked.Env or ():
        if not variable or variable.startswith("="):
            raise Problem(400, f"invalid environment variable: {variable}")


def _warnings(attributes: dict[str, Any]) -> list[str]:
    """Return what will not be heeded. Raises Problem for what cannot be."""
    found = translate.limitations(attributes)
    fatal = [one for one in found if one.fatal]
    if fatal:
        place = ".".join(map(str, fatal[0].path))
        if place in _WORDS:
            section, _, name = place.partition(".")
            value = attributes[section][name] if name else attributes[section]
            raise Problem(400, _WORDS[place].format(value))
        hint = f" ({fatal[0].hint})" if fatal[0].hint else ""
        raise Problem(400, f"{place}: {fatal[0].reason}{hint}")
    return [f"{'.'.join(map(str, one.path))}: {one.reason}" for one in found]


_WORDS = {
    "logging.driver": 'error looking up logging plugin {0}: plugin "{0}" not found',
    "runtime": "unknown or invalid runtime name: {0}",
    "stop_signal": "invalid signal: {0}",
}
"""What Docker says of a value that is none of those there are, by the attribute's path."""


def _make_volumes(world: World, asked: models.Create, mounts: Any) -> None:
    """Make the volumes that are named and not there yet, with the options and labels that their mounts give."""
    given = {
        mount.Source: mount.VolumeOptions for mount in asked.HostConfig.Mounts or () if mount.Type == "volume"
    }
    for mount in mounts:
        if mount.type != "volume" or not mount.source or world.core.volumes.find(mount.source) is not None:
            continue
        options = given.get(mount.source)
        driver = options.DriverConfig if options is not None else None
        name = (driver.Name if driver is not None else "") or asked.HostConfig.VolumeDriver or "local"
        if name != "local":
            raise Problem(400, f'error looking up volume plugin {name}: plugin "{name}" not found')
        labels = (options.Labels if options is not None else None) or {}
        world.engine.volumes.create(
            specs.Volume(
                mount.source,
                labels,
                owner=owner_of(labels),
                options=(driver.Options if driver is not None else None) or {},
            )
        )


def _request(asked: models.Create) -> dict[str, Any]:
    """Return what the client said, to be shown again in its own words."""
    found = asked.model_dump(exclude_unset=True, exclude={"HostConfig", "NetworkingConfig"})
    return {
        "config": found,
        "host": asked.HostConfig.model_dump(exclude_unset=True),
        "networks": asked.NetworkingConfig.model_dump(exclude_unset=True).get("EndpointsConfig") or {},
    }
