"""The user's configuration file, ``config.toml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from composer.documents.base import Document

BaseUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^?]*$")]


class Registry(Document):
    """Settings of a registry."""

    model_config = ConfigDict(strict=True)

    mirrors: tuple[BaseUrl, ...] = Field(
        default=(),
        strict=False,
        description="URLs of mirrors, tried in this order before the registry: https://HOST[:PORT][/PREFIX]",
    )
    insecure: bool = Field(
        default=False, description="Allow plain HTTP and certificates that are not trusted."
    )
    ca: str | None = Field(default=None, description="Path of a file with trusted certificates.")


class AddressPool(Document):
    """A range of addresses for networks."""

    model_config = ConfigDict(strict=True)

    base: str = Field(description="The range as ADDRESS/PREFIX, such as 10.200.0.0/16.")
    size: int = Field(description="The prefix length of each network's subnet, such as 24.")


class ConfigFile(Document):
    """Defaults; options and environment variables take precedence."""

    model_config = ConfigDict(strict=True)

    backend: str | None = Field(default=None, description="namespace or docker; COMPOSER_BACKEND.")
    progress: Literal["auto", "tty", "plain", "json", "quiet"] | None = Field(
        default=None, description="Type of progress output; COMPOSE_PROGRESS."
    )
    ansi: Literal["auto", "always", "never"] | None = Field(
        default=None, description="When to print ANSI control characters; COMPOSE_ANSI."
    )
    parallel: int | None = Field(
        default=None,
        description="Maximum number of parallel operations; -1: unlimited. COMPOSE_PARALLEL_LIMIT.",
    )
    compatibility: bool | None = Field(
        default=None, description="Name containers as in Compose V1, with underscores; COMPOSE_COMPATIBILITY."
    )
    remove_orphans: bool | None = Field(
        default=None,
        description="Remove containers for services not defined in the compose file; COMPOSE_REMOVE_ORPHANS.",
    )
    ignore_orphans: bool | None = Field(
        default=None,
        description="Do not warn about such containers; COMPOSE_IGNORE_ORPHANS.",
    )
    registry: dict[str, Registry] = Field(
        default={}, description="Registries by host, such as docker.io or registry.lan:5000."
    )
    address_pools: tuple[AddressPool, ...] = Field(
        default=(),
        strict=False,
        description="Ranges for the subnets of new networks on the built-in runtime, in this order.",
    )
