"""A stage while it is built: its image's configuration, its variables, its files and its history so far.

What only changes the configuration is done here, one function per instruction; what changes files is in `steps`.
Docker's names: https://github.com/opencontainers/image-spec/blob/main/config.md
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, TypeVar

from composer.errors import BuildFailed
from composer.runtime.base import signals
from composer.runtime.build.dockerfile import instructions as said
from composer.runtime.build.dockerfile import words
from composer.runtime.build.steps import history

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from composer.runtime.build.cache.filesystems import Filesystem
    from composer.runtime.build.dockerfile.instructions import Dockerfile, Instruction, Place

_T = TypeVar("_T")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHELL = ("/bin/sh", "-c")
PROXIES = (
    *("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY", "ftp_proxy"),
    *("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"),
)
"""Build arguments that every RUN has without being declared; they count for no cache key."""


def failed(dockerfile: Dockerfile, at: Place, message: str, *, hint: str | None = None) -> BuildFailed:
    """Return an error of an instruction, with its line below."""
    error = BuildFailed(f"{dockerfile.path}:{at.line}:{at.column}: {message}", hint=hint)
    if 0 < at.line <= len(dockerfile.lines):
        error.add_note(f"  {at.line} | {dockerfile.lines[at.line - 1]}")
    return error


class Stage:
    """The state of one stage. Owned by the thread that builds it."""

    def __init__(
        self,
        name: str,
        dockerfile: Dockerfile,
        *,
        image: Mapping[str, Any],
        files: Filesystem,
        given: Mapping[str, str],
        globals: Mapping[str, str],
    ) -> None:
        """``image`` is the whole configuration of the base; ``globals`` are the arguments that FROM can use."""
        self.name = name
        self.dockerfile = dockerfile
        self.files = files
        self.config: dict[str, Any] = _own(image.get("config") or {})
        self.whole: dict[str, Any] = {key: image[key] for key in _KEPT if key in image}
        self.history: list[dict[str, Any]] = [dict(entry) for entry in image.get("history") or ()]
        self.arguments: dict[str, None] = {}
        """The names that ARG declared, in order."""
        self._values = dict(entry.partition("=")[::2] for entry in self.config.get("Env") or ())
        self._places = {name: place for place, name in enumerate(self._values)}
        """Where each variable is in ``Env``: 100,000 instructions must not look through it as often."""
        if self._values:
            # a name that was there twice is there once, with the value that counts
            self.config["Env"] = [f"{key}={value}" for key, value in self._values.items()]
        self.has_command = False
        """CMD was said in this stage, and not inherited."""
        self._given, self._globals = given, globals

    # -------------------------------------------------------------- variables

    def variables(self) -> dict[str, str]:
        """Return what instructions and commands see: of ARG and ENV with one name the one that was said last."""
        return self._values

    def run_environment(self) -> list[str]:
        """Return the environment of RUN."""
        found = {"PATH": PATH, **self._values}
        return [f"{key}={value}" for key, value in found.items()]

    def run_arguments(self) -> list[tuple[str, str]]:
        """Return the declared arguments with what RUN sees, in the order of their declaration."""
        return [(key, self._values.get(key, "")) for key in self.arguments]

    def inherit(self, base: Stage) -> None:
        """Go on with the variables of the stage that this one is built from."""
        self.arguments.update(base.arguments)
        self._values = dict(base.variables())

    def proxies(self) -> list[str]:
        return [f"{key}={self._given[key]}" for key in PROXIES if key in self._given]

    def expand(self, text: str, at: Place) -> str:
        """Return a word with its variables. Raises BuildFailed, with the place."""
        try:
            return words.expand(text, self.variables(), self.dockerfile.escape).text
        except words.WordInvalid as error:
            raise self.failed(at, str(error), hint=error.hint) from error

    def expand_words(self, text: str, at: Place) -> tuple[str, ...]:
        try:
            return words.expand_words(text, self.variables(), self.dockerfile.escape).words
        except words.WordInvalid as error:
            raise self.failed(at, str(error), hint=error.hint) from error

    def failed(self, at: Place, message: str, *, hint: str | None = None) -> BuildFailed:
        """Return an error of an instruction, with its line below."""
        return failed(self.dockerfile, at, message, hint=hint)

    # -------------------------------------------------------------- the shell

    def shell(self) -> list[str]:
        return list(self.config.get("Shell") or SHELL)

    def command_line(self, command: said.Command) -> list[str]:
        """Return the arguments of a command, the shell's before those of one in shell form."""
        return list(command.words) if command.is_exec else [*self.shell(), command.words[0]]

    # -------------------------------------------------------------- history

    def note(self, created_by: str, *, created_ns: int | None = None) -> None:
        """Add an entry to the history; without ``created_ns`` it has no layer."""
        entry: dict[str, Any] = {"created_by": created_by, "comment": history.COMMENT}
        if created_ns is None:
            entry["empty_layer"] = True
        else:
            entry["created_ns"] = created_ns
        self.history.append(entry)

    # -------------------------------------------------------------- instructions without files

    def set_environment(self, pairs: Mapping[str, str]) -> None:
        self._values.update(pairs)
        environment: list[str] = self._kept("Env", list)
        for key, value in pairs.items():
            place = self._places.setdefault(key, len(environment))
            environment[place : place + 1] = [f"{key}={value}"]

    def add(self, field: str, entries: Mapping[str, Any]) -> None:
        """Add entries to a mapping of the configuration, such as ``Labels``."""
        self._kept(field, dict).update(entries)

    def add_trigger(self, trigger: str) -> None:
        """Add an instruction that the stages built from this one begin with."""
        self._kept("OnBuild", list).append(trigger)

    def _kept(self, field: str, kind: type[_T]) -> _T:
        """Return a list or mapping of the configuration, to be changed; empty where there is none."""
        found = self.config.get(field)
        if not isinstance(found, kind):
            found = self.config[field] = kind()
        return found

    def declare(self, name: str, default: str | None) -> str | None:
        """ARG: take a value that was given, else the default, else that of the ARG before the first FROM; return it."""
        value = self._given.get(name)
        if value is None:
            value = default if default is not None else self._globals.get(name)
        self.arguments[name] = None
        if value is not None:
            self._values[name] = value
        return value


def _own(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a configuration whose lists and mappings can be changed in place."""
    return {
        key: list(value) if isinstance(value, list) else dict(value) if isinstance(value, dict) else value
        for key, value in config.items()
    }


_KEPT = ("architecture", "os", "variant", "os.version", "os.features", "author")


def _arg(stage: Stage, one: said.Arg) -> None:
    shown = []
    for name, default in one.pairs:
        name = stage.expand(name, one.at)
        value = None if default is None else stage.expand(default, one.at)
        found = stage.declare(name, value)
        shown.append(name if found is None else f"{name}={found}")
    stage.note(f"ARG {' '.join(shown)}")


def _env(stage: Stage, one: said.Env) -> None:
    # all of one instruction see what was before it
    pairs = [(stage.expand(key, one.at), stage.expand(value, one.at)) for key, value in one.pairs]
    stage.set_environment(dict(pairs))
    stage.note(history.pairs("ENV", pairs))


def _label(stage: Stage, one: said.Label) -> None:
    pairs = [(stage.expand(key, one.at), stage.expand(value, one.at)) for key, value in one.pairs]
    stage.add("Labels", dict(pairs))
    stage.note(history.pairs("LABEL", pairs))


def _cmd(stage: Stage, one: said.Cmd) -> None:
    stage.config["Cmd"] = stage.command_line(one.command)
    stage.config["ArgsEscaped"] = True
    stage.has_command = True
    stage.note(f"CMD {history.quoted_list(stage.config['Cmd'])}")


def _entrypoint(stage: Stage, one: said.Entrypoint) -> None:
    stage.config["Entrypoint"] = stage.command_line(one.command)
    if not stage.has_command:
        stage.config.pop("Cmd", None)  # the base's was for the base's entrypoint
    stage.note(f"ENTRYPOINT {history.quoted_list(stage.config['Entrypoint'])}")


def _shell(stage: Stage, one: said.Shell) -> None:
    stage.config["Shell"] = list(one.words)
    stage.note(f"SHELL [{' '.join(one.words)}]")


def _healthcheck(stage: Stage, one: said.Healthcheck) -> None:
    if one.command is None:
        check: dict[str, Any] = {"Test": ["NONE"]}
    elif one.command.is_exec:
        check = {"Test": ["CMD", *one.command.words]}
    else:
        check = {"Test": ["CMD-SHELL", one.command.words[0]]}
    values = {
        "Interval": one.interval_ns,
        "Timeout": one.timeout_ns,
        "StartPeriod": one.start_period_ns,
        "StartInterval": one.start_interval_ns,
        "Retries": one.retries,
    }
    check.update({key: value for key, value in values.items() if value})
    stage.config["Healthcheck"] = check
    stage.note(history.healthcheck(check))


def _expose(stage: Stage, one: said.Expose) -> None:
    from composer.runtime.images import configuration

    ports: list[str] = []
    for text in sorted(one.ports):  # as written: the order of BuildKit's history
        for word in stage.expand_words(text, one.at):
            # a port of the host says nothing here, as in Docker: 8080:80
            found = configuration.ports_of(word.rpartition(":")[2])
            if not found:
                raise stage.failed(
                    one.at,
                    f"invalid port '{word}'",
                    hint="use a port or a range, such as 80, 53/udp or 8000-8010",
                )
            ports += found
    stage.add("ExposedPorts", {port: {} for port in ports})
    stage.note(f"EXPOSE [{' '.join(dict.fromkeys(ports))}]")


def _volume(stage: Stage, one: said.Volume) -> None:
    paths = [stage.expand(path, one.at) for path in one.paths]
    for path in paths:
        if not path.strip():
            raise stage.failed(one.at, "volume with an empty path", hint="write a path such as /data")
    stage.add("Volumes", {path: {} for path in paths})
    stage.note(f"VOLUME [{' '.join(paths)}]")


def _user(stage: Stage, one: said.User) -> None:
    stage.config["User"] = stage.expand(one.user, one.at)
    stage.note(f"USER {stage.config['User']}")


def _stopsignal(stage: Stage, one: said.Stopsignal) -> None:
    name = stage.expand(one.signal, one.at)
    if signals.number(name) is None:
        raise stage.failed(one.at, f"invalid signal '{name}'", hint="use a name such as SIGTERM, or a number")
    stage.config["StopSignal"] = name
    stage.note(f"STOPSIGNAL {name}")


def _onbuild(stage: Stage, one: said.Onbuild) -> None:
    # it has no place in the history, as with BuildKit
    stage.add_trigger(one.trigger)


def _maintainer(stage: Stage, one: said.Maintainer) -> None:
    stage.whole["author"] = one.name
    stage.note(f"MAINTAINER {one.name}")


def directory_of(stage: Stage, path: str) -> str:
    """Return a path of an instruction as an absolute one, from the working directory on."""
    return posixpath.normpath(posixpath.join("/", stage.config.get("WorkingDir") or "/", path)).replace(
        "//", "/"
    )


CONFIGURING: Mapping[type, Callable[[Stage, Any], None]] = {
    said.Arg: _arg,
    said.Env: _env,
    said.Label: _label,
    said.Cmd: _cmd,
    said.Entrypoint: _entrypoint,
    said.Shell: _shell,
    said.Healthcheck: _healthcheck,
    said.Expose: _expose,
    said.Volume: _volume,
    said.User: _user,
    said.Stopsignal: _stopsignal,
    said.Onbuild: _onbuild,
    said.Maintainer: _maintainer,
}
"""The instructions that change the configuration and nothing else."""


def configure(stage: Stage, instruction: Instruction) -> None:
    """Carry out one of `CONFIGURING`."""
    CONFIGURING[type(instruction)](stage, instruction)
