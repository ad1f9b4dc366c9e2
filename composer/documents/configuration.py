"""The user's configuration file, ``config.toml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from composer.documents.base import Document

BaseUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^?]*$")]


class Registry(Document):
    """How a registry is reached."""

    model_config = ConfigDict(strict=True)

    mirrors: tuple[BaseUrl, ...] = Field(
        default=(),
        strict=False,
        description="Tried in this order before the registry: https://HOST[:PORT][/PREFIX]",
    )
    insecure: bool = Field(
        default=False, description="Plain HTTP, or a certificate that nobody vouches for, is good enough."
    )
    ca: str | None = Field(default=None, description="A file of certificates to trust.")


class AddressPool(Document):
    """A range of addresses for networks."""

    model_config = ConfigDict(strict=True)

    base: str = Field(description="The range as ADDRESS/PREFIX, such as 10.200.0.0/16.")
    size: int = Field(description="The prefix length of each network's subnet, such as 24.")


class ConfigFile(Document):
    """What holds where neither an option nor the environment says something else."""

    model_config = ConfigDict(strict=True)

    backend: str | None = Field(default=None, description="namespace or docker; COMPOSER_BACKEND.")
    progress: Literal["auto", "tty", "plain", "json", "quiet"] | None = Field(
        default=None, description="How progress is shown; COMPOSE_PROGRESS."
    )
    ansi: Literal["auto", "always", "never"] | None = Field(
        default=None, description="When colours and cursor control are used; COMPOSE_ANSI."
    )
    parallel: int | None = Field(
        default=None, description="How many things are done at once; -1: no limit. COMPOSE_PARALLEL_LIMIT."
    )
    compatibility: bool | None = Field(
        default=None, description="Name containers as Compose V1 did; COMPOSE_COMPATIBILITY."
    )
    remove_orphans: bool | None = Field(
        default=None, description="Remove containers of services that are gone; COMPOSE_REMOVE_ORPHANS."
    )
    ignore_orphans: bool | None = Field(
        default=None,
        description="Say nothing of containers of services that are gone; COMPOSE_IGNORE_ORPHANS.",
    )
    address_pools: tuple[AddressPool, ...] = Field(
        default=(),
        strict=False,
        description="Where the built-in runtime takes the subnets of new networks from, in this order.",
    )
    registry: dict[str, Registry] = Field(default={}, description="By host: docker.io, registry.lan:5000.")
