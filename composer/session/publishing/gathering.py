"""The files that are published: compose files, what their services extend, and env files.

Paths to files that travel along are replaced by names that tell nothing of this machine: the SHA-256 of the path, as
Docker Compose has it. Nothing else in the text changes, so that variables stay variables. What people should know
before they agree is collected on the way, of exactly the files that are sent.
"""

from __future__ import annotations

import hashlib
import os.path
from typing import TYPE_CHECKING, NamedTuple

import yaml

from composer.errors import ConfigError, ProjectError
from composer.schema import files
from composer.schema.interpolate import TemplateError, substitute
from composer.schema.paths import Base, expand
from composer.session.publishing import nodes, sensitive
from composer.session.remote.artifacts import ENV_FILE, File

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WORKLOADS = ("services", "jobs")


class Source(NamedTuple):
    """A compose file. ``shown`` is its name in messages, ``directory`` where its relative paths start."""

    path: str
    shown: str
    directory: str
    text: str


class Findings:
    """What is in the files that somebody may not want to publish."""

    def __init__(self) -> None:
        self.local_includes: list[str] = []
        self.with_env_file: set[str] = set()
        self.literals: dict[str, set[str]] = {}
        """The names of variables with a literal value that look secret, of each service."""
        self.contents: set[str] = set()
        """Configs whose content is in the file."""
        self.sensitive: list[sensitive.Sensitive] = []
        self.binds: set[str] = set()
        """Bind mounts of files that services extend, with their place: these files are published whole."""


class Gathered(NamedTuple):
    """All that is published, and what was found in it."""

    files: tuple[File, ...]
    env_files: tuple[File, ...]
    findings: Findings


def gather(sources: Sequence[Source], variables: Mapping[str, str], home: str) -> Gathered:
    """Return the files of a project that was loaded. Raises ProjectError."""
    gathering = _Gathering(variables, home)
    main = [gathering.file(source, source.path) for source in sources]
    extended = gathering.extended()
    env_files = tuple(gathering.env_file(path, name) for path, name in sorted(gathering.env_files.items()))
    return Gathered((*main, *extended), env_files, gathering.findings)


def hashed(path: str, extension: str) -> str:
    """Return the name that a file has in the artifact."""
    return f"{hashlib.sha256(path.encode()).hexdigest()}.{extension}"


class _Gathering:
    def __init__(self, variables: Mapping[str, str], home: str) -> None:
        self._variables, self._home = variables, home
        self._pending: dict[str, str] = {}
        self.env_files: dict[str, str] = {}
        self.findings = Findings()

    def extended(self) -> list[File]:
        """Return the files that services extend, and those that these extend, each once."""
        done: dict[str, File] = {}
        while self._pending:
            path, name = self._pending.popitem()
            if path not in done:
                source = Source(path, path, os.path.dirname(path), _read(path))
                done[path] = self.file(source, name)._replace(is_extended=True)
                self._binds(source)
        return [done[path] for path in sorted(done)]

    def file(self, source: Source, name: str) -> File:
        """Return a compose file as it is published."""
        edits: list[nodes.Edit] = []
        text = source.text
        for document in nodes.documents(text, source.shown):
            top = nodes.fields(document)
            self._includes(top.get("include"))
            for section in _WORKLOADS:
                for service, node in nodes.fields(top.get(section)).items():
                    edits += self._service(service, nodes.fields(node), source)
            self._configs(top.get("configs"))
            self._look(document, source.shown)
        self.findings.sensitive += sensitive.in_comments(text, source.shown)
        return File(name, nodes.edited(text, edits).encode())

    def env_file(self, path: str, name: str) -> File:
        """Return an env file as it is published."""
        text = _read(path)
        self.findings.sensitive += sensitive.in_text(text, path)
        return File(name, text.encode(), ENV_FILE)

    # -------------------------------------------------------------- a service

    def _service(self, name: str, service: dict[str, yaml.Node], source: Source) -> list[nodes.Edit]:
        edits = []
        for entry in nodes.items(service.get("env_file")):
            node = nodes.fields(entry).get("path") if isinstance(entry, yaml.MappingNode) else entry
            path = self._path(node, source)
            if node is not None and path is not None:
                self.findings.with_env_file.add(name)
                edits.append(nodes.replaced(node, hashed(path, "env"), source.text))
                if files.is_file(path):
                    self.env_files[path] = hashed(path, "env")
        extended = nodes.fields(service.get("extends")).get("file")
        path = self._path(extended, source)
        if extended is not None and path is not None:
            edits.append(nodes.replaced(extended, hashed(path, "yaml"), source.text))
            self._pending[path] = hashed(path, "yaml")
        self._environment(name, service.get("environment"))
        return edits

    def _path(self, node: yaml.Node | None, source: Source) -> str | None:
        """Return the file of this machine that a node names; None for one from elsewhere, and for none."""
        text = nodes.text_of(node)
        if not text:
            return None
        try:
            text = substitute(text, self._variables.get)
        except TemplateError as error:
            raise ProjectError(f"{source.shown}: {error}", hint=error.hint) from error
        return None if files.is_remote(text) else expand(text, Base(source.directory, self._home))

    def _environment(self, name: str, node: yaml.Node | None) -> None:
        if isinstance(node, yaml.MappingNode):
            given = {key: nodes.text_of(value) or "" for key, value in nodes.fields(node).items()}
        else:
            texts = [nodes.text_of(item) or "" for item in nodes.items(node)]
            given = {key: value for key, _, value in (text.partition("=") for text in texts)}
        for key, value in given.items():
            if sensitive.is_secret_name(key) and sensitive.is_literal(value):
                self.findings.literals.setdefault(name, set()).add(key)

    # -------------------------------------------------------------- the rest

    def _includes(self, node: yaml.Node | None) -> None:
        for entry in nodes.items(node):
            named = nodes.fields(entry).get("path") if isinstance(entry, yaml.MappingNode) else entry
            for item in nodes.items(named):
                text = nodes.text_of(item)
                if text and not files.is_remote(text):
                    self.findings.local_includes.append(text)

    def _configs(self, node: yaml.Node | None) -> None:
        for name, config in nodes.fields(node).items():
            content = nodes.text_of(nodes.fields(config).get("content"))
            if content and sensitive.is_literal(content):
                self.findings.contents.add(name)

    def _binds(self, source: Source) -> None:
        """Note the bind mounts of a file, of services that nobody extends, too."""
        for document in nodes.documents(source.text, source.shown):
            for service, node in nodes.fields(nodes.fields(document).get("services")).items():
                for entry in nodes.items(nodes.fields(node).get("volumes")):
                    text, long = nodes.text_of(entry) or "", nodes.fields(entry)
                    if nodes.text_of(long.get("type")) == "bind":
                        target = nodes.text_of(long.get("target"))
                        text = f"{nodes.text_of(long.get('source'))}:{target}"
                    if text.startswith(("/", ".", "~")):
                        self.findings.binds.add(f"{service} in {source.shown}: {text}\n")

    def _look(self, document: yaml.Node, shown: str) -> None:
        for key, value, line in nodes.pairs(document):
            found = sensitive.in_value(key, value, f"{shown}:{line}")
            if found is not None:
                self.findings.sensitive.append(found)


def look_into(path: str) -> list[sensitive.Sensitive]:
    """Return what is in the file of a config or a secret, which is not published itself. Raises ProjectError."""
    return list(sensitive.in_text(_read(path), path)) if files.is_file(path) else []


def _read(path: str) -> str:
    try:
        return files.read_text(path, path)
    except ConfigError as error:
        raise ProjectError(str(error), hint=error.hint) from error
