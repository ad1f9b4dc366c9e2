"""Which docker compose made a container, and which one is to know a new one again.

Versions print a service differently (`hashing.Form`), so a hash says something only together with the version that made
it: what 2.40 prints of ``create_host_path: false`` is what 5.5 prints of ``true``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.engine import labels
from composer.engine.resolving import hashing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from composer.engine.observed import ObservedContainer
    from composer.engine.resolving.hashing import Form, Version

    Labels = Mapping[str, str]


def service_forms(written: Labels) -> Iterable[Form]:
    """Return the forms in which a container's hash may be written: all, where its labels do not say which.

    Beside its version's own these are the forms that say the same of what changes a container: a docker compose that
    was built with other libraries than usual may write them.
    """
    form = _form(written)
    if form is None:
        return hashing.FORMS
    return (form, *(one for one in hashing.FORMS if one.host_path == form.host_path and one != form))


def network_forms(written: Labels) -> Iterable[Form]:
    """Return the forms in which a network's hash may be written; of one that is known, those which say as much."""
    form = _form(written)
    if form is None:
        return hashing.FORMS
    return (form, *(one for one in hashing.FORMS if one.ipam_options == form.ipam_options and one != form))


def form_for(containers: Iterable[ObservedContainer], installed: Callable[[], str]) -> Form:
    """Return the form for what is made beside these: of the newest docker compose that made one of them.

    Without one it is that of the version which is ``installed``, and is asked for only then.
    """
    made = [version for container in containers if (version := _made_by(container.labels))]
    version = max(made) if made else hashing.version_of(installed())
    return (hashing.form_of(version) if version else None) or hashing.DEFAULT


def _form(written: Labels) -> Form | None:
    if labels.FORM in written:
        return hashing.named(written[labels.FORM])
    version = hashing.version_of(written.get(labels.VERSION, ""))
    if version is None:
        return None
    # composer's from before it knew of forms had that of 2.40, and a version of its own that is none of docker compose
    return hashing.form_of(version) or hashing.V2


def _made_by(written: Labels) -> Version | None:
    """Return the version of docker compose that made something; None where composer did, or another tool."""
    if labels.FORM in written or labels.FIELDS in written:
        return None
    version = hashing.version_of(written.get(labels.VERSION, ""))
    return version if version and hashing.form_of(version) else None
