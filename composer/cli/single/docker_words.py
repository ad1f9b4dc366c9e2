"""``composer docker …``: the words of a docker command line as composer's own, for the launcher ``docker``."""

from __future__ import annotations

from composer.errors import ProjectError

_SHORT = {
    **{
        name: ("container", name)
        for name in (
            "attach commit cp create diff exec export kill logs pause port rename restart rm run start stats stop top "
            "unpause update wait"
        ).split()
    },
    **{name: ("image", name) for name in "build history import load pull push save tag".split()},
    "events": ("system", "events"),
    "images": ("image", "ls"),
    "info": ("system", "info"),
    "ps": ("container", "ls"),
    "rmi": ("image", "rm"),
}
"""Docker's short names, and the command that each is."""
_SAME = "builder compose container image login logout network system volume".split()
_OTHERS = {
    ("container", "list"): ("container", "ls"),
    ("container", "ps"): ("container", "ls"),
    ("container", "remove"): ("container", "rm"),
    ("image", "list"): ("image", "ls"),
    ("image", "remove"): ("image", "rm"),
    ("network", "list"): ("network", "ls"),
    ("network", "remove"): ("network", "rm"),
    ("volume", "list"): ("volume", "ls"),
    ("volume", "remove"): ("volume", "rm"),
    ("builder", "build"): ("image", "build"),
    ("buildx", "build"): ("image", "build"),
    ("buildx", "prune"): ("builder", "prune"),
}
"""Docker's other names of two words."""
_OBJECTS = ("container", "image", "network", "volume")
_WITH_VALUE = (
    "--config",
    "-c",
    "--context",
    "-H",
    "--host",
    "-l",
    "--log-level",
    "--tlscacert",
    "--tlscert",
    "--tlskey",
)
_ABSENT = "config context manifest node plugin search secret service stack swarm trust checkpoint".split()


def translate(words: list[str]) -> list[str]:
    """Return composer's words for docker's. Raises ProjectError for what composer cannot do.

    Options before the command say which engine is meant: here it is the built-in runtime.
    """
    rest = _without_options(words)
    if rest[:1] in (["-v"], ["--version"], ["version"]):
        return ["version", *rest[1:]]
    if not rest or rest[0] in ("--help", "-h", "help"):
        return ["--help"]
    verb = rest[0]
    if tuple(rest[:2]) in _OTHERS:
        return [*_OTHERS[tuple(rest[:2])], *rest[2:]]  # type: ignore[index]
    if verb == "inspect":
        return _inspect(rest[1:])
    if verb in _SHORT:
        return [*_SHORT[verb], *rest[1:]]
    if verb in _SAME:
        return rest
    what = "is not supported" if verb in _ABSENT else "is no command of docker's"
    raise ProjectError(f"docker {verb} {what} by composer", hint="see composer --help for what is there")


def _without_options(words: list[str]) -> list[str]:
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] not in ("-v", "--version", "-h", "--help"):
        option = rest.pop(0)
        if option in _WITH_VALUE and rest:
            rest.pop(0)
    return rest


def _inspect(words: list[str]) -> list[str]:
    """``docker inspect`` takes objects of any kind: with ``--type`` of one, else containers are meant."""
    kind, rest = "container", []
    words = list(words)
    while words:
        word = words.pop(0)
        if word == "--type" and words:
            kind = words.pop(0)
        elif word.startswith("--type="):
            kind = word.partition("=")[2]
        else:
            rest.append(word)
    if kind not in _OBJECTS:
        raise ProjectError(
            f"cannot inspect objects of type '{kind}'", hint=f"use one of {', '.join(_OBJECTS)}"
        )
    return [kind, "inspect", *rest]
