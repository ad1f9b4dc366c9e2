"""How an image is built, and what a file of the host becomes in a container or a build.

Spec: https://github.com/compose-spec/compose-spec/blob/main/build.md
"""

from __future__ import annotations

from pydantic import Field

from composer.schema.views.base import Labels, Mode, Options, SizeText, Texts, Variables, View
from composer.schema.views.limits import Ulimit


class FileMount(View):
    """A config or a secret, in a container or in a build.

    ``source`` is its name in the project, ``target`` a path or a name; ``uid`` and ``gid`` are texts of digits.
    """

    source: str = ""
    target: str | None = None
    uid: str | None = None
    gid: str | None = None
    mode: Mode | None = None


class Build(View):
    """How an image is built. ``context`` is an absolute path or a URL, ``dockerfile`` a path in it.

    ``provenance`` and ``sbom`` are texts: ``true``, ``false``, or the attestation's parameters. ``ssh`` has
    ``default`` and ``id=path``, ``extra_hosts`` ``host=address``, ``platforms`` such as ``linux/arm64``.
    """

    context: str | None = None
    dockerfile: str | None = None
    dockerfile_inline: str | None = Field(default=None, description="The Dockerfile's text.")
    entitlements: Texts = ()
    args: Variables = {}
    provenance: str | None = None
    sbom: str | None = None
    ssh: Texts = ()
    labels: Labels = {}
    cache_from: Texts = ()
    cache_to: Texts = ()
    no_cache: bool = False
    no_cache_filter: Texts = Field(default=(), description="Stages that are built without the cache.")
    additional_contexts: Options = {}
    pull: bool = False
    extra_hosts: Texts = ()
    isolation: str | None = None
    network: str | None = None
    target: str | None = Field(default=None, description="The stage to build.")
    secrets: tuple[FileMount, ...] = ()
    shm_size: SizeText | None = None
    tags: Texts = ()
    ulimits: dict[str, int | Ulimit] = {}
    platforms: Texts = ()
    privileged: bool = False
