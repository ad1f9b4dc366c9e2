"""Default methods for backends that lack a capability: they raise Unsupported."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from composer.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.engine.wanted import BuildSpec


class Lacking:
    """A base class of backends: methods that a backend does not override raise Unsupported."""

    name: str

    def _lack(self, what: str, hint: str | None = None) -> NoReturn:
        raise Unsupported("backend", f"the {self.name} backend {what}", hint=hint)

    def compose_version(self) -> str:
        return ""  # docker compose knows Docker Engine only

    def move_ports(self, source: str, target: str) -> None:
        self._lack("cannot move published ports between running containers")

    def expect_starts(self, project: str, *, creates: bool) -> None:
        self._lack("does not prepare container starts")

    def prepare_container(self, id: str) -> None:
        self._lack("does not prepare container starts")

    def unprepare_container(self, id: str) -> None:
        self._lack("does not prepare container starts")

    def resolve_image(self, reference: str) -> str:
        self._lack("does not resolve image digests")

    def save_images(self, references: Sequence[str], path: str) -> None:
        self._lack_images()

    def prune_images(self, *, unused: bool = False) -> tuple[Sequence[str], int]:
        self._lack_images()

    def look_at_build(self, spec: BuildSpec) -> str | None:
        return None

    def prune_builds(
        self, *, everything: bool = False, most_bytes: int | None = None, unused_for_s: float = 0.0
    ) -> tuple[Sequence[str], int]:
        self._lack("has no build cache")

    def _lack_images(self) -> NoReturn:
        self._lack("does not manage images", "use the engine's own command, such as docker image")
