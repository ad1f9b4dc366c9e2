"""The passes from text to `Project`, in order. See docs/loading.md for the reasons behind the order.

per document   parse → interpolate → include → !reset → extends → merge → unique → validate → canonical → unique
per project    defaults → checks → paths → normalise → decode → profiles → consistency → environment → prune
"""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING, Any

from composer.errors import ComposerError, ConfigError, Mark, YamlError
from composer.references import without_login
from composer.schema import environment, files, kinds, profiles, shape
from composer.schema.canonical import canonical, warn_shell
from composer.schema.consistency import Consistency, check_model
from composer.schema.defaults import normalize, set_defaults, share_scale
from composer.schema.extends import Extends, Extension
from composer.schema.glance import UNSURE, glance
from composer.schema.include import Include, settled
from composer.schema.interpolate import Variables, interpolate
from composer.schema.merge import merge, unique
from composer.schema.model import Project
from composer.schema.options import LoadOptions as LoadOptions  # noqa: TC001 - those who load find it here
from composer.schema.paths import Base, resolve_paths
from composer.schema.problems import Problems
from composer.schema.setting import (
    Named,
    Setting,
    explicit_name,
    find_setting,
    name_in,
    no_compose_file,
    written_name,
)
from composer.schema.source import MAX_NODES, Document, parse, remove_paths
from composer.schema.tree import INVALID, NOWHERE, WORKLOADS, Map, Seq

if TYPE_CHECKING:
    from collections.abc import Callable

    from composer.schema.options import Fetched
    from composer.schema.tree import Path

MAX_INCLUDES = 500
MAX_REMOTES = 100


def load(options: LoadOptions, problems: Problems | None = None) -> Project:
    """Load a project. Raises ProjectInvalid with every error, or ProjectError when there is nothing to load.

    ``problems`` collects; whoever passes it in sees the warnings of a load that failed, and the sources.
    """
    problems = Problems() if problems is None else problems
    setting = find_setting(options, problems)
    reader = _Reader(options, setting.working_dir, problems)
    setting = reader.located(setting)
    sources = [(path, reader.documents(path)) for path in (*setting.files, *options.texts)]
    named = _name(options, setting, sources)
    name = named.name
    # what --no-interpolate prints holds no variable's value: Compose gives it no environment but the files' own
    variables = _with_name(setting.variables if options.interpolate else Variables({}, {}), name)
    loader = _Loader(options, reader, problems, setting)
    tree = loader.project(sources, setting.directory, variables, ())
    if not tree and not problems.errors:
        problems.errors.append(_empty(reader.label(setting.files[0])))
    setting = setting._replace(files=tuple(map(reader.named, setting.files)))
    if options.normalize or options.interpolate:
        tree.put("name", name, tree.mark("name") if "name" in tree else Mark("", why="project name"))
    project = _finish(tree, name, options, setting._replace(variables=variables), problems, reader.label)
    project.name_origin, project.name_directory = named.origin, named.directory
    project.loaded_with = options
    return project


def project_name(options: LoadOptions) -> str:
    """Return the project's name without loading its model."""
    return find_name(options).name


def find_name(options: LoadOptions) -> Named:
    """Return the project's name without loading its model. `naming` has a shorter way for most files.

    Raises ProjectInvalid when a file that may have the name cannot be read: the directory's name is that of another
    project then.
    """
    problems = Problems()
    setting = find_setting(options, problems, need_files=False)
    name = explicit_name(options, setting.variables)
    if name is not None:
        return name_in(setting, name)
    problems.raise_all()
    if not setting.files:
        raise no_compose_file(setting.directory)
    reader = _Reader(options, setting.working_dir, problems)
    setting = reader.located(setting)
    named = [tree for path in setting.files for tree in _named(path, reader, problems)]
    problems.raise_all()
    try:
        return name_in(setting, None, written_name(named, setting.variables))
    except ConfigError as error:
        problems.errors.append(error)
        problems.raise_all()
        raise


def _named(path: str, reader: _Reader, problems: Problems) -> list[Map]:
    """Return the trees of one file that may have a name.

    Where the name is plain to see, it does not matter what else is wrong with the file.
    """
    before = len(problems.errors)
    documents = reader.documents(path)
    if len(problems.errors) > before:
        name = glance(problems.sources.get(reader.label(path), ""))
        if name is UNSURE:
            return []
        del problems.errors[before:]
        seen = Map()
        if isinstance(name, str):
            seen.put("name", name, NOWHERE)
        return [seen]
    return [found for document in documents if (found := _mapping(document, problems)) is not None]


def _name(options: LoadOptions, setting: Setting, sources: list[tuple[str, list[Document]]]) -> Named:
    """Return the name of a project that is loaded: a name that is wrong is reported by the passes, and is none."""
    name = explicit_name(options, setting.variables)
    if name is not None:
        return name_in(setting, name)
    documents = [
        document.tree for _, found in sources for document in found if isinstance(document.tree, Map)
    ]
    try:
        written = written_name(documents, setting.variables, as_written=not options.normalize)
    except ConfigError:
        written = None
    return name_in(setting, None, written)


def _with_name(variables: Variables, name: str) -> Variables:
    if "COMPOSE_PROJECT_NAME" in variables.values:
        return Variables({**variables.values, "COMPOSE_PROJECT_NAME": name}, variables.origins)
    origins = {**variables.origins, "COMPOSE_PROJECT_NAME": "the project's name"}
    return Variables({**variables.values, "COMPOSE_PROJECT_NAME": name}, origins)


class _Reader:
    """Reads and parses files, each once."""

    def __init__(self, options: LoadOptions, working_dir: str, problems: Problems) -> None:
        self._options = options
        self._problems = problems
        self._parsed: dict[str, list[Document]] = {}
        self._fetched: dict[str, Fetched | None] = {}
        self.label = files.Labels(working_dir)

    def located(self, setting: Setting) -> Setting:
        """Return the setting with files from elsewhere in their places; what cannot be had is reported."""
        if not any(map(files.is_remote, setting.files)):
            return setting
        found: list[str] = []
        directory = ""
        for path in setting.files:
            fetched = self.fetched(path, None) if files.is_remote(path) else None
            if fetched is not None:
                directory = directory or os.path.dirname(fetched.file)
                found.append(fetched.file)
            elif not files.is_remote(path):
                found.append(path)
        return setting._replace(files=tuple(found), directory=directory or setting.directory)

    def fetched(self, reference: str, at: Mark | None, path: Path = ()) -> Fetched | None:
        if reference not in self._fetched:
            self._fetched[reference] = self._fetch(reference, at, path)
        return self._fetched[reference]

    def _fetch(self, reference: str, at: Mark | None, path: Path) -> Fetched | None:
        shown = without_login(reference)
        if len(self._fetched) >= MAX_REMOTES:
            hint = f"include and extend at most {MAX_REMOTES} files from elsewhere"
            self._problems.error("too many remote files", at, path, hint=hint)
            return None
        try:
            if self._options.remote is None:
                raise ConfigError("remote files are not read here", hint="fetch it, and name the local file")
            fetched = self._options.remote.fetch(reference)
        except ComposerError as error:
            self._problems.error(f"cannot read '{shown}': {error}", at, path, hint=error.hint)
            return None
        self.label.add(fetched)
        return fetched

    def named(self, path: str) -> str:
        """Return what was named: the reference of a file from elsewhere, without a login."""
        for reference, fetched in self._fetched.items():
            if fetched is not None and fetched.file == path:
                return without_login(reference)
        return path

    def _text(self, path: str, label: str, at: Mark | None) -> str:
        if path in self._options.texts:
            return self._options.texts[path]
        if path == "-" and self._options.stdin:
            return self._options.stdin()
        return files.read_text(path, label, at)

    def documents(self, path: str, at: Mark | None = None) -> list[Document]:
        """Return the documents of a file; what cannot be read is reported, at ``at`` when another file named it."""
        if path in self._parsed:
            return self._parsed[path]
        label = self.label(path)
        self._problems.opened(label, at)
        documents: list[Document] = []
        try:
            text = self._text(path, label, at)
            before = len(self._problems.errors)
            documents = parse(text, label, self._problems)
            if all(document.tree is None for document in documents):
                documents = []
            if not documents and len(self._problems.errors) == before:
                raise _empty(label)
        except ConfigError as error:
            self._problems.errors.append(error)
        self._parsed[path] = documents
        return documents


def _empty(label: str) -> ConfigError:
    return ConfigError("empty compose file", at=Mark(label), hint="add 'services:'")


def _mapping(document: Document, problems: Problems) -> Map | None:
    """Return the tree of a document; one that is no mapping is reported."""
    if isinstance(document.tree, Map):
        return document.tree
    hint = "start it with 'services:'"
    problems.error("a compose file must be a mapping", document.mark, hint=hint, kind=YamlError)
    return None


class _Loader:
    """The passes on documents: everything up to one merged tree with absolute paths."""

    def __init__(self, options: LoadOptions, reader: _Reader, problems: Problems, setting: Setting) -> None:
        self._options = options
        self._reader = reader
        self._problems = problems
        self._directory = setting.directory
        self._included = self._nodes = 0

    def project(
        self,
        sources: list[tuple[str, list[Document]]],
        directory: str,
        variables: Variables,
        including: tuple[tuple[str, Mark], ...],
        at: Mark = NOWHERE,
        above: str = "",
    ) -> Map:
        """Return the tree of a project's files, or of one that the project in directory ``above`` includes."""
        base = Base(directory, self._options.home)
        tree = Map()
        for path, documents in sources:
            for document in documents:
                if _mapping(document, self._problems) is None:
                    continue
                tree = self._document(tree, document, path, base, variables, (*including, (path, at)))
        tree = set_defaults(tree, binds=not self._options.interpolate)
        check_model(tree, self._problems)
        if self._options.resolve_paths or including:
            tree = resolve_paths(tree, self._paths_base(directory, above or directory))
        return settled(tree, variables) if including else tree

    def _paths_base(self, directory: str, above: str) -> Base:
        """Return where the paths of another file start.

        With ``--no-path-resolution`` that is said from ``above``, the directory of the project that names the file.
        """
        if not self._options.resolve_paths:
            directory = os.path.relpath(directory, above)
        return Base(directory, self._options.home)

    def _document(
        self,
        below: Map,
        document: Document,
        path: str,
        base: Base,
        variables: Variables,
        including: tuple[tuple[str, Mark], ...],
    ) -> Map:
        tree = self._interpolated(document.tree, variables)
        include = Include(self._problems, variables, base, self._reader, self._load_included)
        tree = include.apply(tree, document.resets, including)
        if document.resets:
            below = remove_paths(below, document.resets)
        tree = self._extended(tree, document, path, base, variables)
        tree = unique(merge(below, tree, self._problems))
        tree = self._valid(tree, self._reader.label(path))
        tree = unique(self._canonical(tree))
        return _pruned(tree) if self._problems.errors else tree

    def _interpolated(self, tree: Map, variables: Variables) -> Map:
        if not self._options.interpolate:
            return tree
        new: Map = interpolate(tree, variables, self._problems)
        return _pruned(new) if self._problems.errors else new

    def _canonical(self, tree: Map) -> Map:
        return canonical(tree, self._problems, lenient=not self._options.interpolate)

    def _extended(self, tree: Map, document: Document, path: str, base: Base, variables: Variables) -> Map:
        new = tree
        for section in WORKLOADS:
            members = tree.get(section)
            if isinstance(members, Map) and any(
                isinstance(one, Map) and "extends" in one for one in members.values()
            ):
                if new is tree:
                    new = tree.copy()
                new[section] = self._extend(section, tree, document, path, base, variables)
        return new

    def _extend(
        self, section: str, tree: Map, document: Document, path: str, base: Base, variables: Variables
    ) -> Map:
        """Return the members of a section with ``extends`` carried out. A job may also extend a service."""

        def open_file(file: str, at: Mark, where: Path) -> Extension | None:
            directory = os.path.dirname(file)
            if files.is_remote(file):
                fetched = self._reader.fetched(file, at, where)
                if fetched is None:
                    return None
                # as in Compose: the top of the repository, wherever in it the file is
                file, directory = fetched.file, fetched.root
            merged, resets = Map(), document.resets[:0]
            for found in self._reader.documents(file, at):
                if isinstance(found.tree, Map):
                    other, resets = _workloads(self._interpolated(found.tree, variables)), found.resets
                    below = remove_paths(merged, resets) if resets else merged
                    merged = unique(self._canonical(unique(merge(below, other, self._problems))))
            known = _extendable(merged, section)
            return Extension(file, self._reader.label(file), directory, known, resets) if known else None

        known = _extendable(tree, section)
        origin = Extension(path, self._reader.label(path), base.directory, known, document.resets)

        def paths_base(directory: str) -> Base:
            return self._paths_base(directory, base.directory)

        extended = Extends(self._problems, paths_base, open_file, section).apply(origin)
        new = Map()
        for name in tree[section]:
            if name in extended:
                new.take(name, extended)
                if section == "jobs" and isinstance(new[name], Map) and "extends" in tree[section][name]:
                    new[name] = _without_own_of_services(new[name], tree[section][name])
        return new

    def _load_included(
        self,
        paths: tuple[str, ...],
        directory: str,
        variables: Variables,
        including: tuple[tuple[str, Mark], ...],
        at: Mark,
        above: str,
    ) -> Map | None:
        self._included += 1
        sources = [(path, self._reader.documents(path, at)) for path in paths]
        self._nodes += sum(document.nodes for _, found in sources for document in found)
        if self._included > MAX_INCLUDES or self._nodes > MAX_NODES:
            self._problems.error("too many included files", at, hint=f"include at most {MAX_INCLUDES} files")
            return None
        return self.project(sources, directory, variables, including, at, above)

    def _valid(self, tree: Map, label: str) -> Map:
        from composer.schema.validate import validator

        if not validator().is_valid(tree):
            from composer.schema.complaints import complain

            tree = complain(tree, self._problems)
        if "version" in tree:
            self._problems.warn(
                f"{label}: the attribute 'version' is obsolete, it will be ignored",
                tree.name("version"),
                hint="remove it",
                rule="obsolete-version",
            )
            tree = tree.copy()
            tree.drop("version")
        return tree


def _workloads(tree: Map) -> Map:
    new = Map()
    for section in WORKLOADS:
        if isinstance(tree.get(section), Map):
            new.put(section, tree[section], NOWHERE)
    return new


def _extendable(tree: Map, section: str) -> Map:
    """Return what a member of the section can extend: services; for a job also jobs, which come first."""
    known = Map()
    for one in ("services", section):
        members = tree.get(one)
        if isinstance(members, Map):
            for name in members:
                known.take(name, members)
    return known


def _without_own_of_services(job: Map, written: Map) -> Map:
    """Return a job without what it got from a service and no job has, such as ``restart``."""
    new = job.copy()
    for key in shape.NOT_OF_JOBS:
        if key not in written:
            new.drop(key)
    return new


def _pruned(tree: Any) -> Any:
    """Return the tree without `INVALID` nodes."""
    if isinstance(tree, Map):
        new = tree.copy()
        for key, value in tree.items():
            if value is INVALID:
                new.drop(key)
            else:
                new[key] = _pruned(value)
        return new
    if isinstance(tree, Seq):
        kept = Seq()
        for index, item in enumerate(tree):
            if item is not INVALID:
                kept.add(_pruned(item), tree.mark(index))
        return kept
    return tree


# ------------------------------------------------------------------ the whole project


def _finish(
    tree: Map,
    name: str,
    options: LoadOptions,
    setting: Setting,
    problems: Problems,
    label: Callable[[str], str],
) -> Project:
    if options.normalize:
        tree = normalize(tree, name, setting.variables)
    if not options.interpolate:
        return _uninterpreted(tree, name, setting, problems)
    decoder = kinds.Decoder(problems, warn_shell)
    tree = _decode(tree, decoder)
    services = tree.get("services")
    disabled: dict[str, Map] = {}
    if isinstance(services, Map):
        tree["services"], disabled = profiles.split(services, setting.profiles)
    if isinstance(tree.get("jobs"), Map):
        tree["jobs"], _ = profiles.split(tree["jobs"], setting.profiles)
    concerned = profiles.concerned({**(tree.get("services") or {}), **disabled}, options.services)
    if options.consistency:
        for section in WORKLOADS:
            Consistency(tree, disabled, problems, section, concerned).check()
        _share_scale(tree.get("services"))
    directories = environment.Directories(label, setting.directory)
    for section in WORKLOADS:
        if isinstance(tree.get(section), Map):
            tree[section] = _environments(tree[section], options, setting, directories, problems, concerned)
    problems.raise_all()

    def enable(service_name: str, service: Map) -> Map:
        """Do for a service that a command enables what was done for the others."""
        alone = Map({service_name: service})
        if options.consistency:
            with_it = tree.copy()
            with_it["services"] = Map({**tree["services"], **disabled})
            Consistency(with_it, {}, problems).check_service(service_name)
            _share_scale(alone)
        alone = _environments(alone, options, setting, directories, problems)
        problems.raise_all()
        enabled: Map = alone[service_name]
        return enabled

    project = Project(
        name,
        tree if options.all_resources else profiles.prune(tree),
        directory=setting.directory,
        files=setting.files,
        env_files=setting.env_files,
        environment=setting.variables.values,
        disabled=disabled,
        profiles=setting.profiles,
        warnings=tuple(problems.notices),
        home=options.home,
        enable=enable,
    )
    project.whole = tree
    project.extensions = decoder.extensions
    return project


def _share_scale(services: Any) -> None:
    for name, service in (services or Map()).items():
        services[name] = share_scale(service)


def _uninterpreted(tree: Map, name: str, setting: Setting, problems: Problems) -> Project:
    """Return the project of ``--no-interpolate``: texts that hold ``${…}`` have no type yet, so nothing is decoded."""
    problems.raise_all()
    sorted_tree: Map = kinds.sort_keys(tree)
    return Project(
        name,
        sorted_tree,
        directory=setting.directory,
        files=setting.files,
        env_files=setting.env_files,
        environment=setting.variables.values,
        profiles=setting.profiles,
        warnings=tuple(problems.notices),
    )


def _environments(
    services: Map,
    options: LoadOptions,
    setting: Setting,
    directories: environment.Directories,
    problems: Problems,
    concerned: frozenset[str] | None = None,
) -> Map:
    new = services.copy()
    for name, service in services.items():
        if concerned is not None and name not in concerned:
            continue
        new[name] = environment.resolve_service(
            name, service, setting.variables, directories, problems, env_files=options.resolve_env
        )
    return new


def _decode(tree: Map, decoder: kinds.Decoder) -> Map:
    """Return the canonical tree: known sections in the shape of Compose's types, extensions as they are."""
    new = Map()
    for key in sorted({*tree, "services"}):
        kind = shape.SECTIONS.get(key)
        value = tree.get(key) if key != "services" else tree.get(key) or Map()
        if kind is not None:
            value = kinds.decode(kind, value, (key,), tree.mark(key), decoder)
            if value is kinds.OMIT or value is INVALID:
                continue
        if key in tree:
            new.take(key, tree)
        new[key] = value if kind is not None else kinds.sort_keys(value)
    return new
