"""Which kind of place a reference means. What a command has fetched is fetched once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.session.remote import switches
from composer.session.remote.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from composer.schema.options import Fetched


class Remotes:
    """Gets compose files from elsewhere: a `composer.schema.options.Remote`.

    ``variable`` looks up a switch, ``cache_dir`` is the user's; ``insecure`` are registries without encryption.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        variable: Callable[[str], str | None],
        cache_dir: str | None,
        insecure: Sequence[str] = (),
    ) -> None:
        self._environment, self._variable = environment, variable
        self._cache_dir, self._insecure = cache_dir, insecure
        self.fetched: dict[str, Fetched] = {}

    def fetch(self, reference: str) -> Fetched:
        """Return the file that a reference leads to. Raises ProjectError."""
        found = self.fetched.get(reference)
        if found is None:
            found = self.fetched[reference] = self._fetched(reference)
        return found

    def _fetched(self, reference: str) -> Fetched:
        if reference.lower().startswith(switches.PREFIX):
            switches.check(switches.OCI, self._variable)
            from composer.session.remote.oci import OciFiles

            return OciFiles(Cache(self._cache_dir, "oci"), self._environment, self._insecure).fetch(reference)
        switches.check(switches.GIT, self._variable)
        from composer.session.remote.git import GitFiles

        return GitFiles(Cache(self._cache_dir, "git"), self._environment).fetch(reference)
