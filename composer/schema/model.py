"""`Project`: a loaded project, as thin as it can be.

The canonical tree with its marks is the model: hashing, comparing, rendering and ordering work on it. The typed
view (`composer.schema.views`, frozen pydantic models) is built for a service when somebody asks for it, and
pydantic is imported only then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from composer.schema.tree import LookedUp as LookedUp
from composer.schema.tree import Map, mark_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from composer.errors import Mark
    from composer.schema import views
    from composer.schema.options import LoadOptions
    from composer.schema.tree import Path


GIVEN, WRITTEN, DIRECTORY = "given", "written", "directory"
"""Where a project's name comes from: -p or COMPOSE_PROJECT_NAME, ``name:`` of a file, the directory's name."""


class Notice(NamedTuple):
    """A warning of the loader, and where. ``rule`` is what ``composer lint`` calls it."""

    message: str
    at: Mark | None = None
    hint: str | None = None
    rule: str = "loading"

    def __str__(self) -> str:
        return f"{self.at}: {self.message}" if self.at else self.message


class Project:
    """A project that was loaded and found to be valid. Treat it as frozen.

    ``tree`` is canonical: its values are those of ``docker compose config --format json`` (durations as Go
    strings, sizes as decimal strings, long forms only), its keys in the same order. ``disabled`` holds the
    services that no active profile enables, in the same form; ``whole`` is the tree before resources that nobody
    uses were left out, ``extensions`` the ``x-…`` children that the JSON form, and so the tree, leaves out.
    ``environment`` is what ``${…}`` saw, ``home`` what ``~`` stands for. ``separator`` joins the parts of the names
    of containers: ``_`` with ``--compatibility``, as Compose V1 had it; ``all_resources`` keeps and makes what no
    service uses.
    """

    __slots__ = (
        "_declared",
        "_enable",
        "_typed",
        "_views",
        "all_resources",
        "directory",
        "disabled",
        "env_files",
        "environment",
        "extensions",
        "files",
        "home",
        "loaded_with",
        "name",
        "name_directory",
        "name_origin",
        "profiles",
        "provided",
        "separator",
        "tree",
        "warnings",
        "whole",
    )

    def __init__(
        self,
        name: str,
        tree: Map,
        *,
        directory: str,
        files: tuple[str, ...] = (),
        env_files: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        disabled: Mapping[str, Map] | None = None,
        profiles: tuple[str, ...] = (),
        warnings: tuple[Notice, ...] = (),
        home: str = "",
        enable: Callable[[str, Map], Map] | None = None,
    ) -> None:
        self.name = name
        self.tree = tree
        self.directory = directory
        self.files = files
        self.env_files = env_files
        self.environment: Mapping[str, str] = environment or {}
        self.disabled: Mapping[str, Map] = disabled or {}
        self.profiles = profiles
        self.home = home
        self.name_origin = GIVEN
        """`GIVEN`, `WRITTEN` or `DIRECTORY`."""
        self.name_directory = directory
        """The directory that the name may be from: another one than ``directory`` where files are from elsewhere."""
        self.loaded_with: LoadOptions | None = None
        """What it was loaded with, for who loads it again under another name."""
        self.separator = "-"
        self.all_resources = False
        self.warnings = warnings
        self.whole = tree
        self._declared: Mapping[str, Map] | None = None
        self.extensions: Mapping[Path, Map] = {}
        self._enable = enable
        self.provided: frozenset[str] = frozenset()
        """Services that others depend on and that are elsewhere: made by a provider."""
        self._views: dict[str, Mapping[str, Any]] = {}
        self._typed: views.Project | None = None

    def mark(self, path: Path) -> Mark | None:
        """Return where the value at ``path`` came from; its nearest ancestor's place when it has none."""
        return mark_at(self.tree, path)

    @property
    def typed(self) -> views.Project:
        """The whole project, typed; its ``model_dump(by_alias=True, exclude_unset=True)`` is the tree again."""
        if self._typed is None:
            from composer.schema import views

            self._typed = views.build_project(self.tree)
        return self._typed

    @property
    def services(self) -> Mapping[str, views.Service]:
        """The enabled services, typed."""
        return self._view("services")

    @property
    def networks(self) -> Mapping[str, views.Network]:
        """The networks, typed."""
        return self._view("networks")

    @property
    def volumes(self) -> Mapping[str, views.Volume]:
        """The named volumes, typed."""
        return self._view("volumes")

    @property
    def configs(self) -> Mapping[str, views.Config]:
        """The configs, typed."""
        return self._view("configs")

    @property
    def secrets(self) -> Mapping[str, views.Secret]:
        """The secrets, typed."""
        return self._view("secrets")

    @property
    def models(self) -> Mapping[str, views.Model]:
        """The AI models, typed."""
        return self._view("models")

    @property
    def jobs(self) -> Mapping[str, views.Job]:
        """The jobs of enabled profiles, typed. No backend runs them yet."""
        return self._view("jobs")

    def _view(self, section: str) -> Mapping[str, Any]:
        found = self._views.get(section)
        if found is None:
            from composer.schema import views

            found = self._views[section] = views.build(section, self.tree.get(section) or {})
        return found

    @property
    def declared(self) -> Mapping[str, Map]:
        """All services that profiles enable, chosen or not."""
        return self._declared if self._declared is not None else self.whole.get("services") or Map()

    def select(self, names: Iterable[str], *, dependencies: bool = True) -> Project:
        """Return the project with only these services and, unless told otherwise, what they depend on.

        Naming a disabled service enables it. No names select everything. Raises UnknownService.
        """
        wanted = list(names)
        if not wanted:
            return self
        from composer.schema import profiles

        services: Map = self.whole.get("services") or Map()
        kept = profiles.choose(services, self.disabled, wanted, dependencies=dependencies)
        chosen = Map()
        for name in sorted(kept):
            if name in services:
                chosen.take(name, services)
            else:
                chosen.put(name, self.enabled(name), self.disabled[name].mark("image"))
            chosen[name] = profiles.without_dependencies(chosen[name], kept)
        tree = self.whole.copy()
        tree["services"] = chosen
        tree.drop("jobs")  # naming services leaves the rest out, and what only the rest uses
        selected = self._with_tree(
            tree if self.all_resources else profiles.prune(tree),
            {name: one for name, one in self.disabled.items() if name not in chosen},
        )
        selected.whole = tree
        selected._declared = {**self.declared, **chosen}
        return selected

    def with_services(self, services: Map, provided: frozenset[str]) -> Project:
        """Return the project with other services; ``provided`` are left out, and needed all the same."""
        tree = self.tree.copy()
        tree["services"] = services
        changed = self._with_tree(tree, self.disabled)
        changed.whole = self.whole
        changed._declared = self._declared
        changed.provided = provided
        return changed

    def _with_tree(self, tree: Map, disabled: Mapping[str, Map]) -> Project:
        made = Project(
            self.name,
            tree,
            directory=self.directory,
            files=self.files,
            env_files=self.env_files,
            environment=self.environment,
            disabled=disabled,
            profiles=self.profiles,
            home=self.home,
            warnings=self.warnings,
            enable=self._enable,
        )
        made.provided = self.provided
        made.extensions = self.extensions
        made.name_origin, made.name_directory = self.name_origin, self.name_directory
        made.separator, made.all_resources = self.separator, self.all_resources
        return made

    def enabled(self, name: str) -> Map:
        """Return a disabled service as it would be if it were enabled: checked, its env files read."""
        service = self.disabled[name]
        return self._enable(name, service) if self._enable is not None else service
