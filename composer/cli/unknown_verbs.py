"""What to say of a verb that is not there: what is meant, or what does the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_INSTEAD = {
    "alpha": "there are no experimental commands",
    "bridge": "write Kubernetes files with docker compose, from what composer config prints",
    "convert": "it is called config",
    "inspect": "composer ps --format json, composer container|network|volume|image inspect show what there is",
    "login": "composer uses the logins of docker login (DOCKER_CONFIG)",
    "logout": "composer uses the logins of docker login (DOCKER_CONFIG)",
    "publish": "composer push pushes images; composer config -o FILE writes the project as one file",
    "watch": "mount the source (volumes: ./src:/src), and use composer up -d or composer restart after a change",
}
"""Verbs of docker and docker compose that composer does not have, and what to use."""


def explain(verb: str, known: Collection[str]) -> str:
    """Return the sentence for a verb that is not among the known ones."""
    if verb in _INSTEAD:
        return f"composer has no command '{verb}': {_INSTEAD[verb]}"
    from difflib import get_close_matches

    near = get_close_matches(verb, known, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"unknown command '{verb}'{hint}"
