"""What an engine without plugins says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.api.http.problems import Problem

if TYPE_CHECKING:
    from composer.api.http.call import Call


def list_plugins(call: Call) -> tuple[int, Any]:
    return 200, []


def no_plugin(call: Call) -> tuple[int, Any]:
    raise Problem(404, f'plugin "{call.parameters["name"]}" not found')
