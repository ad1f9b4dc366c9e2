"""``changes`` of a commit or an import: instructions of a Dockerfile that set the image's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer import errors
from composer.api.http.problems import Problem
from composer.runtime.build.cache import filesystems
from composer.runtime.build.dockerfile.instructions import Workdir
from composer.runtime.build.dockerfile.reading import parse
from composer.runtime.build.steps.stage import Stage, configure, directory_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ALLOWED = frozenset(
    "CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD SHELL STOPSIGNAL USER VOLUME WORKDIR".split()
)
_UNSET = ("ArgsEscaped",)


def lines_of(values: Iterable[str]) -> list[str]:
    """Return the instructions of a query: each value has one, or several lines of them."""
    return [line.strip() for value in values for line in value.split("\n") if line.strip()]


def applied(config: Mapping[str, Any], changes: Iterable[str]) -> dict[str, Any]:
    """Return a configuration with instructions carried out. Raises Problem."""
    lines = list(changes)
    for line in lines:
        word = line.split(None, 1)[0].upper()
        if word not in _ALLOWED:
            raise Problem(400, f"{word} is not a valid change command")
    try:
        dockerfile = parse("\n".join(("FROM scratch", *lines)), "changes")
        stage = Stage(
            "changes", dockerfile, image={"config": config}, files=filesystems.EMPTY, given={}, globals={}
        )
        for instruction in dockerfile.stages[0].instructions:
            if isinstance(instruction, Workdir):
                path = stage.expand(instruction.path, instruction.at)
                stage.config["WorkingDir"] = directory_of(stage, path)
            else:
                configure(stage, instruction)
    except errors.BuildFailed as error:
        raise Problem(400, f"invalid change: {error}") from None
    return {key: value for key, value in stage.config.items() if key not in _UNSET}
