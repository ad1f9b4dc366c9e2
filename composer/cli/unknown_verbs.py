"""What to say of a verb that is not there: what is meant, or what does the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_INSTEAD = {
    "bridge": "convert the output of composer config with docker compose bridge",
    "inspect": (
        "use composer container inspect, composer image inspect, composer network inspect or "
        "composer volume inspect"
    ),
}
"""Verbs of docker and docker compose that composer does not have, and what to use."""

BELOW = {
    "volume update": "it changes cluster volumes, which are of Docker Swarm; make a new volume instead",
}
"""The same of commands with two words."""


def explain(verb: str, known: Collection[str]) -> str:
    """Return the sentence for a verb that is not among the known ones."""
    if verb in _INSTEAD:
        return f"unknown command '{verb}': {_INSTEAD[verb]}"
    from difflib import get_close_matches

    near = get_close_matches(verb, known, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"unknown command '{verb}'{hint}"
