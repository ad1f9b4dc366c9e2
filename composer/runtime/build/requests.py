"""What a build is asked for, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from composer.parallel import Stop
    from composer.runtime.build.outputs import Output
    from composer.runtime.images import Image


class Secret(NamedTuple):
    """A secret of a build: a file of the host, or a content."""

    id: str
    source: str | None = None
    content: bytes | None = None


class Request(NamedTuple):
    """An image to build.

    ``context`` is an absolute directory, a URL, a git reference or ``-``; empty for none. ``dockerfile`` is relative to
    it or absolute, ``dockerfile_name`` what messages call it; ``inline`` is its text. ``contexts`` are named contexts.
    ``names`` are what the image is to be called. With ``outputs`` it is in the store only if one of them says so.
    With several ``platforms`` there is an image for each; with none, it is for this machine's.
    ``environment`` has proxies, git's settings and what registries need. ``source_date_epoch`` is in seconds.
    ``resources`` limit each RUN, in OCI's words. Once ``stop`` is said, the build fails, and what it runs is killed.
    With ``tells_all`` each instruction is told as a step, as it is written, and then what it led to.
    """

    context: str
    dockerfile: str = ""
    dockerfile_name: str = ""
    inline: str | None = None
    names: Sequence[str] = ()
    target: str = ""
    args: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    contexts: Mapping[str, str] = {}
    secrets: Sequence[Secret] = ()
    ssh: Mapping[str, str] = {}
    network: str = ""
    extra_hosts: Sequence[tuple[str, str]] = ()
    shm_bytes: int | None = None
    limits: Mapping[str, tuple[int, int]] = {}
    resources: Mapping[str, Mapping[str, Any]] = {}
    no_cache: bool = False
    no_cache_stages: Sequence[str] = ()
    pull: bool = False
    platforms: Sequence[str] = ()
    entitlements: Sequence[str] = ()
    source_date_epoch: int | None = None
    keep_failed: bool = False
    only_checks: bool = False
    only_looks: bool = False
    most_cache_bytes: int | None = None
    cache_from: Sequence[str] = ()
    cache_to: Sequence[str] = ()
    outputs: Sequence[Output] = ()
    stop: Stop | None = None
    tells_all: bool = False
    environment: Mapping[str, str] = {}


class Vertex(NamedTuple):
    """A step as it is shown: ``number`` from 1, ``name`` such as ``[web 2/4] RUN make``."""

    number: int
    name: str


class News(NamedTuple):
    """What happens in a build.

    ``kind`` is ``begun``, ``line`` (``text`` is output), ``cached``, ``done``, ``failed`` or ``warning``; where all is
    told, also ``planned`` (``text`` is the number of instructions) and ``result`` (what a step led to).

    ``seconds`` is since the step began.
    """

    vertex: Vertex
    kind: str
    text: str = ""
    seconds: float = 0.0


class Built(NamedTuple):
    """``image`` is None where the result was not put into the store. ``warnings`` are findings in the Dockerfile."""

    image: Image | None
    config: Mapping[str, Any]
    warnings: Sequence[str] = ()


if TYPE_CHECKING:
    Tell = Callable[[News], None]
