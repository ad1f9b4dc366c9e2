"""The typed view of a whole project: what ``config --format json`` writes."""

from __future__ import annotations

from pydantic import ConfigDict

from composer.schema.views.base import View
from composer.schema.views.resources import Config, Model, Network, Secret, Volume
from composer.schema.views.services import Job, Service


class Project(View):
    """A project: its sections by name. ``x-…`` of the top level are kept as they are.

    ``config --format json`` leaves ``models`` out, as docker compose 2.40 does, and doubles every ``$``.
    """

    model_config = ConfigDict(extra="allow")

    name: str = ""
    services: dict[str, Service] = {}
    networks: dict[str, Network] = {}
    volumes: dict[str, Volume] = {}
    configs: dict[str, Config] = {}
    secrets: dict[str, Secret] = {}
    models: dict[str, Model] = {}
    jobs: dict[str, Job] = {}
